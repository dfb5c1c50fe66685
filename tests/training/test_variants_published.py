"""The table of published constants, what `build` makes of each system, and the flags that change it."""

import functools
import math
import re

import keras
import numpy as np
import pytest
from conftest import ROOT

import train_srgan
from msrgan.networks.phases import Bicubic, DepthToSpace, NearestConv2D
from msrgan.training.build import build
from msrgan.training.variants import VARIANTS, complete

HEADING = "## What a variant is published with"
# 16 convolutions of VGG19 in five groups.
LAST_OF_EACH_GROUP = tuple(f"block{g}_conv{n}_act" for g, n in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 4)))
GANS = ("msrgan", "srgan", "realtime", "esrgan")
PRETRAINING, STEPS = 7, 80


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table():
    """Return {row: {variant: cell}} of the table in docs/lineage.md."""
    section = (ROOT / "docs" / "lineage.md").read_text().split(HEADING + "\n")[1].split("\n## ")[0]
    header, _, *lines = (line for line in section.splitlines() if line.startswith("|"))
    names = cells(header)[1:]
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in map(cells, lines)}


TABLE = table()


def two_maps(images):
    """Features: the images, and three times their first row."""
    return [images, 3 * images[:, :1]]


@functools.cache
def made(name, *arguments, steps=STEPS, features=two_maps):
    """What the command line of a variant builds, tiny: its settings and its model."""
    variant = VARIANTS[name]
    small = ["--filters", "4", "--blocks", "1"] if "blocks" in variant.sizes else []
    options = train_srgan.parser().parse_args(["--variant", name, *small, *arguments])
    sizes, training, ignored = complete(variant, vars(options))
    if variant.discriminator:
        variant = variant._replace(discriminator=functools.partial(variant.discriminator, filters=4))
    images = {"channels": 1, "scale": 2, "grid": "centre", "patch": 16}
    counts = {"pretrain_steps": PRETRAINING, "steps": steps}
    return training, build(variant, sizes, training, **images, features=features, **counts), ignored


@functools.cache
def whole(name):
    """The generator of a variant in its published size."""
    variant = VARIANTS[name]
    return variant.generator(channels=3, scale=4, grid="centre", **variant.sizes)


def pairs(cell):
    return [tuple(map(float, pair.split(":"))) for pair in cell.split()]


# A distance is measured where it tells mean squares from means of absolute values: differences 2, -1, 0, 0.
HR = np.zeros((1, 2, 2, 1), "float32")
SR = np.array([2, -1, 0, 0], "float32").reshape(HR.shape)
MEASURED = {"mse": (4 + 1) / 4, "l1": (2 + 1) / 4}


MEASURED_CONTENT = {"mse": 5 / 4 + 9 * (4 + 1) / 2, "l1": 3 / 4 + 3 * (2 + 1) / 2}

# Logits of other magnitudes whose sums are 5 (real) and -1.5 (fake).
REAL = np.array([[3.0], [0.5], [1.5]], "float32")
FAKE = np.array([[-2.0], [1.0], [-0.5]], "float32")


def entropy(label, logits):
    """Cross entropy of labels and logits, in its textbook form."""
    p = [1 / (1 + math.exp(-x)) for x in np.ravel(logits).tolist()]
    return -sum(label * math.log(q) + (1 - label) * math.log(1 - q) for q in p) / len(p)


LABELS = {0: (1.0, 0.0), 1: (1 - 0.15097553, 0.11396806), 2: (1 - 0.10195107, 0.02793612)}
LOSSES = {  # words of the table -> (generator's, discriminator's at a step)
    # By hand: ((-3)^2 + 0^2 + 1.5^2) / 3, and (4 + .25 + .25 + 1 + 4 + .25) / 3.
    "least squares": lambda step: ((9 + 0 + 2.25) / 3, (4 + 0.25 + 0.25) / 3 + (1 + 4 + 0.25) / 3),
    "cross entropy": lambda step: (entropy(1, FAKE), entropy(1, REAL) + entropy(0, FAKE)),
    "the same, smoothed labels": lambda step: (
        entropy(1, FAKE),
        entropy(LABELS[step][0], REAL) + entropy(LABELS[step][1], FAKE),
    ),
    # Means: real 5 / 3, fake -1 / 2.
    "relativistic": lambda step: (
        (entropy(1, FAKE - 5 / 3) + entropy(0, REAL + 1 / 2)) / 2,
        (entropy(1, REAL + 1 / 2) + entropy(0, FAKE - 5 / 3)) / 2,
    ),
}


# Each comparison takes the name of a variant and its cell in the table, and returns (what is so, what is published).


