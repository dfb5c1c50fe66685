"""The two training steps against hand-written ones, compiled and not, in half precision, and averaged."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny
from keras import ops

from msrgan import losses
from msrgan.training.step import SRGAN
from msrgan.training.variants import VARIANTS

ALPHA, BETA, GAMMA = 0.7, 0.3, 0.2
# A step at which the smoothed labels are far from 1 and 0; u and v by hand, see tests/test_losses.py.
STEP, U, V = 1, 0.15097553, 0.11396806


def images(size=16):
    """Return a batch of LR and HR images, (4, 8, 8, 1) and (4, 16, 16, 1)."""
    hr = np.random.default_rng(0).normal(size=(4, size, size, 1)).astype("float32")
    return hr.reshape(4, size // 2, 2, size // 2, 2, 1).mean(axis=(2, 4)), hr


def features(x):
    """Two maps, one of them not linear: the content loss has a gradient that is not the pixel loss's."""
    return [ops.square(x[:, ::2]), 2 * x[:, :, 1:] - x[:, :, :-1]]


def network(name, *, blocks=1):
    """A tiny SRGAN of a variant, every weight of which counts: kernels are large, the last ones included."""
    variant = VARIANTS[name]
    sizes = tiny(variant) | ({"blocks": blocks} if "blocks" in variant.sizes else {})
    networks = [variant.generator(channels=1, scale=2, **sizes)]
    if variant.discriminator:
        networks.append(variant.discriminator(channels=1, patch=16, filters=4, stages=((1, 1), (2, 2))))
        networks[1].get_layer("logit").bias.assign([0.3])
    rng = np.random.default_rng(1)
    for weight in [w for network in networks for w in network.trainable_variables]:
        if len(weight.shape) > 1:
            weight.assign(rng.normal(0, 1 / math.sqrt(math.prod(weight.shape[:-1])), weight.shape))
    return SRGAN(*networks)


def sgd(*rates):
    return [keras.optimizers.SGD(rate) for rate in rates]


def objective(adversarial, *, content=True, alpha=ALPHA, beta=BETA, gamma=GAMMA, pixel=losses.mse):
    terms = losses.content(features) if content else None
    return losses.Objective(pixel, terms, adversarial, alpha=alpha, beta=beta, gamma=gamma)


def state(*networks):
    return [np.array(w) for network in networks for w in network.get_weights()]


def restore(model, weights):
    count = len(model.generator.weights)
    model.generator.set_weights(weights[:count])
    if model.discriminator:
        model.discriminator.set_weights(weights[count:])


def assert_same_changes(start, expected, got, *, rel, paths, idle=()):
    """Compare what two steps did to each weight, relative to the size of the change: none where it is idle alone."""
    for path, old, one, two in zip(paths, start, expected, got, strict=True):
        size = np.linalg.norm(one - old)
        if path in idle:
            assert max(size, np.linalg.norm(two - old)) < 1e-6, f"{path} changes"
            continue
        assert size > 1e-6 * max(1.0, np.linalg.norm(old)), f"{path} does not change"
        assert np.linalg.norm(two - one) <= rel * size, f"{path}: {np.linalg.norm(two - one) / size:.1e} of the change"


def paths(model):
    networks = [model.generator] + ([model.discriminator] if model.discriminator else [])
    return [w.path for network in networks for w in network.weights]


# Relativistic losses are of differences of logits, in which the last bias cancels.
IDLE = {"relativistic": ("logit/bias",)}


def entropy(label, logits):
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=label * tf.ones_like(logits), logits=logits))


def mean(x):
    return tf.reduce_mean(x)


# (losses of the project, generator's by hand, discriminator's by hand)
PAIRS = {
    "least squares": (
        losses.LEAST_SQUARES,
        lambda real, fake: mean((fake - 1) ** 2),
        lambda real, fake: mean((real - 1) ** 2) + mean((fake + 1) ** 2),
    ),
    "cross entropy": (
        losses.CROSS_ENTROPY,
        lambda real, fake: entropy(1.0, fake),
        lambda real, fake: entropy(1.0, real) + entropy(0.0, fake),
    ),
    "smoothed": (
        losses.SMOOTHED_CROSS_ENTROPY,
        lambda real, fake: entropy(1.0, fake),
        lambda real, fake: entropy(1 - U, real) + entropy(V, fake),
    ),
    "relativistic": (
        losses.RELATIVISTIC,
        lambda real, fake: (entropy(1.0, fake - mean(real)) + entropy(0.0, real - mean(fake))) / 2,
        lambda real, fake: (entropy(1.0, real - mean(fake)) + entropy(0.0, fake - mean(real))) / 2,
    ),
}


