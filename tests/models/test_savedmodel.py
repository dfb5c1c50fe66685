import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from msrgan import models, upscaling
from msrgan.intensity import PERCENTILE
from msrgan.models import card
from msrgan.networks import fold_batch_norm, receptive_radius, srresnet
from msrgan.upscaling import tiling


def trained(**options):
    """A small generator whose weights and batch-norm statistics are far from their initial values."""
    keras.utils.set_random_seed(1)
    generator = srresnet(**({"channels": 1, "filters": 6, "blocks": 1, "kernel": 5} | options))
    rng = np.random.default_rng(1)
    for variable in generator.variables:
        if "seed" not in variable.path:
            noise = rng.normal(scale=0.1, size=variable.shape)
            variable.assign(variable + (np.abs(noise) if "variance" in variable.path else noise))
    return generator


@pytest.fixture(scope="module")
def generator():
    return trained()


@pytest.fixture(scope="module")
def exported(generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "model"
    models.export(generator, path, metadata={"normalization": "range"})
    return path


@pytest.fixture(scope="module")
def model(exported):
    return models.load(exported)


def stub(function, *, channels=1, scale=2, normalization="range"):
    metadata = {"scale": scale, "channels": channels, "receptive_radius": 0, "normalization": normalization}
    metadata |= {"percentiles": [0.1, 99.9], "degradation": "bicubic", "training_hashes": []}
    return models.Upscaler(function, metadata)


def twice(batch):
    return tf.repeat(tf.repeat(batch, 2, axis=1), 2, axis=2)


def random_image(shape, dtype=np.float32, seed=0):
    x = np.random.default_rng(seed).random(shape)
    return (x * (1 if dtype == np.float32 else np.iinfo(dtype).max)).astype(dtype)


# Export and load


def test_saved_model_in_a_fresh_process_equals_the_generator(generator, exported, tmp_path):
    batch = random_image((2, 20, 13, 1)) * 1.5 - 0.2  # values beyond [0, 1] pass too
    np.save(tmp_path / "in.npy", batch)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "out = model.signatures['serving_default'](image=tf.constant(np.load(sys.argv[2])))\n"
        "assert list(out) == ['upscaled'] and 'msrgan' not in sys.modules\n"
        "np.save(sys.argv[3], out['upscaled'])\n"
    )
    arguments = [exported, tmp_path / "in.npy", tmp_path / "out.npy"]
    subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=True, capture_output=True)
    expected = (generator(batch * 2 - 1, training=False).numpy() + 1) / 2
    assert expected.std() > 0.05
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-4)


def test_loaded_model_equals_the_generator(generator, model):
    batch = random_image((1, 9, 30, 1))
    expected = (generator(batch * 2 - 1, training=False).numpy() + 1) / 2
    np.testing.assert_allclose(model(batch), expected, atol=1e-5)


def test_metadata(generator, exported, model):
    metadata = json.loads((exported / "msrgan.json").read_text())
    assert metadata == model.metadata
    assert metadata["normalization"] == "range"
    assert metadata["degradation"] == "bicubic"
    assert metadata["training_hashes"] == []
    assert metadata["percentiles"] == [0.1, 99.9]
    assert (model.scale, model.channels, model.radius) == (4, 1, receptive_radius(generator))


def test_export_of_a_half_precision_generator_is_float32(tmp_path):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = trained(channels=3)
    finally:
        keras.config.set_dtype_policy(policy)
    models.export(half, tmp_path / "model")
    batch = random_image((1, 12, 12, 3))
    expected = (tf.cast(half(batch * 2 - 1, training=False), tf.float32).numpy() + 1) / 2
    out = models.load(tmp_path / "model")(batch)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, atol=0.1)


