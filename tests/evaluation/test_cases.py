import numpy as np
import pytest
from conftest import smooth

from msrgan import io, models
from msrgan.degradation import content_seed, make
from msrgan.degradation.kernels import area
from msrgan.evaluation.cases import cases, enlarge, make_case
from msrgan.evaluation.scores import compare
from msrgan.intensity import PERCENTILE, RANGE


def case_of(example, degradation=None, **options):
    return make_case(example, **{"scale": 4, "normalization": RANGE, "degradation": degradation} | options)


def test_a_made_lr_image_is_rounded_as_in_a_file():
    image = smooth((50, 67, 1))
    case = case_of({"image": image}, make("area"))
    means = image[:48, :64].reshape(12, 4, 16, 4, 1).mean(axis=(1, 3))
    np.testing.assert_allclose(case.hr, image[:48, :64] / 65535, rtol=1e-6)
    assert np.abs(case.lr_file - means).max() <= 0.501  # a half is rounded up or down
    np.testing.assert_allclose(case.lr, case.lr_file / 65535, rtol=1e-6)
    assert case.lr_file.dtype == np.uint16
    assert case.degradation.function is area
    assert case.mask is None
    sr = np.ones((2, 2, 1))
    assert case.matched(sr) is sr


def test_a_random_degradation_draws_from_the_whole_image():
    """What is cropped belongs to the content, so that a file is degraded alike whatever the scale."""
    image, noise = smooth((50, 50, 1)), make("microscope")
    case = case_of({"image": image}, noise)
    expected = noise(image[:48, :48] / np.float32(65535), scale=4, seed=content_seed(io.content_hash(image)))
    np.testing.assert_allclose(case.lr, np.maximum(expected, 0), atol=1e-5)  # as a file of 16 bits holds it
    other = case_of({"image": image[:48, :48]}, noise)
    assert np.abs(other.lr - case.lr).max() > 0.001


def test_an_acquired_lr_image_has_a_range_of_its_own():
    image = smooth((48, 64, 1))
    lr = image[1::4, 1::4] // 2 + 7
    case = case_of({"image": image, "lr": lr}, normalization=PERCENTILE)
    low, high = np.percentile(lr, (0.1, 99.9))
    np.testing.assert_allclose(case.lr, (lr - low) / (high - low), atol=1e-6)
    np.testing.assert_array_equal(case.lr_file, lr)
    low, high = np.percentile(image, (0.1, 99.9))
    np.testing.assert_allclose(case.hr, (image - low) / (high - low), atol=1e-6)
    # By the gain and the offset of least squared error, any exposure becomes that of the HR image.
    np.testing.assert_allclose(case.matched(5 * case.hr - 3), case.hr, atol=1e-6)
    with pytest.raises(ValueError, match=r"exactly 1/4 of the sides.*Received: \(12, 16, 1\) of \(49, 64, 1\)"):
        case_of({"image": smooth((49, 64, 1)), "lr": lr})


def test_grey_images_are_repeated():
    image = smooth((48, 64, 1))
    pair = {"image": image, "lr": image[1::4, 1::4]}
    for degradation in (None, make("area")):
        grey, colour = (case_of(pair, degradation, channels=channels) for channels in (1, 3))
        for one, three in ((grey.hr, colour.hr), (grey.lr, colour.lr)):
            np.testing.assert_allclose(np.repeat(one, 3, axis=-1), three, rtol=1e-6)
        assert colour.lr_file.shape == (12, 16, 3)


def test_masks():
    image, mask = smooth((50, 48, 1)), np.zeros((50, 48), np.int32)
    for none in (None, mask, np.zeros((0, 0), np.int32)):
        assert case_of({"image": image, "mask": none}, make("area")).mask is None
    mask[49] = 3
    mask[5, 5] = 300
    np.testing.assert_array_equal(case_of({"image": image, "mask": mask[..., None]}, make("area")).mask, mask[:48])
    with pytest.raises(ValueError, match="height and width of its image"):
        case_of({"image": image, "mask": mask.T}, make("area"))


def test_results_are_rounded_as_in_files():
    image = smooth((48, 48, 1), np.uint8)
    case = enlarge({"image": image}, models.load("bicubic"), make("area"))
    for sr in case.enlarged.values():
        levels = case.limits.denormalize(sr, np.float32)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    np.testing.assert_array_equal(case.enlarged["model"], case.enlarged["bicubic"])
    assert case.enlarged.keys() == case.seconds.keys() == {"model", "nearest", "bicubic", "lanczos"}


def test_the_corrections_are_of_the_model_alone():
    image = np.random.default_rng(0).integers(0, 65535, (48, 40, 1), dtype=np.uint16)
    plain, corrected = (
        enlarge({"image": image}, models.load("bicubic"), make("bicubic"), consistent=consistent)
        for consistent in (False, True)
    )
    errors = {
        name: np.abs(make("bicubic")(sr, scale=4, seed=np.zeros(2, np.int64)).numpy() - corrected.lr).max()
        for name, sr in corrected.enlarged.items()
    }
    assert errors["model"] < 2e-4
    assert errors["bicubic"] > 0.01
    np.testing.assert_array_equal(corrected.enlarged["bicubic"], plain.enlarged["model"])


def test_images_that_cannot_be_used_are_skipped_and_named():
    images = {"small": smooth((12, 48, 1)), "good": smooth((48, 48, 1)), "flat": np.full((48, 48, 1), 9, np.uint16)}
    examples = [{"id": name, "image": image} for name, image in images.items()]

    def contrast(case):
        if not np.ptp(case.hr):
            raise ValueError("is flat")
        return float(np.ptp(case.hr))

    skipped = {}
    model = models.load("nearest")
    ((example, case, value),) = cases(model, examples, contrast, degradation="area", skipped=skipped)
    assert example is examples[1]
    assert value == np.ptp(case.hr) > 0
    assert skipped == {"small": "An image must have 16 pixels or more a side. Received: (12, 48, 1)", "flat": "is flat"}
    with pytest.raises(ValueError, match="No image could be scored. flat: is flat"):
        list(cases(model, examples[2:], contrast, degradation=None, skipped={}))


def test_an_image_that_does_not_fit_into_memory_is_skipped():
    def use(case):
        if case.hr.shape[0] == 48:
            raise MemoryError
        return case.hr.shape

    examples = [{"id": name, "image": smooth((size, 48, 1))} for name, size in (("large", 48), ("small", 32))]
    skipped = {}
    used = list(cases(models.load("bicubic"), examples, use, degradation="area", skipped=skipped))
    assert [example["id"] for example, _, _ in used] == ["small"]
    assert skipped == {"large": "It does not fit into memory, or its enlargements do not. Use parts of it"}


def test_compare_leaves_out_channels_that_do_not_vary():
    hr = np.zeros((16, 16, 2))
    hr[..., 0] = np.indices((16, 16)).sum(axis=0) % 2
    sr = hr + 0.25
    scored = compare(hr, sr)
    assert (scored["mse"], scored["psnr"]) == (0.0625, pytest.approx(-10 * np.log10(0.0625)))
    sr[..., 1] += 5
    assert compare(hr, sr) == scored
    mask = np.zeros((16, 16))
    mask[3, 3] = 1
    sr[3, 3, 0] = hr[3, 3, 0] + 0.5
    assert compare(hr, sr, mask)["mse"] == 0.25