def reference_step(model, batch, g_loss, d_loss, *, alpha=ALPHA, beta=BETA, gamma=GAMMA, rates=(1.0, 1.0)):
    """Take a step of plain descent in two independent passes; return the weights after it, and the logs."""
    lr, hr = batch
    generator, discriminator = model.generator, model.discriminator
    with tf.GradientTape() as tape:
        still = generator(lr, training=True)
        moved = state(generator)  # its batch norm has seen the batch once
        real, fake = discriminator(hr, training=True), discriminator(tf.stop_gradient(still), training=True)
        of_d = d_loss(real, fake)
    d_gradients = tape.gradient(of_d, discriminator.trainable_variables)
    d_moved = state(discriminator)  # its batch norm has seen the real batch, then the fake one
    with tf.GradientTape(persistent=True) as tape:
        sr = generator(lr, training=True)
        terms = {
            "pixel": mean((sr - hr) ** 2),
            "content": sum(mean((a - b) ** 2) for a, b in zip(features(hr), features(sr), strict=True)),
            "adversarial": g_loss(discriminator(hr, training=True), discriminator(sr, training=True)),
        }
        weighted = {"pixel": alpha * terms["pixel"], "content": beta * terms["content"]}
        weighted["adversarial"] = gamma * terms["adversarial"]
        total = weighted["pixel"] + weighted["content"] + weighted["adversarial"]
    g_gradients = tape.gradient(total, generator.trainable_variables)
    logs = {name: float(value) for name, value in terms.items()}
    logs |= {f"norm_{name}": float(tf.norm(tape.gradient(value, sr))) for name, value in weighted.items()}
    logs |= {"d_loss": float(of_d), "d_margin": float(mean(real)) - float(mean(fake))}
    after = []
    for trained, gradients, rate, now in (
        (generator, g_gradients, rates[0], moved),
        (discriminator, d_gradients, rates[1], d_moved),
    ):
        descent = {w.path: rate * g.numpy() for w, g in zip(trained.trainable_variables, gradients, strict=True)}
        after += [value - descent.get(w.path, 0) for w, value in zip(trained.weights, now, strict=True)]
    return after, logs


@pytest.fixture(scope="module")
def systems():
    """Models by variant, with the weights they start from."""
    made = {}

    def get(name, **sizes):
        key = name, *sizes.items()
        if key not in made:
            model = network(name, **sizes)
            made[key] = model, state(model.generator, *([model.discriminator] if model.discriminator else []))
        model, start = made[key]
        restore(model, start)
        return model, start

    return get


# Discriminators without batch norm, with it before the activation, and after it.
@pytest.mark.parametrize("name", ["msrgan", "srgan", "realtime"])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_step_is_that_of_two_independent_passes(name, pair, systems):
    model, start = systems(name)
    adversarial, g_loss, d_loss = PAIRS[pair]
    rates = (1.0, 0.5)
    expected, logs = reference_step(model, images(), g_loss, d_loss, rates=rates)
    assert abs(logs["d_margin"]) > 0.01
    restore(model, start)
    model.compile(objective(adversarial), *sgd(*rates))
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        optimizer.iterations.assign(STEP)
    got = model.train_step(images())
    assert set(got) == set(logs)
    assert {key: float(value) for key, value in got.items()} == pytest.approx(logs, rel=2e-4)
    after = state(model.generator, model.discriminator)
    assert_same_changes(start, expected, after, rel=2e-3, paths=paths(model), idle=IDLE.get(pair, ()))
    steps = [int(o.iterations) for o in (model.generator_optimizer, model.discriminator_optimizer)]
    assert steps == [STEP + 1, STEP + 1]


