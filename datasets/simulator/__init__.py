"""A small physical simulator of immunofluorescence fields in the manner of the Human Protein Atlas.

No image of a real cell goes into it, and none comes out: red microtubules, a green protein in one of 13
localisation patterns, blue nuclei, drawn from random numbers and seen through a simulated microscope.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from msrgan.datasets.simulator.bodies import OVERSAMPLING, CellLine, cell_line
from msrgan.datasets.simulator.optics import expose
from msrgan.datasets.simulator.proteins import PATTERNS
from msrgan.datasets.simulator.shapes import geometry, on_camera, smooth_noise
from msrgan.datasets.simulator.structures import Anatomy, anatomy

__all__ = ["CellLine", "Field", "cell_line", "simulate", "stain"]


class Field(NamedTuple):
    """One simulated field of view.

    Attributes:
        image: uint8 (size, size, 3), red microtubules, green protein, blue nucleus.
        nuclei: uint16 (size, size), instance labels of the nuclei, 0 is background.
        cells: uint16 (size, size), instance labels of the cells; nucleus k lies in cell k. The labels of both
            maps are contiguous from 1; the cells whose nucleus is out of view come last.
    """

    image: np.ndarray
    nuclei: np.ndarray
    cells: np.ndarray


def simulate(label: int, seed: int | Sequence[int], *, size: int = 192, line: CellLine | None = None) -> Field:
    """Draw one field.

    Args:
        label: localisation pattern of the green channel, an index into
            `msrgan.datasets.localisation.LOCALISATIONS`.
        seed: non-negative int or sequence of them. The field is a pure function of all arguments, for
            given versions of NumPy and OpenCV.
        size: side of the field in camera pixels, a multiple of 8, at least 64.
        line: the cell line; None draws one from the seed.

    Returns:
        The field: image and instance masks.

    Raises:
        ValueError: the label or the size is out of range.
    """
    if not 0 <= label < len(PATTERNS):
        raise ValueError(f"label must be in 0..{len(PATTERNS) - 1}. Received: label={label}.")
    if size < 64 or size % 8:
        raise ValueError(f"size must be a multiple of 8 and at least 64. Received: size={size}.")
    rng = np.random.default_rng(seed)
    line = line or cell_line(rng.integers(2**63))
    field = geometry(rng, line, size * OVERSAMPLING)
    cell = anatomy(rng, field)
    image = expose(rng, stain(rng, label, cell), haze=rng.uniform(0.03, 0.2, 3).tolist())
    return Field(image, *(on_camera(labels).astype(np.uint16) for labels in (field.nuclei, field.cells)))


def stain(rng: np.random.Generator, label: int, cell: Anatomy) -> np.ndarray:
    """Stain the three channels of a field.

    Args:
        rng: numpy Generator.
        label: localisation pattern of the green channel.
        cell: the field and its structures.

    Returns:
        float32 (3, S, S) on the drawing grid: red, green, blue.
    """
    field = cell.field
    count, size = len(field.centres), len(field.edge)
    # One value a cell; the background (label 0) keeps what reaches out of a cell.
    red_gain, green_gain, blue_gain = (
        np.concatenate([[1], rng.lognormal(0, spread, count)]).astype(np.float32) for spread in (0.25, 0.5, 0.2)
    )
    bulk = field.height * (1 - rng.uniform(0, 0.7) * np.minimum(field.inside / 5, 1))
    auto = bulk * np.clip(1 + 0.25 * smooth_noise(rng, size, 10), 0, None)
    red = (cell.microtubules + rng.uniform(0.1, 0.6) * bulk) * red_gain.take(field.cells)
    blue = cell.chromatin * blue_gain.take(field.cells) + rng.uniform(0, 0.05) * auto

    protein = PATTERNS[label](rng, cell)
    # Antibodies also bind where they should not.
    astray = rng.uniform(0, 0.18) * bulk + rng.uniform(0, 0.08) * np.minimum(field.inside / 5, 1)
    green = (protein + astray) * green_gain.take(field.cells)
    # Auto-fluorescence, and light of the other dyes through the filter of this one.
    green += rng.uniform(0, 0.08) * auto + rng.uniform(0, 0.05) * red + rng.uniform(0, 0.05) * blue
    return np.stack([red, green, blue])
