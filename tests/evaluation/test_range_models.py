"""A model learnt on the range of the dtype sees that range everywhere, never percentiles; and the other way round."""

import csv

import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import peak_signal_noise_ratio

import msrgan
from msrgan import evaluation
from msrgan.data import pairs
from msrgan.degradation import make
from msrgan.degradation.kernels import area
from msrgan.evaluation.validation import Validation
from msrgan.intensity import Normalization
from msrgan.models import Upscaler

SCALE = 2


def squared(batch):
    """Enlarge by repetition, and square: what it gives depends on the units of its input."""
    return tf.repeat(tf.repeat(tf.square(batch), SCALE, axis=1), SCALE, axis=2)


def model(normalization):
    sizes = {"scale": SCALE, "channels": 1, "receptive_radius": 0, "training_hashes": [], "degradation": "area"}
    return Upscaler(squared, sizes | {"normalization": normalization, "percentiles": [0.1, 99.9]})


@pytest.fixture(scope="module")
def dim():
    """Two images, uint8, from 20 to some 100 of 255, smooth."""
    rows, columns = np.mgrid[:32, :40]
    waves = [np.sin(rows / a) * np.cos(columns / b) for a, b in ((4, 5), (6, 3))]
    return [untied(np.uint8(60 + height * wave)[..., None]) for wave, height in zip(waves, (40, 25), strict=True)]


def untied(image):
    """Change pixels by 1 where the mean of 2x2 of them would end in .5, which rounds up or down by chance."""
    tied = binned(image.astype("float64")) % 1 == 0.5
    image[::SCALE, ::SCALE][tied] += 1
    return image


def limits(image, normalization):
    return (0.0, 255.0) if normalization == "range" else tuple(np.percentile(image, (0.1, 99.9)))


def enlarged(lr):
    return lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def binned(image):
    height, width, channels = image.shape
    return image.reshape(height // SCALE, SCALE, width // SCALE, SCALE, channels).mean(axis=(1, 3))


@pytest.mark.parametrize("normalization", ["range", "percentile"])
def test_upscale(normalization, dim):
    low, high = limits(dim[0], normalization)
    by_hand = enlarged(((dim[0] - low) / (high - low)) ** 2) * (high - low) + low
    result = msrgan.upscale(model(normalization), dim[0], tile=16)
    np.testing.assert_allclose(result, by_hand.clip(0, 255), atol=0.51)


def test_the_range_of_every_dtype():
    ramp = np.linspace(0.1, 0.4, 64).reshape(8, 8)
    for dtype, top in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        image = (ramp * top).astype(dtype)
        by_hand = enlarged((image.astype("float64") / top) ** 2) * top
        result = msrgan.upscale(model("range"), image)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, by_hand, atol=0.51 if top > 1 else 1e-6)


@pytest.mark.parametrize("normalization", ["range", "percentile"])
def test_evaluate(normalization, dim, tmp_path):
    examples = [{"id": f"image{k}", "image": image} for k, image in enumerate(dim)]
    evaluation.evaluate(model(normalization), examples, out=tmp_path, strips=0)
    with open(tmp_path / "scores.csv", newline="") as file:
        scored = list(csv.DictReader(file))
    for row, image in zip(scored, dim, strict=True):
        low, high = limits(image, normalization)
        lr = np.rint(binned(image.astype("float64")))
        seen = limits(lr, normalization)
        squares = enlarged(((lr - seen[0]) / (seen[1] - seen[0])) ** 2) * (seen[1] - seen[0]) + seen[0]
        size = (image.shape[0], image.shape[1])
        smooth = tf.image.resize(lr.astype("float32"), size, "bicubic").numpy()
        for method, sr in (("model", squares), ("nearest", enlarged(lr)), ("bicubic", smooth)):
            pair = ((x - low) / (high - low) for x in (image.astype("float64"), np.rint(sr).clip(0, 255)))
            expected = peak_signal_noise_ratio(*pair, data_range=1)
            assert float(row[f"psnr_{method}"]) == pytest.approx(expected, abs=0.02), method


@pytest.mark.parametrize("normalization", ["range", "percentile"])
def test_validation(normalization, dim):
    known = tf.data.Dataset.from_tensor_slices({"id": ["a", "b"], "image": np.stack(dim)})
    settings = {"degradation": make("area"), "scale": SCALE, "channels": 1}
    scores = Validation(known, normalization=Normalization(normalization), **settings)(
        lambda lr: squared((lr + 1) / 2) * 2 - 1
    )
    ours, bicubic = [], []
    for image in dim:
        low, high = limits(image, normalization)
        hr = (image - low) / (high - low)
        lr = (np.rint(binned(image.astype("float64"))) - low) / (high - low)
        ours.append(peak_signal_noise_ratio(hr, enlarged(lr**2), data_range=1))
        smooth = tf.image.resize(lr.astype("float32"), hr.shape[:2], "bicubic").numpy().astype("float64")
        bicubic.append(peak_signal_noise_ratio(hr, smooth, data_range=1))
    assert scores["val_psnr"] == pytest.approx(np.mean(ours), abs=1e-3)
    assert scores["val_psnr_bicubic"] == pytest.approx(np.mean(bicubic), abs=1e-3)


@pytest.mark.parametrize("normalization", ["range", "percentile"])
def test_training_pairs(normalization, dim):
    image = dim[0][:16, :16]
    known = tf.data.Dataset.from_tensors({"id": "a", "image": image})
    settings = {"patch_size": 16, "batch_size": 1, "degradation": area, "augment": False, "seed": 0, "scale": SCALE}
    ((lr, hr),) = (
        pairs.sr_pairs(known, **settings, normalization=Normalization(normalization)).take(1).as_numpy_iterator()
    )
    low, high = limits(image, normalization)
    expected = (image - low) / (high - low)
    np.testing.assert_allclose((hr[0] + 1) / 2, expected, atol=1e-5)
    in_file = np.rint(binned(image.astype("float64")))
    np.testing.assert_allclose((lr[0] + 1) / 2, (in_file - low) / (high - low), atol=1e-5)
