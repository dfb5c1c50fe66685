"""RRDBNet of ESRGAN: parameters of the authors' model, residuals, the image skip."""

import keras
import numpy as np
import pytest
from conftest import images, parameters

from msrgan.networks import rrdbnet
from msrgan.networks.phases import Bicubic


def test_parameters_of_rrdbnet():
    # ESRGAN x4 of three channels: 16,697,987 (RRDB_PSNR_x4 of the authors' model zoo).
    dense = sum(9 * (64 + 32 * i) * 32 + 32 for i in range(4)) + 9 * (64 + 4 * 32) * 64 + 64
    conv = 9 * 64 * 64 + 64
    count = (27 * 64 + 64) + 23 * 3 * dense + conv + 2 * conv + conv + (9 * 64 * 3 + 3)
    assert count == 16_697_987
    assert parameters(rrdbnet(image_skip="none")) == (count, count)
    assert parameters(rrdbnet(scale=2, blocks=1)) == (count - conv - 22 * 3 * dense,) * 2


def test_rrdb_scales_its_residuals():
    model = rrdbnet(filters=4, blocks=1, image_skip="none")
    run = {layer.name: layer for layer in model.layers}
    for weight in model.weights:
        weight.assign(images(*weight.shape, seed=weight.shape.rank) / 2)
    x = stem = run["stem_conv"](images(1, 5, 6, 3))
    for dense in ("block1_dense1", "block1_dense2", "block1_dense3"):
        maps = [x]
        for i in range(1, 5):
            y = run[f"{dense}_conv{i}"](np.concatenate(maps, axis=-1))
            maps.append(np.where(y > 0, y, 0.2 * y))
        x = x + 0.2 * run[f"{dense}_conv5"](np.concatenate(maps, axis=-1))
    body = keras.Model(model.input, run["block1_add"].output)
    np.testing.assert_allclose(body(images(1, 5, 6, 3)), stem + 0.2 * (x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_rrdbnet_starts_close_to_bicubic(scale):
    keras.utils.set_random_seed(0)
    lr = images(2, 7, 6, 2)
    start = rrdbnet(channels=2, scale=scale, filters=8, blocks=2)(lr) - Bicubic(scale)(lr)
    assert start.shape == (2, 7 * scale, 6 * scale, 2)
    assert 0 < np.sqrt(np.mean(start**2)) < 0.05
    plain = rrdbnet(channels=2, scale=scale, image_skip="none", filters=8, blocks=2)
    assert np.sqrt(np.mean((plain(lr) - Bicubic(scale)(lr)) ** 2)) > 0.1


def test_rrdbnet_names_wrong_arguments():
    with pytest.raises(ValueError, match="scale must be one of"):
        rrdbnet(scale=3, filters=8, blocks=2)
    with pytest.raises(ValueError, match="image_skip must be one of"):
        rrdbnet(image_skip="nearest", filters=8, blocks=2)
