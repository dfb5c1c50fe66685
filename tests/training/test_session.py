"""Runs that are killed, continued, lengthened, refused, started anew."""

import re
import shutil
import subprocess
import sys

import keras
import pytest
from conftest import ROOT, run_script, same, table

import msrgan.networks  # noqa: F401  registers the layers
import train_srgan
import train_vgg
from msrgan.training import session
from msrgan.training.checkpoints import saved_steps

# Runs a script, and ends it with SIGKILL at the end of a step, between two checkpoints and after an epoch.
KILLED = """
import importlib, os, signal, sys
name, step = sys.argv.pop(1), int(sys.argv.pop(1))
import keras
end = keras.callbacks.CallbackList.on_train_batch_end
def kill(self, batch, logs=None):
    end(self, batch, logs)
    if batch == step:
        os.kill(os.getpid(), signal.SIGKILL)
keras.callbacks.CallbackList.on_train_batch_end = kill
importlib.import_module(name).main()
"""
VGG = ["--width", 1 / 32, "--image-size", 32, "--batch-size", 2, "--seed", 3, "--epochs", 3, "--checkpoint-every", 3]
# Batch norm and dropout: everything that has a state of its own.
STATEFUL = ["--variant", "srgan", "--dropout", 0.3, "--vgg", "none", "--alpha", 1, "--filters", 4, "--blocks", 1]
STATEFUL += ["--scale", 2, "--patch-size", 16, "--batch-size", 4, "--seed", 3, "--validate-every", 6]
STATEFUL += ["--pretrain-steps", 9, "--steps", 12, "--checkpoint-every", 6]
ARGUMENTS = {train_vgg.main: VGG, train_srgan.main: STATEFUL}
# The same, with steps of everything, to be run eagerly.
SHORT_VGG = [*VGG, "--batch-size", 5, "--epochs", 2]
SHORT = [*STATEFUL, "--validate-every", 2, "--pretrain-steps", 3, "--steps", 4, "--checkpoint-every", 2]


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


@pytest.fixture(scope="module")
def whole(image_folder, tmp_path_factory):
    """A function of a script's main: the folder of its run that nothing interrupted, made once."""
    folders = {}

    def get(main):
        if main not in folders:
            folders[main] = tmp_path_factory.mktemp("runs") / main.__module__
            assert "resumed" not in run_script(main, ["--data", image_folder, *ARGUMENTS[main]], folders[main])
        return folders[main]

    return get


@pytest.fixture(scope="module")
def short(image_folder, tmp_path_factory):
    """Likewise, of short runs, for tests that are untraced: (main, arguments) -> folder."""
    folders = {}

    def get(main, arguments):
        if main not in folders:
            folders[main] = tmp_path_factory.mktemp("short") / main.__module__
            run_script(main, ["--data", image_folder, *arguments], folders[main])
        return folders[main]

    return get


@pytest.fixture
def finished(short, tmp_path, untraced):
    """A copy of a finished run of stage 2, for a test to go on with."""
    return shutil.copytree(short(train_srgan.main, SHORT), tmp_path / "finished")


