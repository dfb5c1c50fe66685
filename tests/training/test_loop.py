"""The loop of both stages in its hard moments: interrupted, resumed, diverged."""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import fit_line

from msrgan.training.interrupt import held
from msrgan.training.loop import Phase, Progress, validation_interval


class Epochs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)


def test_epochs_report_means_and_validation(tmp_path):
    seen = Epochs()
    model, loop = fit_line(tmp_path, validate=lambda: {"val": 7.0})
    loop.run([seen])
    assert [(e["step"], e["phase"], e["val"]) for e in seen.logs] == [
        (4, "only", 7),
        (8, "only", 7),
        (10, "only", 7),
    ]
    # By hand: the loss of step one is mean((0 - 3 x)^2) for x = 0, 1, 2, 3, and a moves to 0.1 * 2 * 3 * 14 / 4.
    a, losses = 0.0, []
    for step in range(4):
        x = np.arange(step * 4, step * 4 + 4) % 7
        losses.append(np.mean((a * x - 3 * x) ** 2))
        a -= 0.1 * np.mean(2 * (a * x - 3 * x) * x)
    assert seen.logs[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    _, loop = fit_line(tmp_path)
    loop.run()
    (data,) = tmp_path.glob("ckpt-10.data*")
    data.write_bytes(b"")
    assert fit_line(tmp_path)[1].restore() == 9
    for file in tmp_path.glob("ckpt-*.data*"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint can be read. Start anew by `resume`"):
        fit_line(tmp_path)[1].restore()


class Calls(keras.callbacks.Callback):
    """The step after each call, and the mean loss of its steps."""

    def __init__(self):
        super().__init__()
        self.ends, self.losses = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(batch)
        self.losses.append(logs["loss"])


@pytest.mark.parametrize(
    ("steps_per_call", "ends"),
    [
        (2, [2, 3, 4, 6, 8, 9, 10, 12, 14, 15, 16]),
        (20, [3, 4, 6, 8, 9, 10, 12, 14, 15, 16]),
    ],
)
def test_steps_in_one_call_are_those_of_many_calls(steps_per_call, ends, tmp_path):
    # There is a validation every 4 steps of a phase and at its end, 10 and 16, and a checkpoint every 3 and there.
    results = []
    for folder, calls in (("one", 1), ("several", steps_per_call)):
        traced, saved, callbacks = [], [], (Epochs(), Calls())
        model, loop = fit_line(tmp_path / folder, steps_per_call=calls)

        def step(batch, model=model, traced=traced):
            traced.append(batch)
            return model.step(batch)

        def save(step, saved=saved, save=loop.checkpoints.save):
            saved.append(step)
            save(step)

        loop.checkpoints.save = save
        loop.phases = [Phase("first", model.step, 10), Phase("second", step, 6)]
        loop.run(callbacks)
        assert len(traced) == 1  # for every number of steps in a call
        results.append((saved, callbacks[0].logs, model.a.numpy(), callbacks[1]))
    (*one, every), (*several, calls) = results
    assert one == several
    assert one[0] == [3, 6, 9, 10, 12, 15, 16]
    assert [logs["step"] for logs in one[1]] == [4, 8, 10, 14, 16]
    assert every.ends == list(range(1, 17))
    assert calls.ends == ends
    means = [np.mean(every.losses[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    assert calls.losses == pytest.approx(means, rel=1e-12)


@pytest.mark.parametrize("steps_per_call", [1, 20])
def test_nan_stops_the_run_and_spares_the_checkpoint(steps_per_call, tmp_path):
    model, loop = fit_line(tmp_path, steps_per_call=steps_per_call)
    plain = model.step

    def poisoned(batch):
        logs = plain(batch)
        nan = tf.where(model.optimizer_.iterations.value >= 4, float("nan"), 0.0)
        model.a.assign_add(nan)
        return logs

    loop.phases = [Phase("only", poisoned, 10)]
    with pytest.raises(FloatingPointError, match="loss became NaN or infinite at step 5.*checkpoint is .*ckpt-3"):
        loop.run()
    again, loop = fit_line(tmp_path)
    assert loop.restore() == 3
    assert np.isfinite(again.a.numpy())


def test_nan_weights_never_enter_a_checkpoint(tmp_path):
    model, loop = fit_line(tmp_path)
    plain = model.step

    def poisoned(batch):
        logs = plain(batch)
        model.a.assign_add(tf.where(model.optimizer_.iterations.value >= 6, float("inf"), 0.0))
        return logs

    loop.phases = [Phase("only", poisoned, 10)]
    with pytest.raises(FloatingPointError, match="a weight became NaN or infinite by step 6"):
        loop.run()
    assert loop.checkpoints.latest.name == "ckpt-3"


@pytest.mark.parametrize(("name", "value"), [("val_psnr", -np.inf), ("val_psnr", np.nan), ("val_loss", np.inf)])
def test_a_score_that_is_not_finite_stops_the_run_before_its_checkpoint(name, value, tmp_path):
    # An image that is restored exactly has an infinite PSNR.
    scores = iter([{"val_psnr": np.inf}, {name: value}])
    seen = Epochs()
    _, loop = fit_line(tmp_path, steps=8, validate=lambda: next(scores))
    with pytest.raises(FloatingPointError, match=f"^{name} became NaN or infinite at step 8.*ckpt-6"):
        loop.run([seen])
    assert [logs["step"] for logs in seen.logs] == [4]
    assert fit_line(tmp_path)[1].restore() == 6


def test_progress_is_saved_exactly():
    progress = Progress()
    progress.totals, progress.memory = {"loss": 0.1 + 0.2}, {"best": 1e-300}
    other = Progress()
    other.deserialize(progress.serialize())
    assert other.totals == progress.totals
    assert other.memory == progress.memory


def test_a_lower_learning_rate_counts_where_a_run_goes_on(tmp_path):
    _, loop = fit_line(tmp_path, steps=4)
    loop.run()
    model, loop = fit_line(tmp_path, steps=4)
    model.optimizer_.learning_rate = 0.05
    assert loop.restore() == 4
    assert float(model.optimizer_.learning_rate) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("images", "crops", "batch", "steps"),
    [
        (32, 1, 16, 100),
        (33, 1, 16, 102),
        (12, 2, 16, 100),
        (1600, 1, 16, 100),
        (1601, 1, 16, 101),
        (800, 1, 16, 100),
        (816, 1, 16, 102),
        (4000, 2, 16, 500),
    ],
)
def test_validations_are_whole_passes_and_100_steps_apart(images, crops, batch, steps):
    assert validation_interval(images, crops, batch) == steps


def test_epochs_end_with_their_phase(tmp_path):
    _, loop = fit_line(tmp_path)
    loop.phases = [Phase("pixel", None, 9), Phase("none", None, 0), Phase("gan", None, 4)]
    assert loop.epoch_ends == [4, 8, 9, 13]


class Interrupting(keras.callbacks.Callback):
    """Send Ctrl-C at a step, as from a keyboard."""

    def __init__(self, step, number=signal.SIGINT):
        super().__init__()
        self.step, self.number = step, number

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step:
            os.kill(os.getpid(), self.number)
            sum(range(1000))  # where Python would raise


@pytest.mark.parametrize(("step", "steps_per_call"), [(5, 1), (8, 1), (4, 20)])
def test_ctrl_c_loses_no_step(step, steps_per_call, tmp_path):
    whole = Epochs()
    expected, loop = fit_line(tmp_path / "whole")
    loop.run([whole])
    seen = Epochs()
    _, loop = fit_line(tmp_path / "cut", steps_per_call=steps_per_call)
    with pytest.raises(KeyboardInterrupt):
        loop.run([Interrupting(step), seen])
    assert loop.progress.step == step
    model, loop = fit_line(tmp_path / "cut")
    assert loop.restore() == step
    loop.run([seen])
    assert model.a.numpy() == expected.a.numpy()
    assert seen.logs == whole.logs
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_a_validation_repeats_it(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    seen = Epochs()
    expected, loop = fit_line(tmp_path / "whole", validate=lambda: {"val": 1.0})
    loop.run([seen])
    _, loop = fit_line(tmp_path / "cut", steps=4, validate=interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    again = Epochs()
    model, loop = fit_line(tmp_path / "cut", validate=lambda: {"val": 1.0})
    assert loop.restore() == 4
    loop.run([again])
    assert again.logs == seen.logs
    assert model.a.numpy() == expected.a.numpy()


def test_a_signal_that_python_does_not_handle_is_not_held_back():
    arrived = []
    before = signal.signal(signal.SIGTERM, lambda *_: arrived.append("handler"))
    try:
        with held():
            os.kill(os.getpid(), signal.SIGTERM)
            arrived.append("block")
        assert arrived == ["block", "handler"]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with held():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_interrupted_run_whose_checkpoint_fails_still_ends_as_interrupted(tmp_path, caplog):
    _, loop = fit_line(tmp_path)

    def full(step):
        raise OSError("no space")

    loop.checkpoints.save = full
    with pytest.raises(KeyboardInterrupt):
        loop.run([Interrupting(2)])
    assert "no space" in caplog.text


def test_a_short_epoch_reports_the_mean_of_its_own_steps(tmp_path):
    seen, losses = Epochs(), []
    model, loop = fit_line(tmp_path)
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: losses.append(logs["loss"]))
    loop.run([seen, note])
    means = [np.mean(losses[first : first + 4]) for first in (0, 4, 8)]  # the last of two steps
    assert len(losses) == 10
    assert [logs["loss"] for logs in seen.logs] == pytest.approx(means)
