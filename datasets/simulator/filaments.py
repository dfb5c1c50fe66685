"""Random walks that stay inside their cell, and the drawing of what they leave behind."""

from typing import NamedTuple

import cv2
import numpy as np

from msrgan.datasets.simulator.shapes import Geometry

# Grid units in a point of the steering maps.
COARSE = 4
# Fixed-point bits of cv2's drawing coordinates: lines start and end between grid points.
_SHIFT = 4


class Steering(NamedTuple):
    """Maps that turn a walker, `COARSE` times coarser than the drawing grid.

    Attributes:
        edge: distance to the cell border.
        outside: distance to the nucleus.
        inwards: complex unit vectors away from the cell border.
        outwards: complex unit vectors away from the nucleus.
    """

    edge: np.ndarray
    outside: np.ndarray
    inwards: np.ndarray
    outwards: np.ndarray


def steering(field: Geometry) -> Steering:
    """Return the steering maps of a field of cells."""
    size = field.edge.shape[0] // COARSE
    edge = cv2.resize(field.edge, (size, size), interpolation=cv2.INTER_AREA)
    outside = cv2.resize(field.outside - field.inside, (size, size), interpolation=cv2.INTER_AREA)
    return Steering(edge, outside, _uphill(edge), _uphill(outside))


def _uphill(distance):
    smooth = cv2.GaussianBlur(distance, (0, 0), 1)
    gradient = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) + 1j * cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return gradient / np.maximum(np.abs(gradient), 1e-6)


class Gait(NamedTuple):
    """How walkers go.

    Attributes:
        steps: number of strides of the longest walk; each walker has its own, half as many at least.
        stride: length of a stride.
        wobble: standard deviation of the random turn at each stride, in radians.
        bend: standard deviation of a walker's own constant turn, in radians a stride.
        respect: fraction of the walkers that go around the nucleus.
        margin: distance at which borders are felt.
        stop: probability to stop for good at each stride that is felt to be near the cell border.
    """

    steps: int
    stride: float
    wobble: float
    bend: float = 0.0
    respect: float = 1.0
    margin: float = 7.0
    stop: float = 0.0


def walk(
    rng: np.random.Generator,
    field: Geometry,
    guide: Steering,
    start: np.ndarray,
    heading: np.ndarray,
    own: np.ndarray,
    gait: Gait,
) -> np.ndarray:
    """Walk from many starting points at once.

    A walker keeps its direction but for random turns; at the cell border it turns along it; it goes around
    the nucleus; it stops where it would leave its cell.

    Args:
        rng: numpy Generator.
        field: the geometry.
        guide: its steering maps.
        start: complex (n,), starting points.
        heading: complex (n,), unit vectors.
        own: int (n,), the label of the cell of each walker.
        gait: how they go.

    Returns:
        complex (n, steps + 1), the points of each path.
    """
    place, heading = start.astype(np.complex64), heading.astype(np.complex64)
    alive = np.ones(len(start), bool)
    respectful = rng.random(len(start)) < gait.respect
    turns = _turns(rng, gait, len(start))
    strides = rng.integers((gait.steps + 1) // 2, gait.steps + 1, len(start))
    path = [place]
    for step, turn in enumerate(turns):
        coarse = tuple(index // COARSE for index in _index(place, field.cells.shape[0]))
        near_edge = guide.edge[coarse] < gait.margin
        near_nucleus = (guide.outside[coarse] < gait.margin) & respectful
        heading = _deflect(heading * turn, guide.inwards[coarse], near_edge)
        heading = _deflect(heading, guide.outwards[coarse], near_nucleus)
        ahead = place + gait.stride * heading
        alive &= (value_at(field.cells, ahead) == own) & (step < strides)
        if gait.stop:
            alive &= ~near_edge | (rng.random(len(start)) > gait.stop)
        place = np.where(alive, ahead, place)
        path.append(place)
    return np.stack(path, 1)


def _turns(rng, gait, count):
    """Draw the turns of walkers as complex factors (steps, count): a random one a stride, and each one's own bend."""
    wobble = gait.wobble * rng.standard_normal((gait.steps, count), np.float32)
    return np.exp(1j * (wobble + gait.bend * rng.standard_normal(count, np.float32)))


def _index(points, size):
    """Return row and column of the grid points that points fall on, inside the grid."""
    row = np.clip(points.imag, 0, size - 1).astype(np.int32)
    column = np.clip(points.real, 0, size - 1).astype(np.int32)
    return row, column


def _deflect(heading, normal, near):
    """Remove most of the component against `normal`, where `near`."""
    against = heading.real * normal.real + heading.imag * normal.imag
    heading = heading - np.float32(0.8) * np.minimum(against, 0) * near * normal
    return heading / np.maximum(np.abs(heading), np.float32(1e-6))


def scatter(rng: np.random.Generator, intensity: np.ndarray) -> np.ndarray:
    """Points of a Poisson process.

    Args:
        rng: numpy Generator.
        intensity: (size, size), expected points a grid point.

    Returns:
        complex (n,), the points.
    """
    size = intensity.shape[0]
    top = float(intensity.max())
    x, y = rng.random((2, rng.poisson(top * size * size))) * size
    kept = rng.random(len(x)) * top < intensity[y.astype(np.int32), x.astype(np.int32)]
    return x[kept] + 1j * y[kept]


def value_at(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the value of a map at each complex point; beyond the map, that of its nearest point."""
    return values[_index(points, values.shape[0])]


def directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return `count` random unit vectors."""
    return np.exp(2j * np.pi * rng.random(count))


def from_nucleus(field: Geometry, points: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the unit vectors at `points` that lead away from the nucleus of their cells `own`."""
    away = points - field.centres[own - 1]
    return away / np.maximum(np.abs(away), 1)


def draw(rng: np.random.Generator, size: int, paths: np.ndarray, *, thickness: int = 1, layers: int = 4) -> np.ndarray:
    """Draw paths of different brightness; where paths cross, the light adds up.

    Args:
        rng: numpy Generator.
        size: side of the drawing grid.
        paths: complex (n, points).
        thickness: line width.
        layers: number of brightnesses.

    Returns:
        float32 (size, size), about 1 on a single path.
    """
    fixed = np.round(np.stack([paths.real, paths.imag], -1) * (1 << _SHIFT)).astype(np.int32)
    total = np.zeros((size, size), np.float32)
    for layer in range(layers):
        canvas = np.zeros((size, size), np.uint8)
        cv2.polylines(canvas, list(fixed[layer::layers]), False, 255, thickness, cv2.LINE_8, _SHIFT)
        total += canvas * np.float32(rng.uniform(0.5, 1.5) / 255)
    return total


def dots(size: int, points: np.ndarray, radii: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Draw discs: `radii` in grid units, `light` in [0, 1]; returns float32 (size, size)."""
    canvas = np.zeros((size, size), np.uint8)
    scale = 1 << _SHIFT
    for place, radius, value in zip(points, radii, light, strict=True):
        centre = round(place.real * scale), round(place.imag * scale)
        cv2.circle(canvas, centre, round(radius * scale), int(255 * value), -1, cv2.LINE_8, _SHIFT)
    return canvas * np.float32(1 / 255)
