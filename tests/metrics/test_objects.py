import cv2
import numpy as np
import pytest

from msrgan.metrics.objects import agreement, segment


def discs(*centres, size=64, radius=8):
    """Label map of discs, in which a later one lies upon an earlier one."""
    labels = np.zeros((size, size), np.int32)
    rows, columns = np.mgrid[:size, :size]
    for k, (y, x) in enumerate(centres, start=1):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = k
    return labels


def picture(labels, seed=0):
    """Objects of unequal brightness on a dark, noisy ground."""
    rng = np.random.default_rng(seed)
    brightness = np.concatenate([[0], rng.uniform(0.7, 1, labels.max())])
    return brightness[labels] + rng.normal(0, 0.03, labels.shape)


SCENES = {
    "apart": discs((14, 14), (14, 48), (46, 20)),
    "touching": discs((32, 24), (32, 39)),
    "at the border": discs((0, 0), (63, 40), (30, 63)),
    "small, at the border": discs((1, 20), (30, 62), radius=5),
    "oval": cv2.ellipse(np.zeros((64, 64), np.int32), (32, 32), (24, 8), 30, 0, 360, 1, thickness=-1),
    "three in a row": discs((32, 16), (32, 31), (32, 46)),
}


@pytest.mark.parametrize("scene", SCENES)
def test_discs_are_found(scene):
    labels = segment(picture(SCENES[scene]))
    assert labels.dtype == np.int32
    assert labels.shape == (64, 64)
    assert np.unique(labels).tolist() == list(range(SCENES[scene].max() + 1))
    scored = agreement(labels, SCENES[scene])
    assert scored["f1"] == 1
    assert scored["dice"] > 0.97


@pytest.mark.parametrize(("factor", "offset"), [(1, 1000), (1, -3), (250, 0), (1e-4, 0.5)])
def test_gain_and_offset_do_not_matter(factor, offset):
    image = picture(SCENES["touching"])
    np.testing.assert_array_equal(segment(factor * image + offset) > 0, segment(image) > 0)
    assert agreement(segment(factor * image + offset), segment(image))["f1"] == 1


def test_holes_are_filled_and_specks_dropped():
    labels = discs((30, 30), radius=12)
    image = picture(labels)
    image[28:33, 28:33] = 0
    image[5:8, 50:53] = 1
    assert agreement(segment(image), labels)["f1"] == 1
    assert segment(image)[30, 30] == 1
    assert segment(image, smallest=4).max() == 2


def test_two_grey_levels_are_enough():
    labels = SCENES["touching"]
    assert agreement(segment((labels > 0).astype(np.uint8)), labels)["dice"] > 0.97


def test_a_slighter_waist_does_not_part():
    assert segment(picture(SCENES["touching"]), waist=8).max() == 1


def test_all_foreground_belongs_to_an_object():
    image = np.zeros((40, 40))
    image[20, 3:37] = 1
    labels = segment(image, sigma=0.1)
    np.testing.assert_array_equal(labels > 0, image > 0)


@pytest.mark.parametrize("image", [np.zeros((20, 20)), np.full((1, 3), 7, np.uint16), np.eye(5)])
def test_nothing_is_found_where_nothing_is(image):
    assert not segment(image).any()


# Agreement


def test_agreement_by_hand():
    reference = np.array([[1, 1, 0, 2, 2, 2], [1, 1, 0, 0, 0, 9]])
    labels = np.array([[4, 4, 4, 0, 7, 7], [4, 0, 0, 0, 0, 0]])
    # Foregrounds of 6 and 8 pixels share 5. Object 4 has 3 of 5 pixels in common with 1, 7 has 2 of 3 with 2.
    assert agreement(labels, reference) == {"dice": 10 / 14, "f1": 4 / 5, "count": 2}
    assert agreement(reference, labels) == {"dice": 10 / 14, "f1": 4 / 5, "count": 3}
    assert agreement(reference, reference) == {"dice": 1, "f1": 1, "count": 3}


def test_less_than_half_is_no_match():
    reference, labels = np.zeros((2, 9), int), np.zeros((2, 9), int)
    reference[:, :4] = 1
    labels[:, 2:6] = 1  # 4 of 12
    assert agreement(labels, reference) == {"dice": 0.5, "f1": 0, "count": 1}
    labels[:, 1:3] = 1
    labels[:, 5:] = 0  # 6 of 10
    assert agreement(labels, reference)["f1"] == 1


def test_an_object_matches_one_only():
    halves, whole = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])
    # Either half has an intersection over union of exactly .5 with the whole.
    for labels, reference in ((halves, whole), (whole, halves)):
        assert agreement(labels, reference)["f1"] == pytest.approx(2 / 3)
        assert agreement(labels, reference)["dice"] == 1


def test_matching_is_one_to_one_both_ways():
    labels = np.array([[1, 1, 1, 1, 2, 2, 3, 3]])
    reference = np.array([[4, 4, 5, 5, 6, 6, 6, 6]])
    assert agreement(labels, reference)["f1"] == pytest.approx(2 * 2 / 6)


def test_agreement_of_nothing():
    empty, one = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert agreement(empty, empty) == {"dice": 1, "f1": 1, "count": 0}
    assert agreement(empty, one) == {"dice": 0, "f1": 0, "count": 0}
    assert agreement(one, empty) == {"dice": 0, "f1": 0, "count": 1}


def test_agreement_takes_any_integers():
    full, boolean = np.full((4, 4), 65535, np.uint16), np.ones((4, 4), bool)
    assert agreement(full, boolean) == {"dice": 1, "f1": 1, "count": 1}


def test_agreement_checks_shapes():
    with pytest.raises(ValueError, match="one shape are compared. Received: \\(2, 2\\) and \\(2, 3\\)"):
        agreement(np.zeros((2, 2), int), np.zeros((2, 3), int))


def test_nuclei_are_found(real_data):
    # Measured on the 88 of them: Dice .899, F1 .850.
    agreements = []
    for group in ("fluorescence_256x256", "fluorescence_360x360"):
        for path in sorted((real_data / "dsb2018_nuclei" / group / "images").glob("*.png")):
            image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            labels = cv2.imread(str(path.parents[1] / "labels" / path.name), cv2.IMREAD_UNCHANGED)
            agreements.append(agreement(segment(image), labels))
    assert len(agreements) > 50
    assert np.mean([scored["dice"] for scored in agreements]) > 0.88
    assert np.mean([scored["f1"] for scored in agreements]) > 0.82


def test_exactly_half_is_a_match():
    reference, labels = np.zeros((1, 4), int), np.zeros((1, 4), int)
    reference[0, :2] = labels[0, :1] = 1  # 1 of 2
    assert agreement(labels, reference)["f1"] == agreement(reference, labels)["f1"] == 1