def test_export_replaces_a_model_whole_or_not_at_all(generator, tmp_path, monkeypatch):
    models.export(generator, tmp_path / "model", metadata={"run": "first"})
    models.export(generator, tmp_path / "model", metadata={"run": "second", "training_hashes": ["ab"]})

    def broken(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", broken)
    with pytest.raises(OSError, match="No space"):
        models.export(generator, tmp_path / "model", metadata={"run": "third"})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    metadata = models.load(tmp_path / "model").metadata
    assert (metadata["run"], metadata["training_hashes"]) == ("second", ["ab"])


def test_the_fingerprint_is_that_of_the_graph_and_the_weights(generator, tmp_path):
    models.export(generator, tmp_path / "model", metadata={"training_hashes": ["0123456789abcdef" * 4, "ab"]})
    metadata = models.load(tmp_path / "model").metadata
    assert metadata["training_hashes"] == ["0123456789abcdef", "ab"]
    assert metadata["fingerprint"] == card.fingerprint(tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / "moved")
    assert models.load(tmp_path / "moved").metadata == metadata
    weights = tmp_path / "moved" / "variables" / "variables.data-00000-of-00001"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert card.fingerprint(tmp_path / "moved") != metadata["fingerprint"]
    with pytest.raises(ValueError, match="moved is a damaged model .its files are not those of the fingerprint"):
        models.load(tmp_path / "moved")


def test_export_never_replaces_something_else(generator, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="is not an exported model"):
        models.export(generator, tmp_path)
    with pytest.raises(ValueError, match="is not an exported model"):
        models.export(generator, tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_export_checks_metadata(generator, tmp_path):
    with pytest.raises(ValueError, match="normalization is one of percentile, range"):
        models.export(generator, tmp_path / "model", metadata={"normalization": "zscore"})
    with pytest.raises(ValueError, match="training_hashes is a list"):
        models.export(generator, tmp_path / "model", metadata={"training_hashes": None})
    assert not list(tmp_path.iterdir())


def test_export_refuses_a_generator_of_infinite_pixels(tmp_path):
    generator = trained(batch_norm=False)
    for weight in generator.trainable_variables:
        weight.assign(weight * 1e30)  # finite, but their products are not
    with pytest.raises(FloatingPointError, match="gives NaN or infinite pixels"):
        models.export(generator, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_load_takes_a_run_folder(exported, model):
    assert models.load(exported.parent).metadata == model.metadata


def test_load_errors(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing: there is no exported model. Received: nothing"):
        models.load(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="Received: a file"):
        models.load(exported / "msrgan.json")
    with pytest.raises(FileNotFoundError, match="Received: an empty folder"):
        models.load(tmp_path)
    with pytest.raises(ValueError, match="enlarges 4 times.*scale=2"):
        models.load(exported, scale=2)
    (tmp_path / "saved_model.pb").write_bytes((exported / "saved_model.pb").read_bytes())
    with pytest.raises(ValueError, match="without msrgan.json"):
        models.load(tmp_path)
    (tmp_path / "msrgan.json").write_text('{"scale": 4')
    with pytest.raises(ValueError, match="msrgan.json cannot be read"):
        models.load(tmp_path)
    (tmp_path / "msrgan.json").write_text('{"scale": "four"}')
    with pytest.raises(ValueError, match="msrgan.json: scale is a whole number"):
        models.load(tmp_path)


def damaged(exported, target):
    """Copy a model, to damage it."""
    shutil.copytree(exported, target)
    return target


def half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garbage(file):
    file.write_bytes(b"garbage" * 100)


def emptied(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [half, garbage, emptied, Path.unlink])
@pytest.mark.parametrize("part", ["variables.data-00000-of-00001", "variables.index"])
def test_damaged_variables_are_one_line(exported, damage, part, tmp_path):
    path = damaged(exported, tmp_path / "model")
    damage(path / "variables" / part)
    with pytest.raises(ValueError, match="model is a damaged model .*. Export it again") as error:
        models.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [half, garbage, emptied])
@pytest.mark.parametrize("trust", [False, True])
def test_a_damaged_graph_is_one_line(exported, damage, trust, tmp_path):
    path = damaged(exported, tmp_path / "model")
    damage(path / "saved_model.pb")
    with pytest.raises(ValueError, match="model is a damaged model .*. Export it again") as error:
        models.load(path, trust=trust)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [half, garbage])
def test_a_damaged_fingerprint_is_one_line(exported, damage, tmp_path, caplog):
    path = damaged(exported, tmp_path / "model")
    damage(path / "fingerprint.pb")
    with pytest.raises(ValueError, match="model is a damaged model .fingerprint.pb cannot be read.. Export it again"):
        models.load(path)
    assert not caplog.records


@pytest.mark.parametrize("damage", [emptied, Path.unlink])
def test_a_model_without_a_fingerprint_loads_in_silence(exported, damage, tmp_path, caplog, capfd):
    path = damaged(exported, tmp_path / "model")
    damage(path / "fingerprint.pb")
    assert models.load(path).scale == 4
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"scale": 3}, "scale 3 and channels 1 make"),
        ({"scale": 8}, "scale 8 and channels 1 make"),
        ({"channels": 3}, "a model of 3 channels makes upscaled of image"),
        ({"receptive_radius": 0}, "its network looks farther than receptive_radius 0"),
    ],
)
def test_a_card_that_the_network_belies_is_refused(exported, claims, message, tmp_path):
    path = damaged(exported, tmp_path / "model")
    metadata = json.loads((path / "msrgan.json").read_text())
    (path / "msrgan.json").write_text(json.dumps(metadata | claims))
    with pytest.raises(ValueError, match=f"model: {message}"):
        models.load(path)


