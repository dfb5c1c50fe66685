import errno

import keras
import numpy as np
import pytest

from msrgan.training.transfer import load_weights, save_weights


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
