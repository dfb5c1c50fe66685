"""How far the images of a pair are displaced."""

import numpy as np
import pytest
import scipy.ndimage
from conftest import binned, spots

from msrgan import io
from msrgan.data.registration import displacement


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shift", [(0, 0), (0.4, -0.4), (1, 0), (-2.25, 3.5)])
def test_displacement_is_measured_to_a_tenth_of_a_pixel(shift, channels):
    scale = 4
    fields = [spots(seed, size=256, channels=channels).astype(float) for seed in range(8)]
    hr = fields[0] + sum(scipy.ndimage.gaussian_filter(field, (2, 2, 0)) for field in fields)
    moved = scipy.ndimage.shift(hr, (shift[0] * scale, shift[1] * scale, 0), order=3, mode="reflect")
    lr = binned(moved, scale) * 0.3 + 40  # another exposure
    lr += np.random.default_rng(0).normal(scale=0.02 * np.ptp(lr), size=lr.shape)
    np.testing.assert_allclose(displacement(hr, lr), shift, atol=0.1)


def test_displacement_of_an_empty_field():
    assert displacement(np.full((32, 32, 1), 0.3), np.full((8, 8, 1), 0.7)) == (0, 0)
    assert displacement(np.zeros((32, 32, 1)), np.zeros((9, 8, 1))) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 9), (9, 2), (3, 3), (3, 12)])
def test_displacement_of_a_tiny_field(shape):
    lr = np.random.default_rng(0).random((*shape, 1))
    assert displacement(lr.repeat(4, 0).repeat(4, 1), lr) == (0, 0)


def test_displacement_of_real_images(real_data):
    path = io.list_images(real_data / "openslide_he_ki67" / "tiles_512")[0]
    hr = io.read_pixels(path)
    assert displacement(hr[:, :504], binned(hr[:, 8:], 4)) == pytest.approx((0, -2), abs=0.1)
