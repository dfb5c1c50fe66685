from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny

from msrgan import losses
from msrgan.training import step
from msrgan.training.optimizers import adam
from msrgan.training.step import SRGAN
from msrgan.training.variants import VARIANTS
from vgg_micro.features import micro
from vgg_micro.network import vgg19_micro

ADVERSARIAL = [name for name, variant in VARIANTS.items() if variant.discriminator]


def build(variant="srgan", *, features=None, rate=1e-3, **weights):
    """A tiny SRGAN and a batch; equal for equal arguments."""
    keras.utils.set_random_seed(1)
    chosen = VARIANTS[variant]
    generator = chosen.generator(channels=1, scale=2, **tiny(chosen))
    model = SRGAN(generator, chosen.discriminator(channels=1, patch=16, filters=4, stages=((2, 2), (4, 2))))
    content = losses.content(features) if features else None
    objective = losses.Objective(content=content, adversarial=chosen.adversarial, **weights)
    model.compile(objective, keras.optimizers.Adam(rate), keras.optimizers.Adam(rate))
    rng = np.random.default_rng(0)
    hr = rng.normal(size=(4, 16, 16, 1)).astype("float32")
    return model, (hr.reshape(4, 8, 2, 8, 2, 1).mean(axis=(2, 4)), hr)


@pytest.fixture(scope="module")
def vgg():
    keras.utils.set_random_seed(0)
    return vgg19_micro(classes=3, channels=1, width=1 / 32, image_size=16)


def values(network):
    return [w.copy() for w in network.get_weights()]


def changed(before, network):
    return [not np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True)]


def test_pretraining_leaves_the_discriminator_alone():
    model, batch = build()
    generator, discriminator = values(model.generator), values(model.discriminator)
    logs = model.pretrain_step(batch)
    assert any(changed(generator, model.generator))
    assert not any(changed(discriminator, model.discriminator))
    assert set(logs) == {"pixel"}


def test_a_gan_step_trains_both_networks_and_never_the_vgg(vgg):
    features = micro(vgg)
    model, batch = build(features=features, gamma=1.0)
    generator, discriminator = values(model.generator), values(model.discriminator)
    frozen = [w.copy() for w in features._model.get_weights()]
    model.train_step(batch)
    assert any(changed(generator, model.generator))
    assert any(changed(discriminator, model.discriminator))
    assert not any(changed(frozen, features._model))
    tracked = {id(v) for v in model.variables}
    assert not any(id(v) in tracked for v in features._model.variables)


def test_terms_and_gradient_norms_are_those_of_the_formulas(vgg):
    features = micro(vgg)
    model, (lr, hr) = build(features=features, alpha=2.0, beta=0.5, gamma=0.1)
    sr = tf.constant(model.generator(lr, training=True))
    # Batch norm moved its averages above; a fresh copy takes the step.
    model, batch = build(features=features, alpha=2.0, beta=0.5, gamma=0.1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sr)
        real, fake = model.discriminator(hr, training=True), model.discriminator(sr, training=True)
        terms = {
            "pixel": tf.reduce_mean((sr - hr) ** 2),
            "content": sum(tf.reduce_mean((a - b) ** 2) for a, b in zip(features(sr), features(hr), strict=True)),
            "adversarial": tf.reduce_mean(tf.math.softplus(-fake)),
        }
    logs = model.train_step(batch)
    for name, weight in (("pixel", 2.0), ("content", 0.5), ("adversarial", 0.1)):
        assert float(logs[name]) == pytest.approx(float(terms[name]), rel=1e-4)
        norm = float(tf.norm(weight * tape.gradient(terms[name], sr)))
        assert float(logs[f"norm_{name}"]) == pytest.approx(norm, rel=1e-3)
    assert float(logs["d_margin"]) == pytest.approx(float(tf.reduce_mean(real) - tf.reduce_mean(fake)), rel=1e-3)
    d_loss = tf.reduce_mean(tf.math.softplus(-real)) + tf.reduce_mean(tf.math.softplus(fake))
    assert float(logs["d_loss"]) == pytest.approx(float(d_loss), rel=1e-4)


def test_generator_moves_along_the_gradient_of_the_whole_objective(vgg):
    """The gradients of the terms, taken at the output and sent through the generator as one, are the whole one."""
    features = micro(vgg)
    rate = 0.5
    model, (lr, hr) = build(features=features, gamma=0.1)
    model.compile(model.objective, keras.optimizers.SGD(rate), keras.optimizers.SGD(0.0))
    reference, _ = build(features=features, gamma=0.1)
    with tf.GradientTape() as tape:
        sr = reference.generator(lr, training=True)
        fake = reference.discriminator(sr, training=True)
        total = losses.mse(hr, sr) + 0.006 * losses.content(features)(hr, sr)
        total += 0.1 * tf.reduce_mean(tf.math.softplus(-fake))
    before = [w.numpy() for w in reference.generator.trainable_variables]
    expected = tape.gradient(total, reference.generator.trainable_variables)
    model.train_step((lr, hr))
    for old, gradient, new in zip(before, expected, model.generator.trainable_variables, strict=True):
        np.testing.assert_allclose(new.numpy(), old - rate * gradient, atol=2e-6)


def test_no_content_term_without_weight_or_features(vgg):
    for model, batch in (build(), build(features=micro(vgg), beta=0.0)):
        assert "content" not in model.train_step(batch)