def compare_pixel(name, cell):
    training, model, _ = made(name)
    measured = float(model.objective.pixel(HR, SR))
    return (training["pixel_loss"], measured), (cell, pytest.approx(MEASURED[cell]))


def compare_content(name, cell):
    training, model, _ = made(name)
    content = model.objective.content
    measured = content and float(content(HR, SR))
    return (training["content_loss"], measured), (cell, pytest.approx(MEASURED_CONTENT[cell])) if cell else (None, None)


def compare_weight(key):
    def compare(name, cell):
        training, model, _ = made(name)
        if cell:
            return (training[key], getattr(model.objective, key)), (float(cell), float(cell))
        return (training[key], model.discriminator), (None, None)

    return compare


def compare_adversarial(name, cell):
    model, variant = made(name)[1], VARIANTS[name]
    if not cell:
        return (variant.adversarial, variant.discriminator, model.discriminator), (None, None, None)
    adversarial = model.objective.adversarial
    actual = [[float(loss(REAL, FAKE, step=np.int64(step))) for loss in adversarial] for step in LABELS]
    return actual, [[pytest.approx(value, rel=1e-5) for value in LOSSES[cell](step)] for step in LABELS]


def rate(optimizer, step):
    """The rate of the update after `step` others."""
    before = int(optimizer.iterations)
    optimizer.iterations.assign(step)
    try:
        return float(optimizer.learning_rate)
    finally:
        optimizer.iterations.assign(before)


def compare_learning_rate(name, cell):
    training, model, _ = made(name)
    published = pytest.approx(float(cell), rel=1e-6)
    rates = [training["learning_rate"], rate(model.generator_optimizer, PRETRAINING)]
    if not model.discriminator:
        return rates, [float(cell), published]
    own = training["discriminator_learning_rate"]
    return [*rates, own, rate(model.discriminator_optimizer, 0)], [float(cell), published, None, published]


def compare_pretraining_rate(name, cell):
    training, model, _ = made(name)
    rates = [rate(model.generator_optimizer, step) for step in (0, PRETRAINING - 1)]
    return [training["pretrain_learning_rate"], *rates], [float(cell), *[pytest.approx(float(cell), rel=1e-6)] * 2]


def compare_decay(name, cell):
    return [tuple(pair) for pair in made(name)[0]["decay"]], pairs(cell)


def compare_beta_2(name, cell):
    training, model, _ = made(name)
    betas = [o.beta_2 for o in (model.generator_optimizer, model.discriminator_optimizer) if o]
    return [training["adam_beta_2"], *betas], [float(cell)] * (3 if name in GANS else 2)


def compare_layers(name, cell):
    layers = made(name)[0]["vgg_layers"]
    if cell == "last activation of each group":
        return tuple(layers), LAST_OF_EACH_GROUP
    return layers, ((cell,) if cell else None)


def blocks(network):
    """Residual blocks of a generator, by their last additions."""
    return sum(bool(re.fullmatch(r"block\d+_add", layer.name)) for layer in network.layers)


def compare_size(name, cell):
    network, sizes = whole(name), VARIANTS[name].sizes
    if not cell:
        return ({"filters", "blocks"} & set(sizes), blocks(network)), (set(), 0)
    filters, count = map(int, cell.split(","))
    convolutions = [network.get_layer(layer).filters for layer in ("stem_conv", "body_conv")]
    actual = sizes["filters"], sizes["blocks"], convolutions, blocks(network)
    return actual, (filters, count, [filters, filters], count)


def compare_upsampling(name, cell):
    network, sizes = whole(name), VARIANTS[name].sizes
    option = sizes.get("upsample", "absent"), "absent" if "(" in cell else cell
    enlarging = [type(layer) for layer in network.layers if re.fullmatch(r"upsample\d_conv", layer.name)]
    if cell == "(bicubic first)":
        first, conv1 = network.layers[1], network.get_layer("conv1")
        return (option[0], enlarging, type(first), conv1.input is first.output), (option[1], [], Bicubic, True)
    if cell == "(one shuffle)":
        shuffles = [layer.block_size for layer in network.layers if isinstance(layer, DepthToSpace)]
        return (option[0], enlarging, shuffles), (option[1], [], [4])
    kinds = {"subpixel": keras.layers.Conv2D, "resize": NearestConv2D, "(resize)": NearestConv2D}
    shuffles = sum(isinstance(layer, DepthToSpace) for layer in network.layers)
    return (option[0], enlarging, shuffles), (option[1], 2 * [kinds[cell]], 2)


