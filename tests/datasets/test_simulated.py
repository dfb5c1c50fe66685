"""The simulated image set: determinism, where each pattern lies, masks, and the TFDS builder."""

import collections

import cv2
import numpy as np
import pytest

from msrgan.datasets.localisation import LOCALISATIONS
from msrgan.datasets.simulator import cell_line, simulate, stain
from msrgan.datasets.simulator.optics import photon_noise
from msrgan.datasets.simulator.proteins import PATTERNS
from msrgan.datasets.simulator.shapes import OVERSAMPLING, geometry
from msrgan.datasets.simulator.structures import anatomy

SIZE = 128


def scene(seed, size=SIZE):
    """A field of cells with its structures, before any staining."""
    rng = np.random.default_rng(seed)
    return rng, anatomy(rng, geometry(rng, cell_line(seed), size * OVERSAMPLING))


def patterns(label, count=4):
    """The stain of one class in a few scenes, with the geometry of each."""
    for seed in range(count):
        rng, cell = scene([seed, label])
        yield PATTERNS[label](rng, cell), cell


def share(light, where):
    return light[where].sum() / light.sum()


def test_one_pattern_for_each_class_in_the_order_of_the_labels():
    assert [pattern.__name__.replace("_", " ") for pattern in PATTERNS] == [n.lower() for n in LOCALISATIONS]


def test_same_seed_gives_same_bytes():
    first, again, other = (simulate(7, seed, size=SIZE) for seed in ([3, 1], [3, 1], [3, 2]))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.image != other.image).mean() > 0.5
    assert (first.cells != other.cells).any()


def test_label_changes_green_but_not_the_cells():
    ratios = {0: [], 8: []}
    for seed in range(6):
        fields = {label: simulate(label, seed, size=SIZE) for label in ratios}
        np.testing.assert_array_equal(fields[0].cells, fields[8].cells)
        np.testing.assert_array_equal(fields[0].nuclei, fields[8].nuclei)
        inside = fields[0].nuclei > 0
        around = (fields[0].cells > 0) & ~inside
        for label, field in fields.items():
            green = field.image[..., 1].astype(float)
            ratios[label].append(green[inside].mean() / green[around].mean())
    assert np.median(ratios[0]) > 2
    assert np.median(ratios[8]) < 0.8


@pytest.mark.parametrize("size", [64, 96, 192])
def test_image_and_masks(size):
    for seed in range(4):
        field = simulate(seed, [11, seed], size=size)
        assert field.image.shape == (size, size, 3)
        assert field.image.dtype == np.uint8
        assert field.image.max() > 60
        assert field.nuclei.shape == field.cells.shape == (size, size)
        assert field.nuclei.dtype == field.cells.dtype == np.uint16
        inside = field.nuclei > 0
        np.testing.assert_array_equal(field.nuclei[inside], field.cells[inside])
        for mask in (field.nuclei, field.cells):
            np.testing.assert_array_equal(np.unique(mask[mask > 0]), np.arange(1, mask.max() + 1))
        assert 0.02 < inside.mean() < 0.5 * (field.cells > 0).mean() + 0.1


@pytest.mark.parametrize("mean", [3, 30, 3000])
def test_photon_noise_has_the_moments_of_poisson(mean):
    counts = photon_noise(np.random.default_rng(0), np.full(200_000, mean, np.float32))
    assert counts.mean() == pytest.approx(mean, abs=0.3 + 0.003 * mean**0.5)
    assert counts.var() == pytest.approx(mean, rel=0.06)


@pytest.mark.parametrize("label", range(len(PATTERNS)))
def test_field_inside_one_cell(label):
    """Without any border in view the distances to it are infinite."""
    line = cell_line(1)._replace(radius=400, protrusions=0, elongation=1, roughness=0)
    field = simulate(label, 4, size=64, line=line)
    assert field.cells.min() == field.cells.max() == 1
    assert field.image.any()


def test_blue_marks_the_nuclei_and_red_avoids_them():
    field = simulate(10, 21, size=192)
    inside, around = field.nuclei > 0, (field.cells > 0) & (field.nuclei == 0)
    red, _, blue = np.moveaxis(field.image.astype(float), -1, 0)
    background = np.median(blue[field.cells == 0])
    assert blue[inside].mean() - background > 5 * (blue[around].mean() - background)
    assert red[around].mean() > red[inside].mean()


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [
        (0, 0.99, 1),
        (1, 0.99, 1),
        (3, 0, 0.1),
        (4, 0, 0.02),
        (5, 0, 0.15),
        (6, 0, 0.2),
        (7, 0, 0.1),
        (8, 0, 0.3),
    ],
)
def test_share_of_the_stain_inside_the_nuclei(label, low, high):
    for protein, cell in patterns(label):
        assert low <= share(protein, cell.field.nuclei > 0) <= high + 1e-6


def test_nucleoli_stain_is_dense_in_the_nucleoli():
    for protein, cell in patterns(1):
        spots = cell.nucleoli > 0.5
        assert protein[spots].mean() > 4 * protein[(cell.field.nuclei > 0) & (cell.nucleoli == 0)].mean()


def test_nuclear_membrane_peaks_at_the_border_of_the_nucleus():
    for protein, cell in patterns(2):
        depth = (cell.field.inside - cell.field.outside).round()
        profile = {at: protein[depth == at].mean() for at in range(-12, 13)}
        assert abs(max(profile, key=profile.get)) <= 1
        assert profile[0] + profile[1] > 4 * (profile[-12] + profile[12])


