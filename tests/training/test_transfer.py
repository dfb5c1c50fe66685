import errno

import keras
import numpy as np
import pytest
from conftest import images, randomise

import msrgan
from msrgan.networks import span, srresnet
from msrgan.training.transfer import load_weights, save_weights, start_from


def network(units=3, seed=0):
    keras.utils.set_random_seed(seed)
    x = keras.Input((4,))
    y = keras.layers.Dense(units, name="first")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    return keras.Model(x, keras.layers.Dense(units, name="second")(y))


def test_weights_are_kept_by_their_names(tmp_path):
    saved, other = network(seed=1), network(seed=2)
    saved.get_layer("norm").moving_mean.assign([1, 2, 3])
    save_weights(saved, tmp_path / "best.npz")
    load_weights(other, tmp_path / "best.npz")
    for a, b in zip(saved.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [path.name for path in tmp_path.iterdir()] == ["best.npz"]


def test_weights_of_another_network_are_none(tmp_path):
    save_weights(network(), tmp_path / "best.npz")
    x = keras.Input((4,))
    stranger = keras.Model(x, keras.layers.Dense(3, name="third")(x))
    with pytest.raises(KeyError, match="third/kernel"):
        load_weights(stranger, tmp_path / "best.npz")


def test_a_full_disk_leaves_the_weights_before(small_disk):
    save_weights(network(), small_disk / "best.npz")
    with pytest.raises(OSError, match="No space left") as error:
        save_weights(network(units=300), small_disk / "best.npz")
    assert error.value.errno == errno.ENOSPC
    load_weights(network(seed=3), small_disk / "best.npz")
    assert [path.name for path in small_disk.iterdir()] == ["best.npz"]


def trained(build, folder):
    generator = build()
    randomise(generator)
    msrgan.export(generator, folder / "model")
    return generator


def small_span():
    return span(channels=1, filters=4, blocks=1)


def test_a_generator_starts_from_an_exported_model(tmp_path):
    saved = trained(small_span, tmp_path)
    x = images(2, 6, 8, 1)
    for start in (tmp_path, tmp_path / "model"):  # a run without generator.keras, and its model
        first, averaged = small_span(), small_span()
        start_from(start, first, averaged)
        for generator in (first, averaged):
            np.testing.assert_allclose(generator(x), saved(x), atol=2e-5)


def test_it_starts_from_the_model_of_the_same_network_alone(tmp_path):
    trained(small_span, tmp_path)
    with pytest.raises(ValueError, match="is another network, with kernel .* Use its `variant`"):
        start_from(tmp_path, span(channels=1, filters=6, blocks=1))


def test_folded_batch_norm_cannot_be_trained_on(tmp_path):
    def build():
        return srresnet(channels=1, scale=2, filters=4, blocks=1)

    trained(build, tmp_path)
    with pytest.raises(ValueError, match="Batch norm that was folded cannot be unfolded"):
        start_from(tmp_path, build())


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no exported model"):
        start_from(tmp_path / "nothing", small_span())