def compare_batch_norm(name, cell):
    network, sizes = whole(name), VARIANTS[name].sizes
    norms = sum(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    # Two a block, and one before the long skip.
    return (sizes.get("batch_norm", ""), norms), (cell, 2 * blocks(network) + 1 if cell == "on" else 0)


def compare_parameters(name, cell):
    return whole(name).count_params(), int(cell.replace(",", ""))


COMPARISONS = {
    "`--alpha` pixel": compare_weight("alpha"),
    "`--beta` content": compare_weight("beta"),
    "`--gamma` adversarial": compare_weight("gamma"),
    "`--pixel-loss`": compare_pixel,
    "`--content-loss`": compare_content,
    "`--vgg-layers`": compare_layers,
    "adversarial": compare_adversarial,
    "`--learning-rate`": compare_learning_rate,
    "`--decay`": compare_decay,
    "`--pretrain-learning-rate`": compare_pretraining_rate,
    "`--adam-beta-2`": compare_beta_2,
    "`--filters`, `--blocks`": compare_size,
    "`--upsample`": compare_upsampling,
    "`--batch-norm`": compare_batch_norm,
    "parameters, three channels, x4": compare_parameters,
}


def test_the_table_tells_of_every_variant():
    assert list(TABLE) == list(COMPARISONS)
    assert all(list(row) == list(VARIANTS) for row in TABLE.values())


@pytest.mark.parametrize(("row", "name"), [(row, name) for row in COMPARISONS for name in VARIANTS])
def test_a_published_value_is_what_a_variant_has(row, name):
    actual, published = COMPARISONS[row](name, TABLE[row][name])
    assert actual == published


def test_parameters_of_the_default_generators():
    counts = {name: whole(name).count_params() for name in VARIANTS}
    conv = 9 * 64 * 64 + 64

    def branches(a, b):  # widen, 3x3, narrow, with biases; the shortcut
        return (a * 2 * a + 2 * a) + (9 * 2 * a * 2 * b + 2 * b) + (2 * b * b + b) + a * b

    realtime = (81 * 3 * 64 + 64 + 64) + 16 * (2 * conv + 64) + conv + 2 * conv + (81 * 64 * 3 + 3)
    assert counts == {
        "msrgan": 1_334_272 + 31 * 2 * 64,
        "srgan": 1_548_547 + 33 * 2 * 64,
        "realtime": realtime,
        "esrgan": 16_697_987,
        "srcnn": 81 * 3 * 64 + 64 + 64 * 32 + 32 + 25 * 32 * 3 + 3,
        "span": branches(3, 32) + 19 * branches(32, 32) + (4 * 32 * 32 + 32) + (9 * 32 * 48 + 48),
    }


# (step, rate of the generator's optimizer), the last step of each rate and the first of the next: 7 steps of
# pre-training, then 80 of the GAN; 60,000 for realtime, whose fall is at step 30,000 of the GAN.
GENERATOR_RATES = {
    "msrgan": (80, [(0, 3e-4), (6, 3e-4), (7, 1e-4), (86, 1e-4), (10**6, 1e-4)]),
    "srgan": (80, [(0, 1e-4), (6, 1e-4), (7, 1e-4), (46, 1e-4), (47, 1e-5), (86, 1e-5)]),
    "realtime": (60_000, [(6, 1e-4), (7, 1e-4), (30_006, 1e-4), (30_007, 1e-5), (60_006, 1e-5)]),
    "esrgan": (
        80,
        [
            *((0, 2e-4), (6, 2e-4), (7, 1e-4), (16, 1e-4), (17, 5e-5), (26, 5e-5), (27, 2.5e-5)),
            *((46, 2.5e-5), (47, 1.25e-5), (66, 1.25e-5), (67, 6.25e-6), (86, 6.25e-6)),
        ],
    ),
    "srcnn": (80, [(0, 3e-4), (6, 3e-4), (7, 1e-4), (86, 1e-4)]),
    "span": (80, [(0, 5e-4), (6, 5e-4), (7, 1e-4), (86, 1e-4)]),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_rates_fall_at_their_steps(name):
    steps, expected = GENERATOR_RATES[name]
    model = made(name, steps=steps)[1]
    assert [rate(model.generator_optimizer, step) for step, _ in expected] == pytest.approx(
        [value for _, value in expected], rel=1e-6
    )
    if model.discriminator:
        # The discriminator's steps count from the start of the GAN.
        gan = [(step - PRETRAINING, value) for step, value in expected if step >= PRETRAINING]
        assert [rate(model.discriminator_optimizer, step) for step, _ in gan] == pytest.approx(
            [value for _, value in gan], rel=1e-6
        )


@pytest.mark.parametrize("name", VARIANTS)
def test_a_system_has_two_plain_adams_and_no_third_optimizer(name):
    model = made(name)[1]
    held = {k: v for k, v in vars(model).items() if isinstance(v, keras.optimizers.Optimizer)}
    names = {"generator_optimizer", "discriminator_optimizer"} if name in GANS else {"generator_optimizer"}
    assert set(held) == names
    assert len({id(optimizer) for optimizer in held.values()}) == len(names)
    assert model.optimizer is None
    for optimizer in held.values():
        assert type(optimizer) is keras.optimizers.Adam
        config = optimizer.get_config()
        assert (config["beta_1"], config["epsilon"], config["amsgrad"]) == (0.9, 1e-7, False)
        rest = ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "gradient_accumulation_steps")
        assert [config[key] for key in rest] == [None] * 5
        assert not config["use_ema"]
    # Each has the moments of its own network: two a weight.
    for optimizer, network in (("generator_optimizer", "generator"), ("discriminator_optimizer", "discriminator")):
        if optimizer in held:
            shapes = [tuple(v.shape) for v in held[optimizer].variables if len(v.shape)]
            weights = [tuple(w.shape) for w in getattr(model, network).trainable_variables]
            assert sorted(shapes) == sorted(2 * weights)


# (convolutions, batch norms, convolutions with biases, head) of each discriminator.
DISCRIMINATORS = {
    "msrgan": (8, 0, 0, keras.layers.Flatten),
    "srgan": (8, 7, 1, keras.layers.Flatten),
    "realtime": (9, 8, 9, keras.layers.GlobalAveragePooling2D),
    "esrgan": (8, 7, 1, keras.layers.Flatten),
}


@pytest.mark.parametrize("name", GANS)
def test_discriminator_of_a_system(name):
    network = made(name)[1].discriminator
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    heads = [type(layer) for layer in network.layers if "Flatten" in type(layer).__name__ or "Pool" in layer.name]
    heads += [type(layer) for layer in network.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    biases = sum(layer.use_bias for layer in convolutions)
    assert (len(convolutions), len(norms), biases, *heads) == DISCRIMINATORS[name]
    # Real-time SRGAN normalises what was activated; SRGAN what will be.
    before = {type(norm.input._keras_history.operation) for norm in norms}
    assert before == {"msrgan": set(), "realtime": {keras.layers.LeakyReLU}}.get(name, {keras.layers.Conv2D})


@pytest.mark.parametrize(("name", "loss"), [("msrgan", "l1"), ("esrgan", "mse"), ("srcnn", "l1")])
def test_pixel_loss_flag_reaches_the_objective(name, loss):
    model = made(name, "--pixel-loss", loss)[1]
    assert float(model.objective.pixel(HR, SR)) == pytest.approx(MEASURED[loss])


@pytest.mark.parametrize(("name", "loss"), [("msrgan", "l1"), ("esrgan", "mse")])
def test_content_loss_flag_reaches_the_objective(name, loss):
    objective = made(name, "--content-loss", loss)[1].objective
    assert float(objective.content(HR, SR)) == pytest.approx(MEASURED_CONTENT[loss])
    assert float(objective.pixel(HR, SR)) == pytest.approx(MEASURED[{"msrgan": "mse", "esrgan": "l1"}[name]])


def batch():
    hr = np.random.default_rng(0).normal(size=(2, 16, 16, 1)).astype("float32")
    return hr.reshape(2, 8, 2, 8, 2, 1).mean(axis=(2, 4)), hr


def test_beta_0_leaves_no_content_term():
    calls = []

    def features(images):
        calls.append(images.shape)
        return [images]

    logs = made("msrgan", "--beta", "0", features=features)[1].train_step(batch())
    assert calls == []
    assert {"content", "norm_content"} & set(logs) == set()
    logs = made("msrgan", "--beta", "0.25", features=features)[1].train_step(batch())
    assert len(calls) == 2  # real and super-resolved
    assert {"content", "norm_content"} <= set(logs)


def test_no_features_leave_no_content_term():
    assert made("srgan", features=None)[1].objective.content is None


def test_weights_of_the_terms_are_those_of_the_flags():
    flags = ["--alpha", "0.5", "--beta", "0.25", "--gamma", "0.125"]
    for name in ("msrgan", "srgan"):
        assert made(name, *flags)[1].objective[3:] == (0.5, 0.25, 0.125)
    model = made("msrgan", *flags)[1]
    none = made("msrgan", "--alpha", "0", "--gamma", "0")[1]
    for network in ("generator", "discriminator"):
        getattr(none, network).set_weights(getattr(model, network).get_weights())
    sr, hr = model.generator(batch()[0], training=True).numpy(), batch()[1]
    logs, without = model.train_step(batch()), none.train_step(batch())
    # The gradient of a mean of squares is 2 d / N.
    norm = 2 * np.linalg.norm(sr - hr) / sr.size
    assert float(logs["norm_pixel"]) == pytest.approx(0.5 * norm, rel=1e-4)
    assert (float(without["norm_pixel"]), float(without["norm_adversarial"])) == (0, 0)
    assert float(without["norm_content"]) == pytest.approx(0.006 / 0.25 * float(logs["norm_content"]), rel=1e-4)
    for term in ("pixel", "content", "adversarial", "d_loss", "d_margin"):
        assert float(without[term]) == pytest.approx(float(logs[term]), rel=1e-5)


def test_rates_are_those_of_the_flags():
    flags = ["--learning-rate", "3e-3", "--pretrain-learning-rate", "5e-3", "--decay", "0.25:0.5", "60:0.1"]
    model = made("srgan", *flags)[1]
    steps = (0, 6, 7, 26, 27, 66, 67)
    assert [rate(model.generator_optimizer, step) for step in steps] == pytest.approx(
        [5e-3, 5e-3, 3e-3, 3e-3, 1.5e-3, 1.5e-3, 1.5e-4]
    )
    gan = (0, 19, 20, 59, 60)
    assert [rate(model.discriminator_optimizer, step) for step in gan] == pytest.approx(
        [3e-3, 3e-3, 1.5e-3, 1.5e-3, 1.5e-4]
    )


def test_discriminator_has_its_own_rate_where_one_is_named():
    model = made("srgan", "--discriminator-learning-rate", "7e-3")[1]
    assert [rate(model.discriminator_optimizer, step) for step in (0, 39, 40)] == pytest.approx([7e-3, 7e-3, 7e-4])
    assert [rate(model.generator_optimizer, step) for step in (7, 46, 47)] == pytest.approx([1e-4, 1e-4, 1e-5])
    still = made("srgan", "--discriminator-learning-rate", "0")[1]
    assert rate(still.discriminator_optimizer, 0) == 0
    assert rate(still.generator_optimizer, 7) == pytest.approx(1e-4)


def test_decay_without_a_value_keeps_the_rate():
    model = made("srgan", "--decay")[1]
    assert [rate(model.generator_optimizer, step) for step in (7, 86)] == pytest.approx([1e-4, 1e-4])
    assert [rate(model.discriminator_optimizer, step) for step in (0, 79)] == pytest.approx([1e-4, 1e-4])


def test_beta_2_is_that_of_the_flag():
    model = made("msrgan", "--adam-beta-2", "0.9")[1]
    assert (model.generator_optimizer.beta_2, model.discriminator_optimizer.beta_2) == (0.9, 0.9)
    assert made("srcnn", "--adam-beta-2", "0.9")[1].generator_optimizer.beta_2 == 0.9


@pytest.fixture(scope="module")
def vgg_of_one_layer(tmp_path_factory):
    """A vgg.keras that has the layer block1_conv1 alone, so that the first other layer is named by an error."""
    image = keras.Input((None, None, 1))
    file = tmp_path_factory.mktemp("vgg") / "vgg.keras"
    keras.Model(image, keras.layers.Conv2D(2, 3, name="block1_conv1")(image), name="small").save(file)
    return file


@pytest.mark.parametrize(
    ("arguments", "layer"),
    [
        (["--variant", "msrgan"], "block1_conv2_act"),
        (["--variant", "srgan"], "block5_conv4_act"),
        (["--variant", "realtime"], "block5_conv4"),
        (["--variant", "esrgan"], "block5_conv4"),
        (["--variant", "esrgan", "--vgg-layers", "block1_conv1", "block2_conv1_act"], "block2_conv1_act"),
    ],
)
def test_layers_of_the_features_reach_the_extractor(arguments, layer, vgg_of_one_layer, tmp_path, capfd):
    out = ["--out", str(tmp_path / "run"), "--data", str(tmp_path / "nothing")]
    assert train_srgan.main([*arguments, "--vgg", str(vgg_of_one_layer), *out]) == 2
    assert f"Received: '{layer}'" in capfd.readouterr().err


def test_beta_0_needs_no_features(tmp_path, capfd):
    missing = tmp_path / "no_vgg"
    arguments = ["--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run"), "--vgg", str(missing)]
    assert train_srgan.main([*arguments, "--beta", "0"]) == 2
    assert "no_vgg" not in capfd.readouterr().err
    assert train_srgan.main(arguments) == 2
    assert "no_vgg" in capfd.readouterr().err
