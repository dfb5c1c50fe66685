"""Every degradation: shapes, intensities, grids, lengths, texts."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from msrgan import io, models, options_text
from msrgan.degradation import DEGRADATIONS, content_seed, make
from msrgan.degradation.microscope import DEFAULTS, NEUTRAL

LINEAR = [name for name in DEGRADATIONS if name != "microscope"]  # `mixed` for every draw


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
    unknown = (None, None, 2)
    one_by_one = both.map(lambda *pair: tf.numpy_function(lambda *values: values, pair, [tf.float32, tf.int64]))
    one_by_one = one_by_one.map(lambda x, seed: degrade(tf.ensure_shape(x, unknown), scale=scale, seed=seed))
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
