"""Checkpoints: what they hold by which name, and what becomes of damaged ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny

from msrgan.losses import Objective
from msrgan.training.checkpoints import Checkpoints, named_variables, saved_steps
from msrgan.training.loop import Progress
from msrgan.training.optimizers import adam
from msrgan.training.step import SRGAN
from msrgan.training.variants import VARIANTS


def test_names_of_variables_do_not_depend_on_what_was_built_before():
    variant, names = VARIANTS["srgan"], []
    for _ in range(2):
        generator = variant.generator(channels=1, scale=2, **tiny(variant) | {"dropout": 0.3})
        model = SRGAN(generator, variant.discriminator(channels=1, patch=32, filters=4))
        model.compile(Objective(), adam(1e-3), adam(1e-3))
        optimizers = model.generator_optimizer, model.discriminator_optimizer
        names.append(named_variables(model, optimizers))
    assert list(names[0]) == list(names[1])
    expected = {
        "generator/stem_conv/kernel",
        "averaged/stem_conv/kernel",
        "discriminator/logit/bias",
        "generator/block1_conv1_bn/moving_mean",
        "generator/block1_conv1_dropout/seed_generator_state",
        "optimizer0/adam/stem_conv_kernel_velocity",
        "optimizer1/adam/iteration",
    }
    assert expected <= set(names[0]), sorted(names[0])
    # Everything that the model and its optimizers have, once, but the learning rates.
    owners = [*model.variables, *(v for o in optimizers for v in o.variables if v.name != "learning_rate")]
    assert {id(v) for v in names[1].values()} == {id(v.value) for v in owners}
    assert len({id(v) for v in names[1].values()}) == len(names[1])


class Twins(keras.Model):
    """Two layers of one shape, made in a chosen order."""

    def __init__(self, order=("first", "second"), units=3):
        super().__init__()
        layers = {name: keras.layers.Dense(units, name=name) for name in order}
        for layer in layers.values():
            layer.build((None, 2))
        self.parts = list(layers.values())
        self.optimizer_ = keras.optimizers.Adam(0.1)
        self.optimizer_.build([w for layer in self.parts for w in layer.weights])


def checkpoints(folder, model=None, progress=None, **twins):
    model = model or Twins(**twins)
    return Checkpoints(folder, named_variables(model, [model.optimizer_]), progress or Progress())


def test_layers_of_one_shape_are_restored_by_name(tmp_path):
    saved = checkpoints(tmp_path)
    for k, v in enumerate(saved.variables.values()):
        v.assign(tf.cast(tf.fill(v.shape, k), v.dtype))
    saved.save(7)
    swapped = Twins(order=("second", "first"))
    restored = checkpoints(tmp_path, swapped)
    assert restored.restore()
    assert set(restored.variables) == set(saved.variables)
    for name, v in restored.variables.items():
        np.testing.assert_array_equal(v.numpy(), saved.variables[name].numpy(), name)
    kernels = {layer.name: float(layer.kernel[0, 0]) for layer in swapped.parts}
    order = list(saved.variables)
    assert kernels == {name: order.index(f"model/{name}/kernel") for name in ("first", "second")}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dict(order=("first", "third")), "model/second/bias is of shape .3,. there and missing here"),
        (dict(units=4), "model/first/bias is of shape .3,. there and of shape .4,. here"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(other, message, tmp_path):
    checkpoints(tmp_path).save(7)
    with pytest.raises(ValueError, match=message):
        checkpoints(tmp_path, **other).restore()


def test_variables_of_one_name_are_refused():
    model = Twins()
    model.parts.append(keras.layers.Dense(3, name="first"))
    model.parts[-1].build((None, 2))
    with pytest.raises(ValueError, match="Received: model/first/(kernel|bias) twice"):
        named_variables(model, [])


def test_a_checkpoint_without_names_is_refused(tmp_path):
    here = checkpoints(tmp_path)
    unnamed = tf.train.Checkpoint(progress=Progress(), variables=list(here.variables.values()))
    tf.train.CheckpointManager(unnamed, str(tmp_path), 2).save(3)
    with pytest.raises(ValueError, match="ckpt-3 was written by an earlier version, which gave variables no names"):
        here.restore()


def test_the_last_two_are_kept_and_the_files_tell_which(tmp_path, caplog):
    for step in (9, 10, 11):
        progress = Progress()
        progress.step = step
        checkpoints(tmp_path, progress=progress).save(step)
    assert saved_steps(tmp_path) == [10, 11]
    assert len(list(tmp_path.iterdir())) == 4
    # A note of the latest, as TensorFlow keeps one, does not matter.
    (tmp_path / "checkpoint").write_bytes(b"\xff garbage")
    progress = Progress()
    assert checkpoints(tmp_path, progress=progress).restore()
    assert progress.step == 11
    (tmp_path / "ckpt-11.index").write_bytes(b"garbage")
    assert checkpoints(tmp_path, progress=progress).restore()
    assert progress.step == 10
    assert "ckpt-11 is damaged and passed over" in caplog.text
    (tmp_path / "ckpt-10.data-00000-of-00001").unlink()
    with pytest.raises(ValueError, match="no checkpoint can be read. Start anew by `resume`"):
        checkpoints(tmp_path).restore()


def test_what_failed_attempts_left_is_removed(tmp_path):
    saved = checkpoints(tmp_path)
    saved.save(6)
    whole = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "ckpt-9_temp").mkdir()
    (tmp_path / "ckpt-9_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"x")
    (tmp_path / "ckpt-12.data-00000-of-00001").write_bytes(b"x")
    (tmp_path / "ckpt-12.index.tempstate77").write_bytes(b"x")
    (tmp_path / "best.npz").write_bytes(b"x")
    saved.tidy()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.npz", *whole]


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(small_disk):
    saved = checkpoints(small_disk)
    saved.save(3)
    big = checkpoints(small_disk, units=9000)
    with pytest.raises(
        OSError, match="ckpt-6: the checkpoint cannot be written .*No space.*last good one is .*ckpt-3"
    ) as error:
        big.save(6)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in small_disk.glob("ckpt*")) == ["ckpt-3.data-00000-of-00001", "ckpt-3.index"]
    assert checkpoints(small_disk).restore()


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    saved = checkpoints(tmp_path / "checkpoints")
    (tmp_path / "checkpoints").rmdir()
    with pytest.raises(OSError, match="ckpt-3: the checkpoint cannot be written .the folder is gone.. There is none"):
        saved.save(3)
    assert not (tmp_path / "checkpoints").exists()


def test_an_error_of_the_system_is_one_line(tmp_path, monkeypatch):
    saved = checkpoints(tmp_path)

    def denied(path):
        raise tf.errors.PermissionDeniedError(None, None, f"{path}_temp/part; Permission denied")

    monkeypatch.setattr(saved._checkpoint, "write", denied)
    with pytest.raises(OSError, match=r"cannot be written \(Permission denied\)"):
        saved.save(3)