def test_pair_of_each_system_is_used_in_its_step(systems):
    pairs = {"msrgan": "least squares", "srgan": "cross entropy", "realtime": "smoothed"}
    for name, pair in pairs.items():
        assert VARIANTS[name].adversarial == PAIRS[pair][0]
    assert VARIANTS["esrgan"].adversarial == losses.RELATIVISTIC


def test_smoothed_labels_follow_the_discriminators_step(systems):
    model, start = systems("realtime")
    model.compile(objective(losses.SMOOTHED_CROSS_ENTROPY), *sgd(0.0, 0.0))
    (real, fake) = (model.discriminator(x, training=True) for x in (images()[1], model.generator(images()[0])))
    # Labels 1 and 0 at step 0; u, v of steps 1 and 2 by hand.
    for u, v in ((0.0, 0.0), (U, V), (0.10195107, 0.02793612)):
        logs = model.train_step(images())
        assert float(logs["d_loss"]) == pytest.approx(float(entropy(1 - u, real) + entropy(v, fake)), rel=1e-4)
        assert float(logs["adversarial"]) == pytest.approx(float(entropy(1.0, fake)), rel=1e-4)


def test_pretraining_is_plain_descent_on_the_pixel_loss(systems):
    for pixel, by_hand in ((losses.mse, tf.square), (losses.l1, tf.abs)):
        model, start = systems("srgan")
        lr, hr = images()
        with tf.GradientTape() as tape:
            loss = mean(by_hand(hr - model.generator(lr, training=True)))
        moved = state(model.generator)
        gradients = tape.gradient(loss, model.generator.trainable_variables)
        descent = {w.path: g.numpy() for w, g in zip(model.generator.trainable_variables, gradients, strict=True)}
        expected = [v - descent.get(w.path, 0) for w, v in zip(model.generator.weights, moved, strict=True)]
        restore(model, start)
        model.compile(objective(losses.CROSS_ENTROPY, pixel=pixel, alpha=0.5), *sgd(1.0, 1.0))
        logs = model.pretrain_step((lr, hr))
        assert set(logs) == {"pixel"}
        assert float(logs["pixel"]) == pytest.approx(float(loss), rel=1e-5)  # alpha is of the whole objective alone
        count = len(expected)
        assert_same_changes(start[:count], expected, state(model.generator), rel=1e-3, paths=paths(model)[:count])
        for old, new in zip(start[count:], model.discriminator.get_weights(), strict=True):
            np.testing.assert_array_equal(new, old)
        assert [int(o.iterations) for o in (model.generator_optimizer, model.discriminator_optimizer)] == [1, 0]


PRETRAIN_STEPS = [(name, "pretrain_step") for name in VARIANTS]
TRAIN_STEPS = [(name, "train_step") for name, variant in VARIANTS.items() if variant.discriminator]


# One system stands for the others, of which each takes seconds to compile.
EACH = [
    pytest.param(*case, marks=() if case[0] == "msrgan" else pytest.mark.long)
    for case in (*PRETRAIN_STEPS, *TRAIN_STEPS)
]


@pytest.mark.parametrize(("name", "step"), EACH)
def test_xla_changes_every_weight_alike(name, step, systems):
    changes = {}
    for jit in (False, True):
        # The residual blocks are compiled in the first step; without them the second takes a third of the time.
        model, start = systems(name, blocks=1 if step == "pretrain_step" else 0)
        gan = model.discriminator is not None
        model.compile(objective(VARIANTS[name].adversarial or losses.LEAST_SQUARES), *sgd(*[1.0] * (1 + gan)))
        take = getattr(model, step)
        logs = (tf.function(take, jit_compile=True) if jit else take)(images())
        networks = [model.generator] + ([model.discriminator] if step == "train_step" else [])
        changes[jit] = state(*networks), {key: float(value) for key, value in logs.items()}
    count = len(changes[False][0])
    assert changes[True][1] == pytest.approx(changes[False][1], rel=1e-4)
    idle = IDLE["relativistic"] if name == "esrgan" else ()
    weights = {"paths": paths(model)[:count], "idle": idle}
    assert_same_changes(start[:count], changes[False][0], changes[True][0], rel=5e-3, **weights)