@pytest.mark.parametrize(
    ("shape", "dtype", "inputs", "outputs"),
    [
        ((None, None, None, 1), tf.float32, "image", "enlarged"),
        ((None, None, None, 1), tf.float32, "picture", "upscaled"),
        ((None, None, None, 1), tf.float64, "image", "upscaled"),
        ((None, None, 1), tf.float32, "image", "upscaled"),
    ],
)
def test_another_signature_is_refused(shape, dtype, inputs, outputs, tmp_path):
    @tf.function(input_signature=[tf.TensorSpec(shape, dtype, name=inputs)])
    def serve(image):
        return {outputs: image + 1}

    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"serving_default": serve})
    metadata = {"scale": 2, "channels": 1, "receptive_radius": 0} | card.defaults()
    (tmp_path / "msrgan.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=f"makes upscaled of image, float32 .*. Received: {outputs} of .*{inputs}"):
        models.load(tmp_path, trust=True)


def test_models_of_0_2_load(generator, model, tmp_path):
    """Written as 0.2 wrote them: hashes of 64 characters, and what its training script added."""
    network = fold_batch_norm(generator, dtype="float32")
    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32, name="image")])
    def serve(image):
        return {"upscaled": (network(image * 2 - 1, training=False) + 1) / 2}

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    metadata = {"scale": 4, "channels": 1, "receptive_radius": receptive_radius(generator)}
    metadata |= {"normalization": "percentile", "percentiles": [0.1, 99.9], "degradation": "thesis"}
    metadata |= {"training_hashes": ["0123456789abcdef" * 4], "version": "0.2.0"}
    metadata |= {"variant": "msrgan", "data": "folder", "steps": 10_000}
    (tmp_path / "msrgan.json").write_text(json.dumps(metadata, indent=1) + "\n")
    loaded = models.load(tmp_path)
    assert loaded.metadata == metadata | {"fingerprint": card.fingerprint(tmp_path)}
    batch = random_image((1, 9, 30, 1))
    np.testing.assert_allclose(loaded(batch), model(batch), atol=1e-6)


