"""The microscope: every parameter by hand or against SciPy."""

import math

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from msrgan import options_text
from msrgan.degradation import make
from msrgan.degradation.microscope import DEFAULTS, NEUTRAL, _filter, gaussian_matrix, motion_kernel


def microscope(**parameters):
    """A microscope that has no errors but these."""
    ranges = {k: v if isinstance(v, tuple) else (v, v) for k, v in parameters.items()}
    return make(options_text.render("microscope", NEUTRAL | ranges))


def test_gaussian_matrix():
    blur = gaussian_matrix(40, 3.0).numpy()
    np.testing.assert_allclose(blur.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(blur, scipy.ndimage.gaussian_filter1d(np.eye(40), 3, axis=0, truncate=10), atol=1e-6)
    np.testing.assert_array_equal(gaussian_matrix(5, 0.0), np.eye(5))


def test_motion_reflects_the_image_at_its_border():
    image = np.random.default_rng(0).uniform(size=(4, 4, 1)).astype("float32")
    kernel = np.zeros((9, 9), np.float32)
    kernel[8, 0] = 1  # takes the pixel 4 rows below, 4 columns to the left
    filtered = _filter(tf.constant(image), tf.constant(kernel))
    expected = np.pad(image, ((4, 4), (4, 4), (0, 0)), "symmetric")[8:12, 0:4]
    np.testing.assert_allclose(filtered, expected, atol=1e-6)
    wide = np.zeros((21, 21), np.float32)
    wide[20, 10] = 1  # 10 rows below: 0 1 2 3|3 2 1 0|0 1 2 3
    np.testing.assert_allclose(_filter(tf.constant(image), tf.constant(wide)), image[[2, 3, 3, 2]], atol=1e-6)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_without_errors_it_bins(scale, hr):
    lr = microscope()(hr * 3 - 1, scale=scale, seed=(1, 2))
    np.testing.assert_allclose(lr, make("area")(hr * 3 - 1, scale=scale), atol=1e-6)


def test_the_seed_decides(hr):
    degrade = make("microscope")
    first = degrade(hr, scale=4, seed=(1, 2)).numpy()
    np.testing.assert_array_equal(degrade(hr, scale=4, seed=np.array([1, 2])), first)
    assert np.abs(degrade(hr, scale=4, seed=(1, 3)) - first).max() > 0.01
    tf.random.set_seed(5)
    np.testing.assert_array_equal(degrade(hr, scale=4, seed=(1, 2)), first)


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_parameter_counts(name, hr):
    # Bleaching and read noise need photons.
    base = {"photons": 100.0}
    value = {"gain": 1.5, "photons": 10.0}.get(name, 0.5)
    changed = microscope(**base | {name: value})(hr, scale=4, seed=(0, 0)) - microscope(**base)(
        hr, scale=4, seed=(0, 0)
    )
    assert np.abs(changed).max() > 0.01


@pytest.mark.parametrize(
    ("level", "photons", "bleach", "read"),
    [(0.5, 100, 0, 0), (0.5, 100, 0.5, 0), (0.5, 20, 0, 3), (0, 50, 0, 4), (-0.5, 50, 0.2, 4), (2, 1000, 0, 10)],
)
def test_noise_has_the_variance_of_photons_and_readout(level, photons, bleach, read):
    flat = np.full((512, 512, 1), level, np.float32)
    lr = microscope(photons=photons, bleach=bleach, read=read)(flat, scale=4, seed=(7, 7)).numpy()
    detected = photons * (1 - bleach)
    expected = (max(level, 0) * detected + read**2) / detected**2
    n = lr.size
    assert lr.mean() == pytest.approx(level, abs=4 * math.sqrt(expected / n))
    # The standard error of a variance is sqrt(2 / n) of it, a little more for the skewed Poisson distribution.
    assert lr.var() == pytest.approx(expected, rel=5 * math.sqrt(2 / n))


def test_without_light_and_read_noise_nothing_is_detected():
    lr = microscope(photons=50)(np.zeros((32, 32, 1), np.float32), scale=4, seed=(0, 0))
    np.testing.assert_array_equal(lr, 0)


def test_a_range_is_drawn_from_evenly():
    flat = np.ones((2, 2, 1), np.float32)
    degrade = microscope(gain=(0.5, 1.5))
    seeds = np.stack([np.zeros(500, np.int64), np.arange(500)], axis=1)
    batch = np.repeat(flat[None], 500, axis=0)
    drawn = tf.function(lambda: degrade(batch, scale=2, seed=seeds))().numpy().ravel()  # eagerly ten times slower
    assert 0.5 <= drawn.min() < 0.52
    assert 1.48 < drawn.max() <= 1.5
    assert drawn.mean() == pytest.approx(1, abs=4 * math.sqrt(1 / 12 / 500))


def test_crosstalk_by_hand():
    image = np.zeros((4, 4, 3), np.float32)
    image[..., 1] = 1
    lr = microscope(crosstalk=0.2)(image, scale=2, seed=(0, 0)).numpy()
    np.testing.assert_allclose(lr[0, 0], [0.2, 0.8, 0.2], atol=1e-6)
    image[..., 0] = 0.5
    lr = microscope(crosstalk=0.2)(image, scale=2, seed=(0, 0)).numpy()
    # 0.8 * 0.5 + 0.2 * 1, 0.8 * 1 + 0.2 * (0.5 + 0) / 2, 0.8 * 0 + 0.2 * 1
    np.testing.assert_allclose(lr[0, 0], [0.6, 0.85, 0.2], atol=1e-6)
    for channels in (1, 2, 3, 4):
        white = np.ones((4, 4, channels), np.float32)
        np.testing.assert_allclose(microscope(crosstalk=0.3)(white, scale=2, seed=(0, 0)), 1, atol=1e-6)


def test_gain_and_offset(hr):
    lr = microscope(gain=1.1, offset=0.05)(hr, scale=4, seed=(0, 0))
    np.testing.assert_allclose(lr, make("area")(hr, scale=4) * 1.1 + 0.05, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_illumination_is_a_slope_of_mean_one(seed):
    flat = np.ones((64, 96, 1), np.float32)
    lr = microscope(illumination=0.4)(flat, scale=2, seed=(0, seed)).numpy()[..., 0]
    assert lr.mean() == pytest.approx(1, abs=1e-5)
    # The outermost LR pixels lie half an HR pixel inside the corners.
    assert lr.max() == pytest.approx(1.2, abs=0.01)
    assert lr.min() == pytest.approx(0.8, abs=0.01)
    np.testing.assert_allclose(np.diff(lr, axis=0), (lr[-1, 0] - lr[0, 0]) / 31, atol=1e-5)
    np.testing.assert_allclose(np.diff(lr, axis=1), (lr[0, -1] - lr[0, 0]) / 47, atol=1e-5)


def test_point_spread_is_scipys_gaussian(hr):
    blurred = scipy.ndimage.gaussian_filter(hr, (2.8, 2.8, 0), mode="reflect", truncate=8)
    lr = microscope(psf=0.7)(hr, scale=4, seed=(0, 0))
    np.testing.assert_allclose(lr, make("area")(blurred, scale=4), atol=1e-5)


@pytest.mark.parametrize("length", [0, 0.5, 1, 3, 5.5])
@pytest.mark.parametrize("angle", [0, 0.3, math.pi / 4, 2])
def test_motion_kernel(length, angle):
    kernel = motion_kernel(float(length), float(angle), 9).numpy()
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)
    y, x = np.mgrid[-4:5, -4:5]
    along = x * math.cos(angle) + y * math.sin(angle)
    # A line of length L has the variance L^2 / 12; linear interpolation adds 1/4 at the most.
    assert 0 <= (kernel * along**2).sum() - length**2 / 12 + 0.01 < 0.26
    if not length:
        assert kernel[4, 4] == 1


def test_motion_kernel_by_hand():
    expected = np.zeros((5, 5))
    expected[2] = [0, 0.25, 0.5, 0.25, 0]  # from the middle of the pixel before to that of the pixel behind
    np.testing.assert_allclose(motion_kernel(2.0, 0.0, 5), expected, atol=1e-6)
    np.testing.assert_allclose(motion_kernel(2.0, math.pi / 2, 5), expected.T, atol=1e-6)


def test_motion_blurs_along_one_direction_and_moves_nothing():
    image = np.zeros((64, 64, 1), np.float32)
    image[31:33, 31:33] = 1
    y, x = np.mgrid[:32, :32] - 15.5
    for seed in range(5):
        lr = microscope(motion=4)(image, scale=2, seed=(0, seed)).numpy()[..., 0]
        total = lr.sum()
        assert total == pytest.approx(1, abs=1e-5)
        assert abs((lr * y).sum()) + abs((lr * x).sum()) < 1e-3
        moments = np.array([[(lr * a * b).sum() / total for a in (y, x)] for b in (y, x)])
        short, long = np.linalg.eigvalsh(moments)
        # LR pixels: 4^2 / 12 along the motion; across it the spot and the pixels alone.
        assert long - short == pytest.approx(4**2 / 12, abs=0.1)


@pytest.mark.parametrize("displacement", [0.5, -0.5])
def test_distortion_displaces_the_corners(displacement):
    scale, size = 4, 64
    rows, columns = np.mgrid[:size, :size].astype("float32")
    ramp = np.stack([rows, columns], axis=-1)
    lr = microscope(distortion=displacement)(ramp, scale=scale, seed=(0, 0)).numpy()
    straight = make("area")(ramp, scale=scale).numpy()
    y, x = np.mgrid[: size // scale, : size // scale] - (size // scale - 1) / 2
    centre = (size - 1) / 2 / scale
    # LR pixels; in the ramps a displacement reads as a difference. Beyond the border nothing is known.
    expected = displacement * (y**2 + x**2) / (2 * centre**2) ** 1.5
    inside = slice(2, -2)
    for k, position in enumerate((y, x)):
        shift = (lr - straight)[..., k] / scale
        np.testing.assert_allclose(shift[inside, inside], (expected * position)[inside, inside], atol=0.01)
    np.testing.assert_allclose(lr[8, 8], straight[8, 8], atol=0.01)