def test_plasma_membrane_peaks_at_the_border_of_the_cell():
    for protein, cell in patterns(6):
        near = protein[(cell.field.edge > 0) & (cell.field.edge < 4)].mean()
        assert near > 3 * protein[cell.field.edge > 12].mean()


def test_centrosome_stain_is_a_point():
    for protein, cell in patterns(10):
        # The faint cytosol under it is at most 0.1.
        spots = protein > 0.5
        assert 0 < spots.mean() < 0.002
        assert cell.field.cells[spots].all()
    for seed in range(4):
        green = simulate(10, seed).image[..., 1].astype(float)
        signal = green - np.median(green)
        assert (signal > 0.7 * signal.max()).mean() < 0.02


def test_golgi_lies_on_one_side_of_the_nucleus():
    for protein, cell in patterns(3):
        for label in range(1, cell.field.nuclei.max() + 1):
            row, column = np.nonzero((cell.field.cells == label) & (protein > 0.5))
            if len(row) < 30:
                continue  # Cut by the border of the field.
            away = column + 1j * row - cell.field.centres[label - 1]
            # The mean direction is near 0 for a full ring and 1 for a point.
            assert abs((away / abs(away)).mean()) > 0.5


def test_mitochondria_and_intermediate_filaments_crowd_around_the_nucleus():
    for label in (4, 7, 12):
        total = collections.Counter()
        for protein, cell in patterns(label):
            cytoplasm = (cell.field.nuclei == 0) & (cell.field.cells > 0)
            for name, ring in (("near", cell.field.outside < 12), ("far", cell.field.outside > 30)):
                total[name, "light"] += protein[cytoplasm & ring].sum()
                total[name, "area"] += (cytoplasm & ring).sum()
        assert total["near", "light"] / total["near", "area"] > 1.5 * total["far", "light"] / total["far", "area"]


def test_actin_fibres_are_parallel_and_intermediate_filaments_are_not():
    def coherence(label):
        values = []
        for protein, cell in patterns(label):
            slope_y, slope_x = np.gradient(protein)
            for number in range(1, cell.field.nuclei.max() + 1):
                inner = (cell.field.cells == number) & (cell.field.edge > 8)
                if inner.sum() > 1500:
                    # Doubled angles, so that both sides of a fibre count as one direction.
                    turn = ((slope_x + 1j * slope_y)[inner]) ** 2
                    values.append(abs(turn.sum()) / abs(turn).sum())
        return np.mean(values)

    assert coherence(11) > 0.6 > 0.35 > coherence(12)


def test_microtubule_stain_follows_the_red_channel():
    rng, cell = scene(8)
    stains = stain(rng, 9, cell)
    assert stains.dtype == np.float32
    red, green, _ = stains
    cells = cell.field.cells == 1
    assert np.corrcoef(red[cells], green[cells])[0, 1] > 0.9


def test_fine_detail_survives_the_camera():
    """A 4x reduction must lose more than noise, or super-resolution on this set would mean nothing."""
    ratios = []
    for seed in range(6):
        field = simulate(9, seed)
        red = field.image[..., 0].astype(np.float32)
        small = cv2.resize(red, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        lost = red - cv2.resize(small, red.shape, interpolation=cv2.INTER_CUBIC)
        ratios.append(lost[field.cells > 0].std() / lost[field.cells == 0].std())
    assert np.median(ratios) > 2.5


@pytest.mark.parametrize(
    ("label", "size", "word"), [(13, 192, "label"), (-1, 192, "label"), (0, 100, "size"), (0, 32, "size")]
)
def test_bad_arguments(label, size, word):
    with pytest.raises(ValueError, match=f"{word} must be"):
        simulate(label, 0, size=size)


def test_builder(tmp_path):
    from msrgan.datasets.simulated.builder import Simulated, SimulatedConfig, draw_field

    config = SimulatedConfig(name="tiny", fields=(4, 2, 2), size=64)
    builder = Simulated(config=config, data_dir=tmp_path)
    builder.download_and_prepare()
    groups = {}
    for split, repeats in (("train", 4), ("validation", 2), ("test", 2)):
        rows = list(builder.as_dataset(split=split).as_numpy_iterator())
        labels = [row["label"] for row in rows]
        np.testing.assert_array_equal(np.bincount(labels), [repeats] * len(LOCALISATIONS))
        assert len({row["id"] for row in rows}) == len(rows)
        groups[split] = collections.Counter(row["group"] for row in rows)
        assert set(groups[split].values()) == {2}
    assert not groups["train"].keys() & groups["validation"].keys()
    assert not (groups["train"].keys() | groups["validation"].keys()) & groups["test"].keys()

    row = rows[0]
    field = draw_field(int(row["id"][-5:]), split=2, seed=config.seed, size=64)
    assert row["group"].decode() == f"test-class{row['label']:02d}-well000"
    assert builder.info.features["label"].names == list(LOCALISATIONS)
    np.testing.assert_array_equal(row["image"], field.image)
    np.testing.assert_array_equal(row["mask"][..., 0], field.nuclei)
    np.testing.assert_array_equal(row["cells"][..., 0], field.cells)
    assert "SIMULATED" in builder.info.description