def test_a_model_shows_itself_on_a_line(model):
    assert repr(model) == "<Upscaler: x4, 1 channels, degradation bicubic>"
    metadata = model.metadata | {"data": "hpa", "degradation": "thesis", "channels": 3}
    assert repr(models.Upscaler(None, metadata)) == "<Upscaler: x4, 3 channels, data hpa, degradation thesis>"
    null = models.load("lanczos", scale=2)
    assert repr(null) == "<Upscaler: x2, any channels, interpolation lanczos, degradation bicubic>"


# Tiles


@pytest.mark.parametrize("size", [1, 5, 30, 31, 32, 33, 47, 48, 49, 200])
@pytest.mark.parametrize(("tile", "overlap"), [(16, 8), (1, 3), (7, 0), (33, 5)])
def test_tiles_partition_the_image_with_context(size, tile, overlap):
    parts = list(tiling.spans(size, tile=tile, overlap=overlap))
    shapes = {stop - start for (start, stop), _ in parts}
    assert len(shapes) == 1
    assert max(shapes) <= min(size, tile + 2 * overlap)
    assert len(parts) == max(1, -(-(size - 2 * overlap) // tile))
    covered = np.zeros(size, int)
    for each in parts:
        covered[each.outer(1)] += 1
        (start, stop), (first, last) = each.window, each.kept
        assert np.arange(start, stop)[each.inner(1)].tolist() == np.arange(size)[each.outer(1)].tolist()
        assert 0 <= start <= first < last <= stop <= size
        assert first - start >= overlap or start == 0
        assert stop - last >= overlap or stop == size
    assert (covered == 1).all()


@pytest.mark.parametrize(("tile", "overlap"), [(1, None), (8, None), (20, 11), (64, None)])
def test_tiled_equals_untiled(model, tile, overlap):
    image = random_image((41, 57, 1))
    whole = (model(image[None]))[0]
    tiled = upscaling.upscale(model, image, tile=tile, overlap=overlap)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("name", ["nearest", "bicubic", "lanczos"])
def test_interpolation_tiled_equals_untiled(name):
    image = random_image((41, 57, 3))
    model = models.load(name)
    np.testing.assert_allclose(upscaling.upscale(model, image, tile=8), upscaling.upscale(model, image), atol=1e-5)


def test_too_little_context_would_be_seen(exported):
    model = models.load(exported)
    image = random_image((41, 57, 1))
    whole = upscaling.upscale(model, image)
    model.radius = 0
    assert np.abs(upscaling.upscale(model, image, tile=8) - whole).max() > 1e-3


def test_all_calls_have_one_shape():
    shapes = []

    def function(batch):
        shapes.append(tuple(batch.shape))
        return twice(batch)

    upscaling.upscale(stub(function), random_image((50, 33, 1)), tile=10, overlap=3)
    assert len(shapes) == 5 * 3
    assert set(shapes) == {(1, 15, 15, 1)}
    shapes.clear()
    upscaling.upscale(stub(function), random_image((50, 33, 1)))
    assert shapes == [(1, 50, 33, 1)]


# Intensities and channels


def test_integers_are_rounded_and_clipped():
    def shifted(batch):
        return twice(batch) + tf.reshape(tf.constant([0.6, -0.6, 0.4]) / 255, (1, 1, 1, 3))

    image = np.zeros((2, 2, 3), np.uint8)
    image[0], image[1] = 10, 255
    out = upscaling.upscale(stub(shifted, channels=3), image)
    assert out.dtype == np.uint8
    assert out[0, 0].tolist() == [11, 9, 10]
    assert out[3, 3].tolist() == [255, 254, 255]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("normalization", ["percentile", "range"])
def test_normalisation_is_undone(dtype, normalization):
    image = random_image((30, 20, 2), dtype)
    out = upscaling.upscale(stub(twice, channels=2, normalization=normalization), image, tile=8)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, image.repeat(2, 0).repeat(2, 1), rtol=1e-6, atol=1e-6)


def test_the_model_sees_the_percentiles_of_the_whole_image():
    seen = []

    def function(batch):
        seen.append(batch)
        return twice(batch)

    image = random_image((64, 40, 1), np.uint16) // 16 + 1000
    upscaling.upscale(stub(function, normalization="percentile"), image, tile=8)
    low, high = np.percentile(image, (0.1, 99.9))
    np.testing.assert_allclose(seen[0][0], (image[:8, :8] - low) / (high - low), atol=1e-5)


def test_12_bit_data_upscale_like_16_bit_data(exported):
    model = models.load(exported)
    model.normalization = PERCENTILE
    image = random_image((30, 30, 1), np.uint16) // 16
    dim, bright = (upscaling.upscale(model, x).astype(int) for x in (image, image * 16))
    assert dim.std() > 100
    assert np.abs(np.clip(dim * 16, 0, 65535) - bright).max() <= 16


def test_grey_image_for_a_colour_model():
    def function(batch):
        assert batch.shape[-1] == 3
        return twice(batch) + tf.constant([0.0, 0.1, 0.5])

    image = random_image((6, 7))
    out = upscaling.upscale(stub(function, channels=3), image)
    assert out.shape == (12, 14)
    np.testing.assert_allclose(out, image.repeat(2, 0).repeat(2, 1) + 0.2, atol=1e-6)


def test_colour_image_for_a_grey_model(model):
    image = random_image((12, 15, 4))
    planes = [upscaling.upscale(model, image[..., c]) for c in range(4)]
    np.testing.assert_allclose(upscaling.upscale(model, image), np.stack(planes, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((8, 8, 2), np.uint8), {}, "3 channels.*Received: 2"),
        (np.zeros((8, 8, 3), np.int8), {}, "Received: int8"),
        (np.zeros((1, 8, 8, 3), np.uint8), {}, r"Received: \(1, 8, 8, 3\) uint8"),
        (np.zeros((0, 8, 3), np.uint8), {}, r"Received: CYX \(3, 0, 8\)"),
        (np.full((8, 8, 3), np.nan), {}, "NaN"),
        (np.zeros((8, 8, 3), np.uint8), {"overlap": 4}, "5 or more.*Received: 4"),
        (np.zeros((8, 8, 3), np.uint8), {"tile": 0}, "tile=0"),
    ],
)
def test_upscale_errors(image, options, message):
    model = stub(twice, channels=3)
    model.radius = 5
    with pytest.raises(ValueError, match=message):
        upscaling.upscale(model, image, **options)