@pytest.mark.long
@pytest.mark.parametrize(
    ("main", "arguments", "killed_at", "resumed_at", "epochs", "calls", "product"),
    [
        # Epochs of 5 steps: the checkpoint is after the fourth of the second epoch, the kill in the third.
        (train_vgg.main, VGG, 11, 9, ["5", "10", "15"], [10, 12, 15], "vgg.keras"),
        # The GAN begins at 9: the checkpoint is after the third step of its first epoch, the kill in its second.
        (train_srgan.main, STATEFUL, 17, 12, ["6", "9", "15", "21"], [15, 18, 21], "generator.keras"),
    ],
)
def test_a_run_killed_in_the_middle_of_an_epoch_ends_like_one_never_killed(
    main, arguments, killed_at, resumed_at, epochs, calls, product, image_folder, whole, tmp_path, monkeypatch
):
    arguments = [*map(str, ["--data", image_folder, *arguments])]
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, main.__module__, str(killed_at), *arguments, "--out", str(killed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr[-2000:]
    assert saved_steps(killed / "checkpoints")[-1] == resumed_at
    assert [row["step"] for row in table(killed / "history.csv")] == [step for step in epochs if int(step) < killed_at]
    assert not (killed / product).exists()
    # As on a GPU: several steps in a call, where the whole run had one, and it is the same to the last bit.
    ended = []
    monkeypatch.setattr(session, "steps_per_call", lambda: 7)
    monkeypatch.setattr(
        keras.callbacks.CallbackList, "on_train_batch_end", lambda self, batch, logs: ended.append(batch)
    )
    printed = run_script(main, arguments, killed)
    assert ended == calls
    assert re.findall(r"resumed at step (\d+)", printed) == [str(resumed_at)]
    assert same(weights(killed / product), weights(whole(main) / product))
    assert table(killed / "history.csv") == table(whole(main) / "history.csv")
    assert [row["step"] for row in table(killed / "history.csv")] == epochs


class Broken(Exception):
    """What no part of a run expects."""


@pytest.mark.parametrize(
    ("main", "arguments", "broken_at", "resumed_at", "epochs", "product"),
    [
        # Epochs of 2 steps: the checkpoint is in the middle of the second.
        (train_vgg.main, SHORT_VGG, 4, 3, ["2", "4"], "vgg.keras"),
        # The GAN begins at 3: the checkpoint is in the middle of its first epoch.
        (train_srgan.main, SHORT, 5, 4, ["2", "3", "5", "7"], "generator.keras"),
    ],
)
def test_a_run_that_broke_off_in_the_middle_of_an_epoch_ends_like_a_whole_one(
    main, arguments, broken_at, resumed_at, epochs, product, image_folder, short, tmp_path, monkeypatch, untraced
):
    whole, arguments = short(main, arguments), ["--data", image_folder, *arguments]

    def fail(self, batch, logs=None):
        if batch == broken_at:
            raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(keras.callbacks.CallbackList, "on_train_batch_end", fail)
        with pytest.raises(Broken):
            run_script(main, arguments, tmp_path)
    assert saved_steps(tmp_path / "checkpoints")[-1] == resumed_at
    assert not (tmp_path / product).exists()
    assert re.findall(r"resumed at step (\d+)", run_script(main, arguments, tmp_path)) == [str(resumed_at)]
    assert same(weights(tmp_path / product), weights(whole / product))
    assert table(tmp_path / "history.csv") == table(whole / "history.csv")
    assert [row["step"] for row in table(tmp_path / "history.csv")] == epochs


def test_a_finished_run_is_continued_by_more_steps(image_folder, finished):
    arguments = ["--data", image_folder, *SHORT]
    first = weights(finished / "generator.keras")
    assert "resumed at step 7" in run_script(train_srgan.main, arguments, finished)
    assert same(first, weights(finished / "generator.keras"))
    assert "resumed at step 7" in run_script(train_srgan.main, [*arguments, "--steps", 5], finished)
    assert [row["step"] for row in table(finished / "history.csv")] == ["2", "3", "5", "7", "8"]
    assert not same(first, weights(finished / "generator.keras"))


def test_another_configuration_is_refused_and_no_resume_starts_anew(image_folder, finished, capfd):
    arguments = ["--data", image_folder, *SHORT, "--filters", 8]
    assert train_srgan.main([*map(str, arguments), "--out", str(finished)]) == 2
    message = capfd.readouterr().err
    assert message.count("\n") == 1
    assert "filters was 4, now 8" in message
    short = [*arguments, "--pretrain-steps", 2, "--steps", 0]
    assert "resumed" not in run_script(train_srgan.main, [*short, "--no-resume"], finished)
    assert [row["step"] for row in table(finished / "history.csv")] == ["2"]
