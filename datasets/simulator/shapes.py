"""Shapes of the simulated cells: who owns which pixel, and how far every pixel is from the borders.

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


class Geometry(NamedTuple):
    """A field of cells on the drawing grid, all maps of shape (size, size).

    Attributes:
        line: the cell line.
        cells: int32 label map of the cells, 0 is the empty background.
        nuclei: int32 label map of the nuclei; a nucleus has the number of its cell.
        edge: float32 distance to the nearest cell border, 0 outside the cells.
        outside: float32 distance to the nearest nucleus, 0 inside the nuclei.
        inside: float32 distance to the border of the nucleus, 0 outside the nuclei.
        height: float32 in [0, 1], thickness of the cytoplasm: low at the rim, high around the nucleus.
        centres: complex128 (n,), the middle of each nucleus; nuclei beyond the border of the field are kept.
        axes: complex128 (n,), unit vectors along the long axis of each cell.
        radii: float64 (n,), nucleus radii.
    """

    line: CellLine
    cells: np.ndarray
    nuclei: np.ndarray
    edge: np.ndarray
    outside: np.ndarray
    inside: np.ndarray
    height: np.ndarray
    centres: np.ndarray
    axes: np.ndarray
    radii: np.ndarray


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


def smooth_noise(rng: np.random.Generator, size: int, period: float) -> np.ndarray:
    """Return a float32 (size, size) random field of unit variance whose bumps are about `period` wide."""
    coarse = rng.standard_normal((int(size / period) + 4,) * 2, dtype=np.float32)
    scale = size / (coarse.shape[0] - 3)
    # The centre of the enlargement, so that the replicated border never shows.
    margin = int(1.5 * scale)
    fine = cv2.resize(coarse, (size + 2 * margin,) * 2, interpolation=cv2.INTER_CUBIC)
    # 1.4 undoes the variance that cubic interpolation between independent values takes away.
    return 1.4 * fine[margin : margin + size, margin : margin + size]


def geometry(rng: np.random.Generator, line: CellLine, size: int) -> Geometry:
    """Lays out a field of cells.

    Args:
        rng: numpy Generator.
        line: the cell line.
        size: side of the drawing grid.

    Returns:
        The geometry; at least one nucleus lies in the middle part of the field. Cells whose nucleus is in
        view are numbered first, so that both label maps are contiguous.
    """
    centres = _places(rng, line, size)
    common = rng.uniform(0, np.pi)
    # A coarse grid is enough for shapes as smooth as these; the labels are cut at full resolution.
    coarse = size // 4
    x, y = np.meshgrid(*[np.arange(coarse, dtype=np.float32) * 4 + 1.5] * 2)
    warp = size * 0.014 * np.stack([smooth_noise(rng, coarse, coarse / 7) for _ in range(2)])
    x, y = x + warp[0], y + warp[1]

    axes, radii, cell_scores, nucleus_scores = [], [], [], []
    for centre in centres:
        turn = common + rng.normal(0, 1.2) * (1 - line.alignment)
        axis = np.exp(1j * turn)
        radius = OVERSAMPLING * line.radius * rng.uniform(0.8, 1.25)
        elongation = max(1.0, line.elongation * rng.uniform(0.8, 1.25))
        nucleus = OVERSAMPLING * line.radius * line.nucleus * rng.uniform(0.88, 1.12)
        # The nucleus sits a little off the middle of its cell, and its axis is roughly the cell's.
        middle = centre + radius * 0.15 * complex(*rng.normal(0, 1, 2))
        outline = _outline(rng, line.roughness, rng.poisson(line.protrusions))
        cell = _score(x, y, middle, axis, radius, elongation, outline)
        tilt = axis * np.exp(1j * rng.normal(0, 0.3))
        outline = _outline(rng, 0.02 + 0.2 * line.roughness, 0, orders=3)
        own = _score(x, y, centre, tilt, nucleus, 1 + 0.45 * (elongation - 1) * rng.uniform(0.5, 1.2), outline)
        axes.append(axis)
        radii.append(nucleus)
        # A rim of cytoplasm goes with every nucleus, whatever its neighbours claim.
        cell_scores.append(np.minimum(cell, own * 0.72))
        nucleus_scores.append(own)

    owner, cell_score = _nearest(cell_scores, size)
    cells = np.where(cell_score < 1, owner + 1, 0)
    owner, nucleus_score = _nearest(nucleus_scores, size)
    nuclei = np.where((nucleus_score < 1) & (cells == owner + 1), cells, 0)
    order = _seen_first(cells, nuclei)
    new = np.zeros(len(centres) + 1, np.int32)
    new[order + 1] = np.arange(1, len(order) + 1)
    cells, nuclei = new[cells], new[nuclei]

    edge, inside = _to_border(cells), _to_border(nuclei)
    outside = _to_zero(nuclei == 0)
    height = (1 - np.exp(-edge / 14)) * (0.45 + 0.55 * np.exp(-outside / 30))
    height *= 1 - 0.5 * np.minimum(inside / 5, 1)
    return Geometry(
        line, cells, nuclei, edge, outside, inside, height.astype(np.float32),
        np.array(centres)[order], np.array(axes)[order], np.array(radii)[order],
    )  # fmt: skip


def _places(rng: np.random.Generator, line, size):
    """Nucleus centres, in view or just beyond the border, none too near another."""
    margin = 0.8 * OVERSAMPLING * line.radius
    apart = OVERSAMPLING * line.radius * (2.3 - 0.9 * line.confluence)
    apart = max(apart, OVERSAMPLING * line.radius * line.nucleus * 2.5)
    centres = [complex(*rng.uniform(0.25 * size, 0.75 * size, 2))]
    for x, y in rng.uniform(-margin, size + margin, (round(60 * (size / 384) ** 2) + 10, 2)):
        if min(abs(complex(x, y) - other) for other in centres) > apart * rng.uniform(0.9, 1.3):
            centres.append(complex(x, y))
    return centres


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


def _score(x, y, centre, axis, radius, elongation, outline):
    """Distance from the centre over the outline's radius in that direction: below 1 inside."""
    stretch = np.sqrt(elongation)
    u = ((x - centre.real) * axis.real + (y - centre.imag) * axis.imag) / stretch
    v = ((y - centre.imag) * axis.real - (x - centre.real) * axis.imag) * stretch
    distance, angle = cv2.cartToPolar(np.float32(u), np.float32(v))
    return distance / (np.float32(radius) * outline[(angle * (512 / (2 * np.pi))).astype(np.int32) & 511])


