import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from msrgan.degradation import DEGRADATIONS


@pytest.fixture
def hr():
    return np.random.default_rng(0).uniform(size=(24, 32, 2)).astype("float32")


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shape_mean_and_graph(name, scale, hr):
    degrade = DEGRADATIONS[name]
    lr = degrade(hr, scale=scale).numpy()
    assert lr.shape == (24 // scale, 32 // scale, 2)
    assert lr.dtype == np.float32
    batch = tf.data.Dataset.from_tensors(hr).batch(1).map(lambda x: degrade(x, scale=scale))
    np.testing.assert_allclose(next(iter(batch))[0], lr, atol=1e-6)
    flat = degrade(np.full((24, 32, 1), 0.3, np.float32), scale=scale).numpy()
    np.testing.assert_allclose(flat, 0.3, atol=1e-6)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_commutes_with_normalisation(name, hr):
    degrade = DEGRADATIONS[name]
    np.testing.assert_allclose(degrade(hr * 3 - 1, scale=4), degrade(hr, scale=4) * 3 - 1, atol=1e-5)


def test_bicubic_is_pillows(hr):
    reference = np.array(Image.fromarray(hr[..., 0]).resize((8, 6), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(DEGRADATIONS["bicubic"](hr, scale=4)[..., 0], reference, atol=1e-5)


def test_thesis_takes_every_fourth_pixel(hr):
    np.testing.assert_allclose(DEGRADATIONS["thesis"](hr, scale=4), hr[::4, ::4], atol=1e-6)


def test_area_is_the_mean_of_blocks(hr):
    blocks = hr.reshape(6, 4, 8, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(DEGRADATIONS["area"](hr, scale=4), blocks, atol=1e-6)
