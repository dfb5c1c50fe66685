"""Discriminators: parameters of the papers, heads."""

import pytest
from conftest import images, parameters

from msrgan.networks import discriminator
from msrgan.networks.discriminator import REALTIME_STAGES


def test_parameters_of_the_discriminator():
    # Figure 4: k3 n64s1 ... n512s2, dense 1024, dense 1; a 96 x 96 patch ends at 6 x 6.
    pairs = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    kernels = sum(9 * a * b for a, b in pairs)
    dense = 6 * 6 * 512 * 1024 + 1024 + 1024 + 1
    norms = sum(b for _, b in pairs[1:])
    assert parameters(discriminator()) == (kernels + 64 + 2 * norms + dense, kernels + 64 + 4 * norms + dense)
    assert parameters(discriminator(batch_norm=False, use_bias=False)) == (kernels + dense,) * 2
    assert parameters(discriminator(head="gap", batch_norm=False, use_bias=False))[0] == kernels + 512 + 1


def test_parameters_of_the_realtime_discriminator():
    # 64/1, 64/2, 64/1, 128/2, 128/1, 256/2, 256/1, 512/2, 512/1, a norm after each activation but the last, one logit.
    widths = [3, 64, 64, 64, 128, 128, 256, 256, 512, 512]
    convolutions = sum(9 * a * b + b for a, b in zip(widths, widths[1:], strict=False))
    model = discriminator(batch_norm="after", head="gap", stages=REALTIME_STAGES)
    norms = 2 * sum(widths[1:-1])
    assert parameters(model) == (convolutions + norms + 513, convolutions + 2 * norms + 513)
    names = [layer.name for layer in model.layers[1:4]]
    assert names == ["conv1", "conv1_act", "conv1_bn"]


def test_heads_of_the_discriminator():
    x = images(2, 24, 40, 3)
    assert discriminator(head="gap", filters=4)(x).shape == (2, 1)
    assert discriminator(patch=40, filters=4)(images(2, 40, 40, 3)).shape == (2, 1)
    names = [layer.name for layer in discriminator(filters=4).layers]
    assert "conv1_bn" not in names and "conv2_bn" in names


def test_unknown_head_is_named():
    with pytest.raises(ValueError, match="head must be one of .*. Received: 'mean'"):
        discriminator(head="mean")
    with pytest.raises(ValueError, match="batch_norm must be one of .*. Received: 'before'"):
        discriminator(batch_norm="before")
