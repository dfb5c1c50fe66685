"""Every published system: its sizes, its settings, two steps and an export at every scale."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import small_discriminators, tiny

import msrgan
from msrgan.losses import Objective
from msrgan.networks.phases import Bicubic
from msrgan.training.build import build
from msrgan.training.variants import TRAINING, VARIANTS, complete
from vgg_micro.features import LAST_ACTIVATIONS


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("name", VARIANTS)
def test_two_steps_and_an_export(name, scale, tmp_path, monkeypatch):
    small_discriminators(monkeypatch)  # they do not depend on the scale
    variant = VARIANTS[name]
    training = complete(variant, {"alpha": 1.0})[1]
    counts = {"pretrain_steps": 1, "steps": 1}
    model = build(
        variant, tiny(variant), training, channels=1, scale=scale, grid="centre", patch=32, features=None, **counts
    )
    generator = model.generator
    lr = np.random.default_rng(0).normal(size=(2, 32 // scale, 32 // scale, 1)).astype("float32")
    batch = lr, lr.repeat(scale, axis=1).repeat(scale, axis=2)
    before = [w.copy() for w in generator.get_weights()]
    steps = model.pretrain_step, model.train_step if variant.discriminator else model.pretrain_step
    for step in steps:
        assert all(np.isfinite(float(v)) for v in step(batch).values())
        model.update_average()
    trained = {w.path for w in generator.trainable_weights}
    after = zip(generator.weights, before, strict=True)
    assert all(not np.array_equal(w.numpy(), old) for w, old in after if w.path in trained)
    msrgan.export(model.averaged, tmp_path / "model")
    x = np.random.default_rng(1).uniform(size=(1, 9, 7, 1)).astype("float32")
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"](image=tf.constant(x))
    assert served["upscaled"].shape == (1, 9 * scale, 7 * scale, 1)
    np.testing.assert_allclose(served["upscaled"] * 2 - 1, model.averaged(x * 2 - 1), atol=1e-4)
    assert json.loads((tmp_path / "model" / "msrgan.json").read_text())["scale"] == scale


@pytest.mark.parametrize("name", ["msrgan", "srgan", "realtime"])
@pytest.mark.parametrize("upsample", ["subpixel", "resize", "transpose"])
def test_every_upsampling_and_its_widths(name, upsample):
    variant = VARIANTS[name]
    sizes = tiny(variant) | {"upsample": upsample, "widths": (8, 12)}
    generator = variant.generator(channels=2, scale=4, **sizes)
    assert generator(np.zeros((1, 5, 6, 2), "float32")).shape == (1, 20, 24, 2)
    assert generator.get_layer("upsample2_conv").filters == 12


@pytest.mark.parametrize("name", VARIANTS)
def test_generators_lie_on_the_grid_of_the_samples(name):
    variant = VARIANTS[name]
    network = variant.generator(channels=1, scale=4, grid="corner", **tiny(variant))
    assert [layer.grid for layer in network.layers if isinstance(layer, Bicubic)] == ["corner"]


def test_batch_norm_of_a_variant_is_chosen():
    for value, norms in (("on", 3), ("off", 0), ("body", 1)):
        sizes = tiny(VARIANTS["realtime"]) | {"batch_norm": value}
        network = VARIANTS["realtime"].generator(channels=1, scale=2, **sizes)
        assert sum(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers) == norms


def test_settings_are_the_published_ones_until_flags_override_them():
    sizes, training, ignored = complete(VARIANTS["esrgan"], {"alpha": None, "gamma": 0.0, "blocks": 3, "seed": 1})
    assert sizes == {"filters": 64, "blocks": 3, "image_skip": "bicubic"}
    weights = {"alpha": 1e-2, "beta": 1.0, "gamma": 0.0, "pixel_loss": "l1", "content_loss": "l1"}
    assert {k: training[k] for k in weights} == weights
    assert training["vgg_layers"] == ("block5_conv4",)
    assert training["adam_beta_2"] == 0.99
    assert set(training) == set(TRAINING)
    assert ignored == []


@pytest.mark.parametrize(("rate", "expected"), [(None, 1e-4), (1e-3, 1e-3), (0.0, 0.0)])
def test_rate_of_the_discriminator(rate, expected):
    variant = VARIANTS["msrgan"]
    training = complete(variant, {"discriminator_learning_rate": rate})[1]
    images = {"channels": 1, "scale": 4, "grid": "centre", "patch": 32}
    model = build(variant, tiny(variant), training, **images, features=None, pretrain_steps=0, steps=9)
    rates = [float(o.learning_rate) for o in (model.generator_optimizer, model.discriminator_optimizer)]
    assert rates == pytest.approx([1e-4, expected])


def test_filters_of_msrgan_are_a_multiple_of_four():
    generator = VARIANTS["msrgan"].generator
    sizes = tiny(VARIANTS["msrgan"]) | {"filters": 6}
    with pytest.raises(ValueError, match="`filters` that are a multiple of 4, or `widths`. Received: 6"):
        generator(channels=1, scale=4, **sizes)
    assert generator(channels=1, scale=4, **sizes | {"widths": (8, 8)}).output_shape == (None, None, None, 1)
    assert generator(channels=1, scale=2, **sizes).output_shape == (None, None, None, 1)


def test_what_a_variant_lacks_is_told():
    chosen = {"filters": 8, "widths": (8, 8), "beta": 0.1, "alpha": 2.0, "dropout": None}
    sizes, training, ignored = complete(VARIANTS["srcnn"], chosen)
    assert ignored == ["alpha", "beta", "filters", "widths"]
    assert sizes == {"image_skip": "bicubic"}
    assert (training["alpha"], training["beta"], training["pixel_loss"]) == (None, None, "mse")
    assert complete(VARIANTS["esrgan"], chosen)[2] == ["widths"]


def test_variants_name_settings_that_exist():
    assert all(set(variant.training) <= set(TRAINING) for variant in VARIANTS.values())
    assert TRAINING["vgg_layers"] == LAST_ACTIVATIONS
    assert (TRAINING["alpha"], TRAINING["beta"], TRAINING["gamma"]) == Objective()[3:]
