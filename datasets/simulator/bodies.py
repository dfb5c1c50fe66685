"""The bodies of the simulated cells, one by one: where each lies, and the outlines of the cell and its nucleus.

Everything here lives on the drawing grid, which is `OVERSAMPLING` times finer than the camera's pixels;
lengths are in grid units unless a comment says otherwise. Points in the plane are complex numbers, x + iy.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

OVERSAMPLING = 2


class CellLine(NamedTuple):
    """What the fields of one well have in common: the build of its cells.

    Attributes:
        radius: mean cell radius, in camera pixels.
        nucleus: nucleus radius over cell radius.
        elongation: mean ratio of a cell's long axis to its short axis.
        alignment: 0 (every cell has its own direction) to 1 (all cells are parallel).
        roughness: amplitude of the irregularities of the outline.
        protrusions: mean number of tapered arms of a cell.
        confluence: 0 (cells lie apart) to 1 (cells fill the field).
        chromatin: contrast of the texture of the nuclei.
        nucleoli: mean number of nucleoli of a nucleus.
        filaments: microtubules of an average cell.
    """

    radius: float
    nucleus: float
    elongation: float
    alignment: float
    roughness: float
    protrusions: float
    confluence: float
    chromatin: float
    nucleoli: float
    filaments: float


class Body(NamedTuple):
    """A cell by itself, as if it had no neighbours.

    Attributes:
        axis: unit vector along the long axis.
        radius: mean radius of the nucleus.
        cell: float32 map, below 1 inside the cell, the lower the nearer to its middle.
        nucleus: likewise, of the nucleus.
    """

    axis: complex
    radius: float
    cell: np.ndarray
    nucleus: np.ndarray


def cell_line(seed: int | Sequence[int]) -> CellLine:
    """Draw a cell line; the same seed (an int or a sequence of ints) gives the same line."""
    rng = np.random.default_rng(seed)
    return CellLine(
        radius=rng.uniform(32, 48),
        nucleus=rng.uniform(0.40, 0.52),
        elongation=rng.uniform(1.1, 2.4),
        alignment=rng.uniform(0, 0.9),
        roughness=rng.uniform(0.05, 0.14),
        protrusions=rng.uniform(0, 3),
        confluence=rng.uniform(0, 1),
        chromatin=rng.uniform(0.10, 0.30),
        nucleoli=rng.uniform(1.5, 4.5),
        filaments=rng.uniform(110, 220),
    )


def places(rng: np.random.Generator, line: CellLine, size: int) -> list[complex]:
    """Choose the centres of the nuclei, in view or just beyond the border, none too near another."""
    margin = 0.8 * OVERSAMPLING * line.radius
    apart = OVERSAMPLING * line.radius * (2.3 - 0.9 * line.confluence)
    apart = max(apart, OVERSAMPLING * line.radius * line.nucleus * 2.5)
    centres = [complex(*rng.uniform(0.25 * size, 0.75 * size, 2))]
    for x, y in rng.uniform(-margin, size + margin, (round(60 * (size / 384) ** 2) + 10, 2)):
        if min(abs(complex(x, y) - other) for other in centres) > apart * rng.uniform(0.9, 1.3):
            centres.append(complex(x, y))
    return centres


def bodies(
    rng: np.random.Generator, line: CellLine, centres: Sequence[complex], common: float, grid: Sequence[np.ndarray]
) -> list[Body]:
    """Draw the bodies of cells.

    Args:
        rng: numpy Generator.
        line: the cell line.
        centres: of the nuclei.
        common: direction of the long axes, radians, as far as the line is aligned.
        grid: x and y of the points of the maps.
    """
    return [_body(rng, line, centre, common, grid) for centre in centres]


def _body(rng, line, centre, common, grid):
    axis = np.exp(1j * (common + rng.normal(0, 1.2) * (1 - line.alignment)))
    radius = OVERSAMPLING * line.radius * rng.uniform(0.8, 1.25)
    elongation = max(1.0, line.elongation * rng.uniform(0.8, 1.25))
    nucleus_radius = OVERSAMPLING * line.radius * line.nucleus * rng.uniform(0.88, 1.12)
    # The nucleus sits a little off the middle of its cell, and its axis is roughly the cell's.
    middle = centre + radius * 0.15 * complex(*rng.normal(0, 1, 2))
    outline = _outline(rng, line.roughness, rng.poisson(line.protrusions))
    cell = _score(grid, middle, axis, radius, elongation, outline)
    tilt = axis * np.exp(1j * rng.normal(0, 0.3))
    outline = _outline(rng, 0.02 + 0.2 * line.roughness, 0, orders=3)
    stretch = 1 + 0.45 * (elongation - 1) * rng.uniform(0.5, 1.2)
    nucleus = _score(grid, centre, tilt, nucleus_radius, stretch, outline)
    # A rim of cytoplasm goes with every nucleus, whatever its neighbours claim.
    return Body(axis, nucleus_radius, np.minimum(cell, nucleus * 0.72), nucleus)


def _outline(rng: np.random.Generator, roughness, protrusions, orders=5):
    """Radius over mean radius, at 512 angles: low harmonics and a few tapered arms."""
    angle = np.linspace(0, 2 * np.pi, 512, endpoint=False)
    order = np.arange(2, 2 + orders)[:, None]
    phase = rng.uniform(0, 2 * np.pi, order.shape)
    height = roughness * rng.normal(0, 1, order.shape) * (3 / (order + 1))
    outline = 1 + (height * np.cos(order * angle + phase)).sum(0)
    for _ in range(protrusions):
        away = np.angle(np.exp(1j * (angle - rng.uniform(0, 2 * np.pi))))
        outline += rng.uniform(0.2, 1.1) * np.exp(-(np.abs(away / rng.uniform(0.13, 0.35)) ** 1.4))
    return np.maximum(outline, 0.55).astype(np.float32)


def _score(grid, centre, axis, radius, elongation, outline):
    """Distance from the centre over the outline's radius in that direction: below 1 inside."""
    x, y = grid
    stretch = np.sqrt(elongation)
    u = ((x - centre.real) * axis.real + (y - centre.imag) * axis.imag) / stretch
    v = ((y - centre.imag) * axis.real - (x - centre.real) * axis.imag) * stretch
    distance, angle = cv2.cartToPolar(np.float32(u), np.float32(v))
    return distance / (np.float32(radius) * outline[(angle * (512 / (2 * np.pi))).astype(np.int32) & 511])
