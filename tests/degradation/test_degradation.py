import math

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from PIL import Image

from msrgan import io, models, options_text
from msrgan.degradation import DEGRADATIONS, content_seed, make
from msrgan.degradation.microscope import DEFAULTS, NEUTRAL, _filter, gaussian_matrix, motion_kernel

LINEAR = [name for name in DEGRADATIONS if name != "microscope"]


@pytest.fixture
def hr():
    return np.random.default_rng(0).uniform(size=(24, 32, 2)).astype("float32")


def microscope(**parameters):
    """A microscope that has no errors but these."""
    ranges = {k: v if isinstance(v, tuple) else (v, v) for k, v in parameters.items()}
    return make(options_text.render("microscope", NEUTRAL | ranges))


# Every degradation


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shape_and_equality_of_eager_graph_and_batch(name, scale, hr):
    degrade, seeds = make(name), np.array([[3, 4], [5, 6]])
    batch = np.stack([hr, hr[::-1]])
    single = [degrade(image, scale=scale, seed=seed).numpy() for image, seed in zip(batch, seeds, strict=True)]
    assert single[0].shape == (24 // scale, 32 // scale, 2)
    assert single[0].dtype == np.float32
    np.testing.assert_allclose(degrade(batch, scale=scale, seed=seeds), single, atol=1e-6)
    both = tf.data.Dataset.from_tensor_slices((batch, seeds))
    together = both.batch(2).map(lambda x, seed: degrade(x, scale=scale, seed=seed))
    np.testing.assert_allclose(next(iter(together)), single, atol=1e-6)
    unknown = tf.TensorSpec((None, None, 2)), tf.TensorSpec(2, tf.int64)
    one_by_one = tf.data.Dataset.from_generator(lambda: zip(batch, seeds, strict=True), output_signature=unknown).map(
        lambda x, seed: degrade(x, scale=scale, seed=seed)
    )
    np.testing.assert_allclose(list(one_by_one), single, atol=1e-6)


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_mean_intensity(name, scale):
    rng = np.random.default_rng(1)
    smooth = scipy.ndimage.gaussian_filter(rng.uniform(size=(96, 96, 1)), (2, 2, 0), mode="reflect")
    hr = np.float32((smooth - smooth.min()) / np.ptp(smooth))
    options = ":gain=1,offset=0" if name == "microscope" else ""
    lr = make(name + options)(hr, scale=scale, seed=(0, 1)).numpy()
    # The noise of the microscope: less than 0.06 a pixel, of 144 pixels or more.
    assert lr.mean() == pytest.approx(hr.mean(), abs=4 * 0.06 / 12 if name == "microscope" else 0.01)
    assert -0.3 < lr.min() < lr.max() < 1.3


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_flat_image_stays_flat_and_units_play_no_part(name, scale, hr):
    degrade = make(name)
    flat = degrade(np.full((24, 32, 1), 0.3, np.float32), scale=scale).numpy()
    np.testing.assert_allclose(flat, 0.3, atol=1e-6)
    np.testing.assert_allclose(degrade(hr * 3 - 1, scale=scale), degrade(hr, scale=scale) * 3 - 1, atol=1e-5)


# Kernels


def test_bicubic_is_pillows(hr):
    reference = np.array(Image.fromarray(hr[..., 0]).resize((8, 6), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(make("bicubic")(hr, scale=4)[..., 0], reference, atol=1e-5)


def test_thesis_takes_every_fourth_pixel(hr):
    np.testing.assert_allclose(make("thesis")(hr, scale=4), hr[::4, ::4], atol=1e-6)


def test_area_is_the_mean_of_blocks(hr):
    blocks = hr.reshape(6, 4, 8, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(make("area")(hr, scale=4), blocks, atol=1e-6)


@pytest.mark.parametrize("sigma", [0, 0.4, 1.0])
def test_gaussian_is_scipys_blur_then_keys(sigma, hr):
    blurred = scipy.ndimage.gaussian_filter(hr, (4 * sigma, 4 * sigma, 0), mode="reflect", truncate=8)
    # Between two pixels, the bicubic kernel of Keys weighs its four neighbours so; at the border none is missing.
    weights = np.array([-1, 9, 9, -1]) / 16
    rows = sum(w * blurred[k::4] for k, w in enumerate(weights))
    expected = sum(w * rows[:, k::4] for k, w in enumerate(weights))
    np.testing.assert_allclose(make(f"gaussian:sigma={sigma}")(hr, scale=4), expected, atol=1e-5)


def test_gaussian_matrix():
    blur = gaussian_matrix(40, 3.0).numpy()
    np.testing.assert_allclose(blur.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(blur, scipy.ndimage.gaussian_filter1d(np.eye(40), 3, axis=0, truncate=10), atol=1e-6)
    np.testing.assert_array_equal(gaussian_matrix(5, 0.0), np.eye(5))


@pytest.mark.parametrize("text", [*LINEAR, options_text.render("microscope", NEUTRAL)])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_ramp_enlarged_on_its_grid_is_the_ramp_again(text, scale):
    rows, columns = np.mgrid[: 12 * scale, : 14 * scale].astype("float32") / 100
    ramp, degrade = np.stack([rows, columns], axis=-1), make(text)
    lr = degrade(ramp, scale=scale).numpy()
    inside = slice(5 * scale, -5 * scale)
    for name, blur in (("bicubic", 1e-3), ("lanczos", 6e-3), ("nearest", scale / 200 + 1e-4)):
        enlarged = models.interpolation(name, scale, degrade.grid)(lr[None])[0]
        np.testing.assert_allclose(enlarged[inside, inside], ramp[inside, inside], atol=blur)
        assert np.abs((enlarged - ramp)[inside, inside].mean()) <= 0.5 / 100 + 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("microscope:motion=60", "microscope:motion is at most 12 for images of 24 LR pixels a side. Received: 60."),
        ("microscope:motion=0..12.5", "microscope:motion is at most 12 .* Received: 12.5."),
        ("microscope:psf=0.1..50", "microscope:psf is at most 12 .* Received: 50."),
        ("microscope:distortion=-7..0", "microscope:distortion is at most 6 .* Received: 7."),
        ("gaussian:sigma=13", "gaussian:sigma is at most 12 .* Received: 13."),
    ],
)
def test_lengths_fit_the_image(text, message):
    for shape in ((96, 128, 1), (2, 96, 128, 1)):
        with pytest.raises(ValueError, match=message):
            make(text)(np.zeros(shape, np.float32), scale=4, seed=np.zeros((2, 2), int)[len(shape) - 4])


@pytest.mark.parametrize("text", ["microscope:motion=60", "microscope:psf=90", "gaussian:sigma=60"])
def test_lengths_that_nobody_could_check_do_not_fail(text):
    @tf.function(input_signature=[tf.TensorSpec((None, None, 1))])
    def degrade(hr):
        return make(text)(hr, scale=4, seed=(0, 0))

    assert np.isfinite(degrade(np.ones((8, 12, 1), np.float32))).all()


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


# The microscope


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
    drawn = degrade(np.repeat(flat[None], 500, axis=0), scale=2, seed=seeds).numpy().ravel()
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


# Texts


@pytest.mark.parametrize(
    "text",
    ["bicubic", "gaussian:sigma=0.7", "microscope", "microscope:photons=50..500,motion=0", "microscope:photons=inf"],
)
def test_the_text_makes_the_same_degradation(text, hr):
    degrade = make(text)
    assert degrade.name == text.partition(":")[0]
    assert make(degrade.text) == degrade
    again = make(degrade.text)(hr, scale=4, seed=(2, 3))
    np.testing.assert_array_equal(again, degrade(hr, scale=4, seed=(2, 3)))
    assert set(options_text.parse(degrade.text)[1]) == set(degrade.options)


def test_options_are_completed():
    assert make("gaussian").options == {"sigma": 0.5}
    options = make("microscope:photons=50..500,motion=0").options
    assert options == DEFAULTS | {"photons": (50.0, 500.0), "motion": (0.0, 0.0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fog", "degradation is one of bicubic, .*microscope. Received: fog."),
        ("bicubic:sigma=1", "option of bicubic is none. Received: sigma"),
        ("gaussian:width=1", "option of gaussian is one of sigma. Received: width"),
        ("gaussian:sigma=-1", "gaussian:sigma lies between 0 and 100. Received: gaussian:sigma=-1"),
        ("gaussian:sigma=wide", "gaussian:sigma is a number"),
        ("microscope:photons=0", "photons lies between 1 and inf"),
        ("microscope:photons=50..inf", "photons lies between 1 and inf"),
        ("microscope:bleach=0.5..1", "bleach lies between 0 and 0.99"),
        ("microscope:psf=nan", "psf lies between"),
    ],
)
def test_bad_texts(text, message):
    with pytest.raises(ValueError, match=message):
        make(text)


def test_the_seed_of_an_image_is_its_content():
    one, other = np.zeros((8, 8, 1), np.uint8), np.ones((8, 8, 1), np.uint8)
    seed = content_seed(io.content_hash(one))
    assert (seed.dtype, seed.shape) == (np.int64, (2,))
    np.testing.assert_array_equal(seed, content_seed(io.content_hash(one.copy())))
    assert (seed != content_seed(io.content_hash(other))).any()
