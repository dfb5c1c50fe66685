"""SRCNN: parameters of the paper, the image skip."""

import keras
import numpy as np
import pytest
from conftest import images, parameters

from msrgan.networks import receptive_radius, srcnn
from msrgan.networks.phases import Bicubic


def test_parameters_of_srcnn():
    # Section 4.1 of arXiv 1501.00092: 8,032 weights for n1 = 64, n2 = 32, 9-1-5, one channel; and the biases.
    assert parameters(srcnn(channels=1, image_skip="none")) == (8_032 + 64 + 32 + 1,) * 2
    assert receptive_radius(srcnn()) == 2 + 2  # 4 + 2 pixels at full resolution, two of the bicubic kernel


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_srcnn_starts_close_to_bicubic(scale):
    keras.utils.set_random_seed(0)
    lr = images(2, 7, 6, 2)
    start = srcnn(channels=2, scale=scale)(lr) - Bicubic(scale)(lr)
    assert start.shape == (2, 7 * scale, 6 * scale, 2)
    assert 0 < np.sqrt(np.mean(start**2)) < 0.05
    plain = srcnn(channels=2, scale=scale, image_skip="none")
    assert np.sqrt(np.mean((plain(lr) - Bicubic(scale)(lr)) ** 2)) > 0.1


def test_srcnn_names_wrong_arguments():
    with pytest.raises(ValueError, match="scale must be one of"):
        srcnn(scale=3)
    with pytest.raises(ValueError, match="image_skip must be one of"):
        srcnn(image_skip="nearest")
