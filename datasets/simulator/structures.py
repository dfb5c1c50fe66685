"""What the cells of a field are made of: centrosomes, microtubules, nucleoli, chromatin, ER.

Every function returns a (size, size) map of stain on the drawing grid, about 1 where the structure is.
"""

from typing import NamedTuple

import cv2
import numpy as np

from msrgan.datasets.simulator.filaments import Gait, Steering, directions, dots, draw, steering, value_at, walk
from msrgan.datasets.simulator.shapes import Geometry, smooth_noise


class Anatomy(NamedTuple):
    """A field of cells with the structures that every stain of it shares.

    Attributes:
        field: the geometry.
        guide: steering maps of its filaments.
        centrosomes: complex (n,), one a cell.
        microtubules: the network, seen in the red channel.
        nucleoli: in [0, 1].
        chromatin: seen in the blue channel; dark in the nucleoli.
    """

    field: Geometry
    guide: Steering
    centrosomes: np.ndarray
    microtubules: np.ndarray
    nucleoli: np.ndarray
    chromatin: np.ndarray


def anatomy(rng: np.random.Generator, field: Geometry) -> Anatomy:
    """Fill a field of cells with centrosomes, microtubules, nucleoli and chromatin."""
    guide = steering(field)
    centrosomes = _centrosomes(rng, field)
    nucleoli = _nucleoli(rng, field)
    return Anatomy(
        field, guide, centrosomes, _microtubules(rng, field, guide, centrosomes), nucleoli,
        _chromatin(rng, field, nucleoli),
    )  # fmt: skip


def _centrosomes(rng: np.random.Generator, field):
    """Return the best of a few random places: close to the nucleus, in the own cell, away from its border."""
    count, tries = len(field.centres), 12
    away = directions(rng, count * tries).reshape(count, tries)
    places = field.centres[:, None] + away * field.radii[:, None] * rng.uniform(0.8, 1.5, away.shape)
    inside = value_at(field.cells, places) == np.arange(1, count + 1)[:, None]
    gap = value_at(field.outside, places) - value_at(field.inside, places)
    value = np.minimum(value_at(field.edge, places), 10) - 0.5 * np.abs(gap - 5)
    best = np.where(inside, value, -np.inf).argmax(1)
    return places[np.arange(count), best]


def _microtubules(rng: np.random.Generator, field, guide, centrosomes):
    count = rng.poisson(field.line.filaments * rng.uniform(0.8, 1.2, len(centrosomes)))
    own = np.repeat(np.arange(1, len(count) + 1), count)
    origin = np.repeat(centrosomes, count)
    # Half grow from the centrosome, the others from the Golgi and elsewhere around the nucleus.
    away = directions(rng, len(own))
    centre, radius = np.repeat(field.centres, count), np.repeat(field.radii, count)
    free = rng.random(len(own)) < 0.5
    around = centre + radius * rng.uniform(1.1, 1.7, len(own)) * away
    origin = np.where(free, around, origin + rng.normal(0, 2, len(own)))
    heading = away * np.exp(1j * rng.normal(0, 0.7, len(own)))
    gait = Gait(steps=26, stride=6, wobble=0.15, bend=0.04, respect=0.8, stop=0.12)
    paths = walk(rng, field, guide, origin, heading, own, gait)
    return 0.75 * draw(rng, len(field.edge), paths)


def _nucleoli(rng: np.random.Generator, field):
    size = len(field.edge)
    count = 1 + rng.poisson(field.line.nucleoli - 1, len(field.radii))
    radii = np.repeat(field.radii, count)
    # Uniform over the inner disc of the nucleus.
    places = np.repeat(field.centres, count) + 0.62 * radii * np.sqrt(rng.random(len(radii))) * directions(
        rng, len(radii)
    )
    spots = dots(size, places, radii * rng.uniform(0.09, 0.24, len(radii)), np.ones(len(radii)))
    # Threshold of a blurred, disturbed disc: an irregular blob.
    blobs = cv2.GaussianBlur(spots, (0, 0), 2.2) + 0.10 * smooth_noise(rng, size, 7)
    return np.clip((blobs - 0.42) * 4, 0, 1) * (field.inside > 3)


def _chromatin(rng: np.random.Generator, field, nucleoli):
    size = len(field.edge)
    texture = 0.6 * smooth_noise(rng, size, 9) + 0.6 * smooth_noise(rng, size, 4) + 0.4 * smooth_noise(rng, size, 20)
    body = np.minimum(field.inside / 5, 1) * (field.nuclei > 0)
    return body * np.clip(0.75 + field.line.chromatin * texture, 0.1, None) * (1 - 0.65 * nucleoli)


def er_mesh(rng: np.random.Generator, size: int, spacing: float = 8.0) -> np.ndarray:
    """Edges of the Voronoi cells of random points: three-way junctions, as the ER's tubules have them."""
    points = rng.integers(0, size, (2, round((size / spacing) ** 2)))
    free = np.ones((size, size), np.uint8)
    free[points[0], points[1]] = 0
    distance = cv2.GaussianBlur(cv2.distanceTransform(free, cv2.DIST_L2, 5), (3, 3), 0.8)
    # The distance to the nearest point has a crease along each edge.
    crease = np.maximum(-cv2.Laplacian(distance, cv2.CV_32F), 0)
    return np.clip(1.4 * crease - 0.25, 0, 1.3)