@pytest.mark.parametrize("pixel", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_model_of_infinite_pixels_is_an_error(pixel, dtype):
    model = stub(lambda batch: twice(batch) + tf.where(tf.reduce_max(batch) > 0.5, pixel, 0.0))
    image = np.zeros((40, 8), dtype)
    assert upscaling.upscale(model, image, tile=8).shape == (80, 16)
    image[-1] = np.iinfo(dtype).max if dtype == np.uint8 else 1
    with pytest.raises(ValueError, match="gives NaN or infinite pixels.*from 0 to"):
        upscaling.upscale(model, image, tile=8)


def test_upscale_takes_a_path(exported, model):
    image = random_image((8, 8), np.uint8)
    np.testing.assert_array_equal(upscaling.upscale(exported, image), upscaling.upscale(model, image))


def test_a_full_disk_is_one_line_and_leaves_no_model(small_disk):
    generator = srresnet(channels=1, filters=32, blocks=1)
    with pytest.raises(OSError, match="model: the model cannot be written .*No space left") as error:
        models.export(generator, small_disk / "model")
    assert "\n" not in str(error.value)
    assert list(small_disk.iterdir()) == []


def test_dropout_is_off_in_an_exported_model(tmp_path):
    generator = trained(scale=2, dropout=0.5)
    models.export(generator, tmp_path / "model")
    batch = random_image((2, 9, 7, 1))
    expected = (generator(batch * 2 - 1, training=False).numpy() + 1) / 2
    np.testing.assert_allclose(models.load(tmp_path / "model")(batch), expected, atol=1e-5)
