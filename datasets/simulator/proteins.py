"""The 13 localisation patterns of the protein in the green channel.

Every pattern takes the random generator and the anatomy of a field and returns a (size, size) map of stain on
the drawing grid, about 1 where the protein is.
"""

import cv2
import numpy as np

from msrgan.datasets.simulator.filaments import (
    COARSE,
    Gait,
    directions,
    dots,
    draw,
    from_nucleus,
    scatter,
    value_at,
    walk,
)
from msrgan.datasets.simulator.shapes import smooth_noise
from msrgan.datasets.simulator.structures import Anatomy, er_mesh


def nucleus(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Nucleoplasm: the whole nucleus, finely granular, without the nucleoli."""
    field = cell.field
    grain = 1 + 0.22 * smooth_noise(rng, len(field.edge), 4.5) + 0.12 * smooth_noise(rng, len(field.edge), 14)
    return np.minimum(field.inside / 4, 1) * np.clip(grain, 0.2, None) * (1 - rng.uniform(0.5, 0.95) * cell.nucleoli)


def nucleoli(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Bright blobs inside the nucleus, on faint nucleoplasm."""
    veil = rng.uniform(0.02, 0.22) * np.minimum(cell.field.inside / 4, 1)
    return veil + 1.3 * cell.nucleoli * np.clip(1 + 0.15 * smooth_noise(rng, len(veil), 5), 0.3, None)


def nuclear_membrane(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Draw the rim of the nucleus, a thin closed line, with a fold here and there."""
    field = cell.field
    size = len(field.edge)
    border = field.inside + field.outside
    rim = np.exp(-((border / rng.uniform(1.6, 2.4)) ** 2)) * (field.cells > 0)
    rim *= np.clip(1 + 0.25 * smooth_noise(rng, size, 12), 0.3, None)
    veil = np.minimum(field.inside / 4, 1) * rng.uniform(0.05, 0.3)
    # Invaginations: short lines from the rim into the nucleus.
    start = scatter(rng, 0.0025 * (np.abs(field.inside - 2) < 1.5))
    own = value_at(field.cells, start)
    heading = -from_nucleus(field, start, own) * np.exp(1j * rng.normal(0, 0.7, len(start)))
    paths = walk(rng, field, cell.guide, start, heading, own, Gait(steps=6, stride=3, wobble=0.15, respect=0))
    folds = draw(rng, size, paths, layers=1)
    return 1.2 * rim + 0.5 * folds * (field.inside > 0) + veil


def golgi_apparatus(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Draw a compact, broken ribbon on the centrosome's side of the nucleus."""
    field = cell.field
    size = len(field.edge)
    towards = cell.centrosomes - field.centres
    stacks = rng.integers(20, 44, len(field.centres))
    own = np.repeat(np.arange(1, len(stacks) + 1), stacks)
    # The stacks follow an arc of the nucleus's rim, seen from its centre.
    spread = np.repeat(rng.uniform(0.25, 0.6, len(stacks)), stacks)
    angle = np.exp(1j * spread * rng.normal(0, 1, len(own)))
    away = np.repeat(towards, stacks) * angle * rng.normal(1.12, 0.11, len(own))
    start = np.repeat(field.centres, stacks) + away
    heading = 1j * away / np.abs(away) * np.exp(1j * rng.normal(0, 0.6, len(own)))
    gait = Gait(steps=6, stride=2.2, wobble=0.4, margin=3)
    paths = walk(rng, field, cell.guide, start, heading, own, gait)
    ribbon = draw(rng, size, paths, thickness=2)
    ribbon = 0.7 * np.minimum(ribbon, 2.5) + 0.5 * cv2.GaussianBlur(ribbon, (0, 0), 3)
    return ribbon * (field.nuclei == 0) + 0.04 * field.height


def endoplasmic_reticulum(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Draw a polygonal mesh of tubules, dense sheets around the nucleus, and the nuclear envelope."""
    field = cell.field
    near = np.exp(-field.outside / rng.uniform(28, 45))
    envelope = 0.7 * np.exp(-(((field.outside - 1) / 2) ** 2)) * (field.nuclei == 0)
    uneven = np.clip(1 + 0.4 * smooth_noise(rng, len(field.edge), 11), 0.1, None)
    tubules = er_mesh(rng, len(field.edge)) * (0.2 + 0.9 * near) * uneven
    return (tubules + 0.45 * near * near * uneven + envelope) * np.minimum(field.edge / 8, 1) * (field.nuclei == 0)


def vesicles(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Scattered round dots of unequal brightness in the cytoplasm."""
    field = cell.field
    cytoplasm = (field.nuclei == 0) & (field.edge > 4)
    density = rng.uniform(0.002, 0.008) * (0.4 + np.exp(-field.outside / 40)) * cytoplasm
    places = scatter(rng, density)
    light = np.clip(rng.lognormal(-0.7, 0.5, len(places)), 0.1, 1)
    radii = rng.gamma(6, rng.uniform(1.0, 1.9) / 6, len(places)) + 0.3
    return 1.5 * dots(len(field.edge), places, radii, light) + 0.05 * field.height


def plasma_membrane(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Draw the cell's outline, patchy, with ruffles and fine bristles (filopodia) that reach out of it."""
    field = cell.field
    size = len(field.edge)
    patch = np.clip(0.8 + 0.45 * smooth_noise(rng, size, 26), 0.15, None)
    line = np.exp(-(((field.edge - 1.5) / rng.uniform(1.8, 3.2)) ** 2)) * (field.cells > 0) * patch
    surface = (field.cells > 0) * rng.uniform(0.04, 0.16) * np.clip(1 + 0.4 * smooth_noise(rng, size, 4), 0.2, None)
    rim = (field.edge > 0) & (field.edge < 4)
    start = scatter(rng, rng.uniform(0.01, 0.08) * rim * np.clip(patch - 0.4, 0, 1))
    heading = -value_at(cell.guide.inwards, start / COARSE) * np.exp(1j * rng.normal(0, 0.6, len(start)))
    # Bristles leave the cell, so they do not walk: they are straight strokes.
    length = rng.gamma(4, rng.uniform(1.5, 3.0), len(start))
    bristles = np.stack([start, start + heading * length], 1)
    return 1.1 * line + surface + 0.6 * draw(rng, size, bristles)


def mitochondria(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Worm-like tubules, dense around the nucleus, thinning out towards the rim."""
    field = cell.field
    cytoplasm = (field.nuclei == 0) & (field.edge > 5) & (field.outside > 2)
    density = rng.uniform(0.008, 0.018) * np.exp(-field.outside / rng.uniform(12, 30)) * cytoplasm
    start = scatter(rng, density)
    own = value_at(field.cells, start)
    heading = from_nucleus(field, start, own) * np.exp(1j * rng.normal(0, 0.9, len(start)))
    gait = Gait(steps=12, stride=2.4, wobble=0.32, bend=0.08, margin=4)
    paths = walk(rng, field, cell.guide, start, heading, own, gait)
    worms = np.minimum(draw(rng, len(field.edge), paths, thickness=2), 1.8)
    return worms * (field.nuclei == 0) + 0.03 * field.height


def cytosol(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Smooth filling of the cytoplasm up to the rim, weaker in the nucleus, with dark vacuoles."""
    field = cell.field
    size = len(field.edge)
    fill = (1 - np.exp(-field.edge / 7)) * (0.55 + 0.45 * np.exp(-field.outside / 60))
    grain = np.clip(1 + 0.08 * smooth_noise(rng, size, 5) + 0.10 * smooth_noise(rng, size, 25), 0.3, None)
    places = scatter(rng, rng.uniform(0, 0.0006) * ((field.edge > 8) & (field.nuclei == 0)))
    holes = dots(size, places, rng.uniform(1.5, 4, len(places)), np.full(len(places), 0.6))
    shaded = 1 - rng.uniform(0.55, 0.9) * np.minimum(field.inside / 4, 1)
    return 0.9 * fill * grain * shaded * (1 - holes)


def microtubules(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Stain the network of the red channel through another protein: other weights, some monomer."""
    return 0.8 * np.minimum(cell.microtubules, 3) + rng.uniform(0.02, 0.12) * cell.field.height


def centrosome(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """One or two tiny bright dots beside the nucleus, over a faint cytosol."""
    field = cell.field
    pair = rng.random(len(cell.centrosomes)) < 0.6
    apart = rng.uniform(5, 9, len(pair)) * directions(rng, len(pair))
    places = np.concatenate([cell.centrosomes, (cell.centrosomes + apart)[pair]])
    spots = dots(len(field.edge), places, rng.uniform(1.7, 2.8, len(places)), rng.uniform(0.7, 1, len(places)))
    return 2.2 * spots * (field.cells > 0) + rng.uniform(0.02, 0.10) * field.height


def actin_filaments(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Parallel stress fibres across the cell, under the nucleus too, and a cortex along the border."""
    field = cell.field
    size = len(field.edge)
    start = scatter(rng, rng.uniform(0.0022, 0.005) * (field.edge > 3))
    own = value_at(field.cells, start)
    bundle = np.exp(1j * rng.normal(0, 0.25, len(field.axes))) * field.axes
    heading = bundle[own - 1] * np.exp(1j * rng.normal(0, 0.07, len(start))) * rng.choice([-1, 1], len(start))
    gait = Gait(steps=14, stride=5, wobble=0.012, bend=0.004, respect=0, margin=2)
    paths = walk(rng, field, cell.guide, start, heading, own, gait)
    fibres = np.minimum(draw(rng, size, paths), 2.5)
    cortex = np.exp(-(((field.edge - 2) / 2) ** 2)) * (field.cells > 0)
    return 0.8 * fibres + rng.uniform(0.2, 0.5) * cortex + 0.05 * field.height


def intermediate_filaments(rng: np.random.Generator, cell: Anatomy) -> np.ndarray:
    """Draw a wavy cage of bundles that winds around the nucleus and frays outwards."""
    field = cell.field
    size = len(field.edge)
    cytoplasm = (field.outside > 2) & (field.edge > 5)
    start = scatter(rng, rng.uniform(0.020, 0.040) * np.exp(-field.outside / rng.uniform(9, 18)) * cytoplasm)
    own = value_at(field.cells, start)
    turn = rng.choice([-1, 1], len(start)) * rng.normal(1.35, 0.5, len(start))
    heading = from_nucleus(field, start, own) * np.exp(1j * turn)
    gait = Gait(steps=26, stride=3, wobble=0.17, bend=0.05, respect=0.95, margin=4)
    paths = walk(rng, field, cell.guide, start, heading, own, gait)
    cage = np.minimum(draw(rng, size, paths), 2.5)
    return 0.55 * cage + 0.10 * field.height * np.exp(-field.outside / 25)


# In the order of msrgan.datasets.localisation: the index is the class label.
PATTERNS = (
    nucleus, nucleoli, nuclear_membrane, golgi_apparatus, endoplasmic_reticulum, vesicles, plasma_membrane,
    mitochondria, cytosol, microtubules, centrosome, actin_filaments, intermediate_filaments,
)  # fmt: skip
