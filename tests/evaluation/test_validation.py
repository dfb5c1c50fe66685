"""Scores while a generator trains."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import smooth
from skimage.metrics import peak_signal_noise_ratio

from msrgan import intensity, io
from msrgan.degradation import content_seed, make
from msrgan.evaluation.validation import Validation
from msrgan.intensity import PERCENTILE, RANGE


def test_validation_degrades_by_content():
    shown = np.stack([smooth((48, 48, 1), seed=k) for k in range(2)])
    names = ["a", "b"]
    settings = {"degradation": make("microscope"), "scale": 4, "channels": 1, "normalization": PERCENTILE}
    cases = [
        Validation(tf.data.Dataset.from_tensor_slices({"id": names[::step], "image": shown[::step]}), **settings).cases
        for step in (1, -1)
    ]
    np.testing.assert_array_equal(cases[0][0].lr, cases[1][1].lr)
    limits = intensity.percentiles(shown[0])
    seed = content_seed(io.content_hash(shown[0]))
    expected = make("microscope")(limits.normalize(shown[0]), scale=4, seed=seed)
    in_file = limits.normalize(limits.denormalize(expected, shown.dtype))
    np.testing.assert_allclose(cases[0][0].lr, in_file, atol=1e-6)


def test_validation_looks_at_the_centre():
    image = smooth((50, 800, 1))
    cases = Validation(
        tf.data.Dataset.from_tensors({"id": "a", "image": image}),
        degradation=make("area"),
        scale=4,
        channels=1,
        normalization=RANGE,
    ).cases
    lr, hr = cases[0].lr, cases[0].hr
    np.testing.assert_allclose(hr, image[0:48, 208:592] / 65535, atol=1e-6)
    np.testing.assert_allclose(lr, hr.reshape(12, 4, 96, 4, 1).mean(axis=(1, 3)), atol=0.51 / 65535)  # rounded


def test_validation_degrades_the_whole_image():
    image = smooth((51, 800, 1))
    degrade = make("microscope:distortion=2,illumination=0.5")
    settings = {"degradation": degrade, "scale": 4, "channels": 1, "normalization": PERCENTILE}
    (case,) = Validation(tf.data.Dataset.from_tensors({"id": "a", "image": image}), **settings).cases
    limits = intensity.percentiles(image[:48])
    whole = limits.normalize(image[:48])
    expected = degrade(whole, scale=4, seed=content_seed(io.content_hash(image)))
    in_file = limits.normalize(limits.denormalize(expected, image.dtype))
    np.testing.assert_allclose(case.lr, in_file[:, 52:148], atol=1e-6)
    np.testing.assert_allclose(case.hr, whole[:, 208:592], atol=1e-6)


def test_validation_interpolates_on_the_grid_of_the_degradation():
    rows_, columns = np.mgrid[:64, :64]
    wave = (20000 + 9000 * (np.sin(rows_ / 7) + np.cos(columns / 9)))[..., None].astype(np.uint16)
    dataset = tf.data.Dataset.from_tensors({"id": "a", "image": wave})
    settings = {"degradation": make("thesis"), "scale": 4, "channels": 1, "normalization": PERCENTILE}
    assert Validation(dataset, **settings).bicubic["psnr"] > 35


def test_an_empty_detail_counts_for_no_method():
    shown = np.stack([smooth((48, 48, 1)), np.zeros((48, 48, 1), np.uint16)])
    settings = {"degradation": make("area"), "scale": 4, "channels": 1, "normalization": RANGE}

    def blurred(lr):
        return np.asarray(tf.image.resize(lr, [4 * n for n in lr.shape[1:3]])) + 1e-4

    def scored(chosen):
        dataset = tf.data.Dataset.from_tensor_slices({"id": ["a", "b"][: len(chosen)], "image": chosen})
        scored = Validation(dataset, **settings)(blurred)
        return scored["val_psnr"], scored["val_psnr_bicubic"]

    assert np.isfinite(scored(shown)).all()
    assert scored(shown) == scored(shown[:1])
    assert scored(shown[1:])[1] == np.inf


def test_empty_channels_do_not_count():
    image = smooth((48, 48, 1))
    more = np.concatenate([image, np.zeros_like(image), np.full_like(image, 9)], axis=-1)

    def validated(chosen, channels):
        dataset = tf.data.Dataset.from_tensors({"id": "a", "image": chosen})
        settings = {"degradation": make("bicubic"), "scale": 4, "channels": channels, "normalization": PERCENTILE}
        return Validation(dataset, **settings).bicubic

    assert validated(image, 1) == pytest.approx(validated(more, 3))


@pytest.mark.parametrize("levels", [(7, 7, 7), (7, 9, 11)])
def test_constant_channels_of_any_levels_are_an_empty_detail(levels):
    flat = np.broadcast_to(np.uint8(levels), (48, 48, 3))
    image = smooth((48, 48, 3), np.uint8)
    settings = {"degradation": make("area"), "scale": 4, "channels": 3, "normalization": RANGE}
    alone, both = (Validation(_images(shown), **settings).bicubic for shown in ([image], [image, flat]))
    assert both["psnr"] == alone["psnr"]
    assert both["ssim"] == pytest.approx((alone["ssim"] + 1) / 2)


def test_acquired_images_are_matched_in_intensity_before_they_are_scored():
    """The LR image is of half the exposure, and its own range is its unit: a gain of any size changes no score."""
    image = smooth((48, 64, 1))
    lr = image.reshape(12, 4, 16, 4, 1).mean(axis=(1, 3)).astype(np.uint16) // 2
    pair = tf.data.Dataset.from_tensors({"id": "a", "image": image, "lr": lr})
    validation = Validation(pair, degradation=None, scale=4, channels=1, normalization=PERCENTILE)
    low, high = np.percentile(lr, (0.1, 99.9))
    np.testing.assert_allclose(validation.cases[0].lr, (lr - low) / (high - low), atol=1e-6)

    def enlarged(lr):
        return tf.image.resize(lr, [4 * n for n in lr.shape[1:3]], "bicubic")

    scored = validation(enlarged)
    assert scored["val_psnr"] == pytest.approx(scored["val_psnr_bicubic"], abs=1e-4)
    assert validation(lambda lr: 3 * enlarged(lr) + 1)["val_psnr"] == pytest.approx(scored["val_psnr"], abs=1e-3)
    sr = tf.image.resize(lr.astype(np.float64), (48, 64), "bicubic").numpy().ravel()
    hr = image.astype(np.float64).ravel()
    gain, offset = np.polyfit(sr, hr, 1)
    span = np.ptp(np.percentile(hr, (0.1, 99.9)))
    expected = peak_signal_noise_ratio(hr, gain * sr + offset, data_range=span)
    assert scored["val_psnr"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("pixel", [np.nan, np.inf, 1e30])
def test_a_generator_of_nonsense_is_scored_without_warnings(pixel):
    settings = {"degradation": make("area"), "scale": 4, "channels": 1, "normalization": PERCENTILE}
    validation = Validation(_images([smooth((48, 48, 1))]), **settings)
    scored = validation(lambda lr: tf.image.resize(lr, [4 * n for n in lr.shape[1:3]]) + pixel)
    assert np.isfinite(scored["val_ssim"]) == np.isfinite(pixel)
    assert scored["val_psnr_bicubic"] > 10
    if np.isfinite(pixel):
        assert validation.sample().max() == 255


def test_masks_of_training_images_play_no_part():
    examples = {"id": ["a"], "image": [smooth((48, 48, 1))], "mask": np.ones((1, 9, 9), np.int32)}
    settings = {"degradation": make("area"), "scale": 4, "channels": 1, "normalization": RANGE}
    (case,) = Validation(tf.data.Dataset.from_tensor_slices(examples), **settings).cases
    assert case.mask is None


def test_an_image_that_does_not_fit_is_named():
    image = smooth((48, 48, 3))
    with pytest.raises(ValueError, match="^0: An image must have 1 channels"):
        Validation(_images([image]), degradation=make("area"), scale=4, channels=1, normalization=RANGE)


def _images(images):
    names = [str(k) for k in range(len(images))]
    return tf.data.Dataset.from_tensor_slices({"id": names, "image": np.stack(images)})