def _nearest(scores, size):
    """Which shape has the lowest score at each grid point, and that score, at most 2."""
    lowest = np.full((size, size), 2, np.float32)
    owner = np.zeros((size, size), np.int32)
    for number, score in enumerate(scores):
        scale = size // len(score)
        # Only the box around the shape is enlarged.
        box = tuple(_span((score < 1.2).any(axis)) for axis in (1, 0))
        part = cv2.resize(np.ascontiguousarray(score[box]), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        fine = tuple(slice(span.start * scale, min(span.stop, len(score)) * scale) for span in box)
        owner[fine][part < lowest[fine]] = number
        np.minimum(lowest[fine], part, out=lowest[fine])
    return owner, lowest


def _span(inside):
    """Return the slice from the first to the last True, a little wider; one that is never empty."""
    places = np.flatnonzero(inside)
    return slice(max(places[0] - 2, 0), places[-1] + 3) if len(places) else slice(0, 1)


def _seen_first(cells, nuclei):
    """Numbers (from 0) of the shapes that the camera sees, the ones with a visible nucleus first."""
    seen, with_nucleus = (np.unique(on_camera(labels)) for labels in (cells, nuclei))
    seen = seen[seen > 0]
    return seen[np.argsort(~np.isin(seen, with_nucleus), kind="stable")] - 1


def on_camera(labels: np.ndarray) -> np.ndarray:
    """Return the label map on the camera's pixels."""
    return labels[::OVERSAMPLING, ::OVERSAMPLING]


def _to_border(labels):
    """Distance to the nearest pixel of another label, 0 where the label is 0."""
    same = labels > 0
    same[:, 1:] &= labels[:, 1:] == labels[:, :-1]
    same[1:] &= labels[1:] == labels[:-1]
    return _to_zero(same)


def _to_zero(mask):
    """Distance to the nearest False, at most the field's size: where nothing is False it is infinite."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    return np.minimum(distance, np.float32(len(mask)))