@pytest.fixture(scope="module")
def half():
    """srgan and msrgan computing in float16, with the weights of those in float32."""
    made = {}

    def get(name):
        if name not in made:
            keras.config.set_dtype_policy("mixed_float16")
            try:
                made[name] = network(name)
            finally:
                keras.config.set_dtype_policy("float32")
        return made[name]

    return get


def assert_like_changes(start, expected, got, *, paths):
    """Compare changes in half precision: each weight's roughly, those of all together well."""
    errors, sizes = [], []
    for path, old, one, two in zip(paths, start, expected, got, strict=True):
        errors.append(np.linalg.norm(two - one))
        sizes.append(np.linalg.norm(one - old))
        assert errors[-1] <= 0.5 * sizes[-1], path
    assert 0 < np.linalg.norm(errors) <= 0.05 * np.linalg.norm(sizes)


@pytest.mark.parametrize("name", ["msrgan", "srgan"])
def test_half_precision_takes_the_scale_off_logs_and_changes(name, systems, half):
    model, start = systems(name)
    model.compile(objective(VARIANTS[name].adversarial), *sgd(1.0, 1.0))
    logs = {key: float(value) for key, value in model.train_step(images()).items()}
    expected = state(model.generator, model.discriminator)
    scaled = half(name)
    restore(scaled, start)
    # Two scales: each loss has that of its own optimizer.
    first, second = sgd(1.0, 1.0)
    optimizers = [
        keras.optimizers.LossScaleOptimizer(first, initial_scale=1024.0),
        keras.optimizers.LossScaleOptimizer(second, initial_scale=64.0),
    ]
    scaled.compile(objective(VARIANTS[name].adversarial), *optimizers)
    got = {key: float(value) for key, value in scaled.train_step(images()).items()}
    assert got == pytest.approx(logs, rel=2e-2)
    assert_like_changes(start, expected, state(scaled.generator, scaled.discriminator), paths=paths(model))


def test_half_precision_keeps_a_term_of_weight_1e_5(systems, half):
    weights = {"alpha": 0.0, "content": False, "gamma": 1e-5}
    model, start = systems("msrgan")
    model.compile(objective(losses.LEAST_SQUARES, **weights), *sgd(1e4, 1.0))
    logs = model.train_step(images())
    expected = state(model.generator)
    scaled = half("msrgan")
    restore(scaled, start)
    scaled.compile(
        objective(losses.LEAST_SQUARES, **weights), *(keras.optimizers.LossScaleOptimizer(o) for o in sgd(1e4, 1.0))
    )
    got = scaled.train_step(images())
    assert float(got["norm_adversarial"]) == pytest.approx(float(logs["norm_adversarial"]), rel=2e-2)
    assert float(got["norm_adversarial"]) > 0
    count = len(expected)
    assert_like_changes(start[:count], expected, state(scaled.generator), paths=paths(model)[:count])


def test_average_counts_from_the_first_step(systems):
    model, start = systems("srgan")
    model.averaged.set_weights(start[: len(model.generator.weights)])
    model.compile(objective(losses.CROSS_ENTROPY), *sgd(0.05, 0.05))
    average = [w.astype("float64") for w in model.averaged.get_weights()]
    for step, decay in ((model.pretrain_step, 2 / 11), (model.train_step, 3 / 12), (model.train_step, 4 / 13)):
        step(images())
        model.update_average()
        average = [decay * a + (1 - decay) * c for a, c in zip(average, model.generator.get_weights(), strict=True)]
    for path, one, two in zip(paths(model), average, model.averaged.get_weights(), strict=False):
        np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-6, err_msg=path)
    # The average upscales; it is not what is being trained.
    lr = images()[0]
    expected = model.averaged(lr, training=False).numpy()
    np.testing.assert_allclose(model(lr), expected, atol=1e-6)
    np.testing.assert_allclose(model.upscale(lr), expected, atol=1e-5)
    assert np.abs(model.generator(lr, training=False) - expected).max() > 1e-3
    assert not model.averaged.trainable_variables
