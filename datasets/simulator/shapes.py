"""Shapes of the simulated cells: who owns which pixel, and how far every pixel is from the borders.

Units and points are as in `bodies`.
"""

from typing import NamedTuple

import cv2
import numpy as np

from msrgan.datasets.simulator.bodies import OVERSAMPLING, CellLine, bodies, places

# Grid points in a point of the grid that outlines are drawn on: enough for shapes as smooth as these.
COARSE = 4


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
    """Lay out a field of cells.

    Args:
        rng: numpy Generator.
        line: the cell line.
        size: side of the drawing grid.

    Returns:
        The geometry; at least one nucleus lies in the middle part of the field. Cells whose nucleus is in
        view are numbered first, so that both label maps are contiguous.
    """
    centres = places(rng, line, size)
    common = rng.uniform(0, np.pi)
    drawn = bodies(rng, line, centres, common, _warped_grid(rng, size))
    cells, nuclei = _labels(drawn, size)
    order = _seen_first(cells, nuclei)
    cells, nuclei = _renumbered((cells, nuclei), order, len(centres))
    edge, inside, outside = _to_border(cells), _to_border(nuclei), _to_zero(nuclei == 0)
    axes, radii = [body.axis for body in drawn], [body.radius for body in drawn]
    return Geometry(
        line, cells, nuclei, edge, outside, inside, _height(edge, outside, inside),
        *(np.array(each)[order] for each in (centres, axes, radii)),
    )  # fmt: skip


def on_camera(labels: np.ndarray) -> np.ndarray:
    """Return the label map on the camera's pixels."""
    return labels[::OVERSAMPLING, ::OVERSAMPLING]


def _warped_grid(rng, size):
    """Return x and y of the points of the coarse grid, a little displaced, so that outlines are no pure curves."""
    coarse = size // COARSE
    x, y = np.meshgrid(*[np.arange(coarse, dtype=np.float32) * COARSE + (COARSE - 1) / 2] * 2)
    warp = size * 0.014 * np.stack([smooth_noise(rng, coarse, coarse / 7) for _ in range(2)])
    return x + warp[0], y + warp[1]


def _labels(drawn, size):
    """Share the field among the bodies: label maps of cells and of nuclei, cut at full resolution."""
    owner, score = _nearest([body.cell for body in drawn], size)
    cells = np.where(score < 1, owner + 1, 0)
    owner, score = _nearest([body.nucleus for body in drawn], size)
    return cells, np.where((score < 1) & (cells == owner + 1), cells, 0)


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
    indices = np.flatnonzero(inside)
    return slice(max(indices[0] - 2, 0), indices[-1] + 3) if len(indices) else slice(0, 1)


def _seen_first(cells, nuclei):
    """Numbers (from 0) of the shapes that the camera sees, the ones with a visible nucleus first."""
    seen, with_nucleus = (np.unique(on_camera(labels)) for labels in (cells, nuclei))
    seen = seen[seen > 0]
    return seen[np.argsort(~np.isin(seen, with_nucleus), kind="stable")] - 1


def _renumbered(maps, order, count):
    """Give the shapes of label maps new numbers: from 1 on in the given order, 0 to all others."""
    new = np.zeros(count + 1, np.int32)
    new[order + 1] = np.arange(1, len(order) + 1)
    return [new[labels] for labels in maps]


def _height(edge, outside, inside):
    """Return the thickness of the cytoplasm from the distances to cell border, nucleus and nuclear border."""
    height = (1 - np.exp(-edge / 14)) * (0.45 + 0.55 * np.exp(-outside / 30))
    return (height * (1 - 0.5 * np.minimum(inside / 5, 1))).astype(np.float32)


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