def test_average_warms_up():
    model, batch = build()
    start = values(model.generator)
    model.pretrain_step(batch)
    model.update_average()
    decay = 2 / 11
    for old, new, average in zip(start, model.generator.get_weights(), model.averaged.get_weights(), strict=True):
        np.testing.assert_allclose(average, decay * old + (1 - decay) * new, atol=1e-6)
    model.generator_optimizer.iterations.assign(10**6)
    held = values(model.averaged)
    model.update_average()
    for old, new, average in zip(held, model.generator.get_weights(), model.averaged.get_weights(), strict=True):
        np.testing.assert_allclose(average, 0.999 * old + 0.001 * new, atol=1e-6)


@pytest.mark.parametrize("adversarial", [losses.LEAST_SQUARES, losses.CROSS_ENTROPY, losses.RELATIVISTIC])
def test_one_pass_back_through_the_discriminator_serves_both_losses(adversarial):
    model, (lr, hr) = build("msrgan")
    sr = model.generator(lr)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sr)
        logits = model.discriminator(hr), model.discriminator(sr)
        g_loss, d_loss = adversarial.generator(*logits), adversarial.discriminator(*logits)
    at_sr, gradients = model._through_discriminator(tape, sr, logits, g_loss, d_loss)
    expected = tape.gradient(g_loss, sr)
    np.testing.assert_allclose(at_sr, expected, atol=1e-5 * np.abs(expected).max())
    for one, two in zip(gradients, tape.gradient(d_loss, model.discriminator.trainable_variables), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5 * np.abs(two).max())


def test_a_fake_image_on_target_still_teaches_the_generator():
    model, (lr, hr) = build("msrgan")
    sr = model.generator(lr)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sr)
        logits = model.discriminator(hr), model.discriminator(sr)
        g_loss = losses.LEAST_SQUARES.generator(*logits)
        # The first fake logit is where the discriminator wants it: nothing is sent back from there.
        d_loss = tf.reduce_mean((logits[0] - 1) ** 2) + tf.reduce_mean((logits[1] - logits[1][:1].numpy()) ** 2)
    at_sr, _ = model._through_discriminator(tape, sr, logits, g_loss, d_loss)
    expected = tape.gradient(g_loss, sr)
    assert np.abs(expected[0]).max() > 0
    np.testing.assert_allclose(at_sr, expected, atol=1e-5 * np.abs(expected).max())


@pytest.fixture(scope="module")
def third_logs():
    """Logs of the third step in float32."""
    model, batch = build()
    return [model.train_step(batch) for _ in range(3)][-1]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_float32_weights_and_finite_losses(precision, third_logs):
    keras.config.set_dtype_policy(precision)
    try:
        model, batch = build()
        logs = [model.train_step(batch) for _ in range(3)][-1]
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(w.dtype == np.float32 for w in model.generator.get_weights())
    for name in ("pixel", "norm_pixel"):
        assert float(logs[name]) == pytest.approx(float(third_logs[name]), rel=0.1)


def test_half_precision_scales_the_loss_and_trains_on_small_terms():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, batch = build(alpha=0.0, gamma=1e-5)
        model.compile(model.objective, adam(1e-3), adam(1e-3))
        before, step = values(model.generator), tf.function(model.train_step)
        for _ in range(12):  # the first steps overflow, are skipped and lower the scale
            step(batch)
        model.update_average()
    finally:
        keras.config.set_dtype_policy("float32")
    kernels = [k for k, w in enumerate(before) if w.ndim == 4]
    assert all(changed(before, model.generator)[k] for k in kernels)
    assert all(np.isfinite(w).all() for w in values(model.generator) + values(model.averaged))


def test_labels_are_smoothed_anew_at_every_step():
    model, batch = build("realtime", rate=0.0)
    first, second = (float(model.train_step(batch)["d_loss"]) for _ in range(2))
    assert first != second


@pytest.mark.parametrize("variant", ADVERSARIAL)
def test_discriminator_learns_to_tell_real_from_fake(variant):
    model, batch = build(variant, rate=3e-3)
    step = tf.function(model.train_step)
    margins = [float(step(batch)["d_margin"]) for _ in range(40)]
    assert np.mean(margins[-5:]) > 0.5 > abs(margins[0])


def test_logs_of_two_replicas_sum_up_to_those_of_the_whole_batch(monkeypatch):
    (whole, (lr, hr)), (part, batch) = build("msrgan", rate=0.0), build("msrgan", rate=0.0)
    twice = np.concatenate([lr, lr]), np.concatenate([hr, hr])
    expected = whole.pretrain_step(twice), whole.train_step(twice)
    # One of two replicas, with half of the batch; the other's logs are the same.
    monkeypatch.setattr(step, "_share", lambda value: value / 2)
    for logs, one in zip(expected, (part.pretrain_step(batch), part.train_step(batch)), strict=True):
        assert {name: 2 * float(value) for name, value in one.items()} == pytest.approx(
            {name: float(value) for name, value in logs.items()}, rel=1e-4
        )


def test_the_mean_of_all_replicas_is_no_sum(monkeypatch):
    # What `tf.distribute.ReplicaContext.all_reduce` gives where another replica has values of mean 9.
    others = {"MEAN": lambda mean: (mean + 9) / 2, "SUM": lambda mean: mean + 9}
    context = SimpleNamespace(num_replicas_in_sync=2, all_reduce=lambda operation, mean: others[operation](mean))
    monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: context)
    assert float(step._global_mean(tf.constant([1.0, 2.0, 6.0]))) == 6
