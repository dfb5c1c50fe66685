"""What a run says and writes while it trains, as Keras callbacks of `training.loop.Loop`."""

import importlib.util
import os
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from msrgan import io
from msrgan.messages import say, warn
from msrgan.training.loop import Loop
from msrgan.training.progress import Progress
from msrgan.training.transfer import save_weights


def numbers(logs: dict) -> dict[str, float]:
    """Return the measured values among the logs of an epoch."""
    return {name: value for name, value in logs.items() if name not in ("phase", "step")}


def spread(steps: Sequence[int], most: int = 20) -> frozenset[int]:
    """Choose steps for the pictures of a run: the first, the last, and others evenly between them.

    Args:
        steps: at which there is a validation, `Loop.epoch_ends`.
        most: number of pictures.
    """
    chosen = np.linspace(0, len(steps) - 1, min(len(steps), most)).round().astype(int)
    return frozenset(steps[k] for k in chosen)


class Report(keras.callbacks.Callback):
    """Show a bar for each epoch on a terminal, say its means at its end, and how long the run will take.

    Args:
        loop: the loop it reports on.
        hint: the arguments that shorten the run, said where it will be long on a CPU.
    """

    def __init__(self, loop: Loop, hint: str):
        super().__init__()
        self.loop, self.hint = loop, hint
        self.bar, self.phase, self.calls = None, None, []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar, after a call of one or several steps."""
        if os.isatty(1):
            self.bar = self.bar or keras.utils.Progbar(self.loop.steps_per_epoch, unit_name="step")
            self.bar.update(self.loop.progress.count, list(logs.items()), finalize=False)
        if self.loop.phase is not self.phase:
            self.phase, self.calls = self.loop.phase, []
        # The first call of a phase compiles; the next two tell.
        if len(self.calls) < 3:
            self.calls.append((batch, time.perf_counter()))
            if len(self.calls) == 3:
                steps, seconds = np.subtract(self.calls[2], self.calls[0])
                self._expect(seconds / steps, batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Say the means of the epoch."""
        self._end_line()
        self.bar = None
        values = "  ".join(f"{k} {v:.4g}" for k, v in numbers(logs).items())
        say(f"epoch {epoch}, step {logs['step']:.0f} ({logs['phase']}): {values}")

    def _end_line(self):
        """End the line of the bar, which goes on below what is said."""
        if self.bar:
            print(flush=True)

    def _expect(self, seconds, step):
        phases = self.loop.phases
        end = sum(phase.steps for phase in phases[: phases.index(self.phase) + 1])
        minutes = seconds * (end - step) / 60
        later = "; the next phase takes longer" if end < self.loop.total else ""
        self._end_line()
        say(
            f"{seconds:.3g} s a step: about {minutes:.0f} min for the {end - step} steps left of the "
            f"{self.phase.name} phase{later}."
        )
        if minutes > 10 and not tf.config.list_physical_devices("GPU"):
            say(f"Shorter on this CPU: {self.hint}.")


class Samples(keras.callbacks.Callback):
    """Leave pictures of some validations, of which `evaluation.film.film` makes a film.

    Args:
        folder: of the pictures.
        draw: () -> RGB picture, uint8 (height, width, 3), of the epoch's validation.
        steps: at which there is a picture, see `spread`.
    """

    def __init__(self, folder: Path, draw: Callable[[], np.ndarray], steps: Container[int]):
        super().__init__()
        self.folder, self.draw, self.steps = folder, draw, steps

    def path(self, step: int) -> Path:
        """Return the file of the picture at a step."""
        return self.folder / f"step_{step:07d}.png"

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the picture."""
        if int(logs["step"]) in self.steps:
            io.write_pixels(self.path(int(logs["step"])), self.draw())


class TensorBoard(keras.callbacks.Callback):
    """Write every number of an epoch, and its picture if there is one, where TensorBoard is installed.

    Args:
        folder: of the event files.
        picture: file of the picture that an epoch may leave, or None.
    """

    def __init__(self, folder: Path, picture: Callable[[int], Path] | None = None):
        super().__init__()
        self.picture = picture
        # tf.summary's operations come with TensorBoard, which TensorFlow no longer installs.
        installed = importlib.util.find_spec("tensorboard") is not None
        self.writer = tf.summary.create_file_writer(str(folder)) if installed else None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epoch, at its step; logs that cannot be written do not end a run."""
        if self.writer is None:
            return
        try:
            with self.writer.as_default(step=int(logs["step"])):
                self._write(logs)
            self.writer.flush()
        except tf.errors.OpError as error:
            warn(f"TensorBoard's files cannot be written any longer ({error.message}).")
            self.writer = None

    def _write(self, logs):
        for name, value in numbers(logs).items():
            tf.summary.scalar(name, value)
        file = self.picture and self.picture(int(logs["step"]))
        pixels = cv2.imread(str(file)) if file and file.is_file() else None
        if pixels is not None:
            tf.summary.image("sample", np.ascontiguousarray(pixels[None, ..., ::-1]))


class EarlyStop(keras.callbacks.Callback):
    """Keep the weights of the best epoch, and stop when `patience` epochs in a row were no better.

    In the first steps the last epoch counts as the best: batch norm's moving averages still remember their
    start, and a validation that uses them says little.

    Args:
        network: whose weights are kept.
        progress: of the loop; the best value and the waiting are saved with its checkpoints.
        monitor: name of a log; lower is better.
        patience: epochs to wait.
        file: for the best weights, see `transfer.save_weights`.
        warm_up: steps in which the last epoch counts as the best.
        writes: whether this process writes it.
    """

    def __init__(
        self,
        network: keras.Model,
        progress: Progress,
        *,
        monitor: str,
        patience: int,
        file: Path,
        warm_up: int = 50,
        writes: bool = True,
    ):
        super().__init__()
        self.network, self.warm_up, self.writes = network, warm_up, writes
        self.progress, self.monitor, self.patience, self.file = progress, monitor, patience, file

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Stay stopped where the run had stopped."""
        self.model.stop_training = self.progress.memory.get("waited", 0) >= self.patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compare with the best epoch so far."""
        memory = self.progress.memory
        if logs["step"] <= self.warm_up or logs[self.monitor] < memory.get("best", np.inf):
            memory.update(best=logs[self.monitor], best_epoch=epoch, waited=0)
            if self.writes:
                save_weights(self.network, self.file)
        else:
            memory["waited"] = memory.get("waited", 0) + 1
        if memory.get("waited", 0) >= self.patience:
            self.model.stop_training = True
            say(f"No better {self.monitor} for {self.patience} epochs: stopped.")
