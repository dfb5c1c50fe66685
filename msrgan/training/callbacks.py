"""What a run shows and writes while it trains, as Keras callbacks of `training.loop.Loop`."""

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf

from msrgan import io
from msrgan.io.atomic import atomic
from msrgan.training.loop import Loop, Progress


def numbers(logs: dict) -> dict[str, float]:
    """Return the measured values among the logs of an epoch."""
    return {name: value for name, value in logs.items() if name not in ("stage", "step")}


class Report(keras.callbacks.Callback):
    """Print a bar for each epoch on a terminal, its means at its end, and how long the run will take.

    Args:
        loop: the loop it reports on.
        hint: the flags that shorten the run, said where it will be long on a CPU.
    """

    def __init__(self, loop: Loop, hint: str):
        super().__init__()
        self.loop, self.hint = loop, hint
        self.bar, self.stage, self.first = None, None, None

    def on_train_batch_end(self, batch, logs=None):
        """Move the bar."""
        if os.isatty(1):
            self.bar = self.bar or keras.utils.Progbar(self.loop.steps_per_epoch, unit_name="step")
            self.bar.update(self.loop.progress.count, list(logs.items()), finalize=False)
        # The first step of a stage compiles; the next two tell.
        if self.loop.stage is not self.stage:
            self.stage, self.first = self.loop.stage, (batch, time.perf_counter())
        elif batch == self.first[0] + 2:
            self._expect((time.perf_counter() - self.first[1]) / 2, batch)

    def on_epoch_end(self, epoch, logs=None):
        """Print the means of the epoch."""
        print("\n" if self.bar else "", end="")
        self.bar = None
        values = "  ".join(f"{k} {v:.4g}" for k, v in numbers(logs).items())
        print(f"epoch {epoch}, step {logs['step']:.0f} ({logs['stage']}): {values}", flush=True)

    def _expect(self, seconds, step):
        stages = self.loop.stages
        end = sum(stage.steps for stage in stages[: stages.index(self.stage) + 1])
        minutes = seconds * (end - step) / 60
        later = "; the next stage takes longer" if end < self.loop.total else ""
        print(
            f"\n{seconds:.2f} s a step: about {minutes:.0f} min for the {end - step} steps left of the "
            f"{self.stage.name} stage{later}.",
            flush=True,
        )
        if minutes > 10 and not tf.config.list_physical_devices("GPU"):
            print(f"Shorter on this CPU: {self.hint}.", flush=True)


class Samples(keras.callbacks.Callback):
    """Leave a picture for every epoch.

    Args:
        folder: of the pictures.
        draw: () -> RGB picture, uint8 (height, width, 3), of the epoch's validation.
    """

    def __init__(self, folder: Path, draw: Callable[[], np.ndarray]):
        super().__init__()
        self.folder, self.draw = folder, draw

    def path(self, step: int) -> Path:
        """Return the file of the picture at a step."""
        return self.folder / f"step_{step:07d}.png"

    def on_epoch_end(self, epoch, logs=None):
        """Write the picture."""
        io.write(self.path(int(logs["step"])), self.draw())


class TensorBoard(keras.callbacks.Callback):
    """Write every number of an epoch, and the sample image if there is one, where TensorBoard is installed.

    Args:
        folder: of the event files.
        sample: file of the image that an epoch leaves, or None.
    """

    def __init__(self, folder: Path, sample: Callable[[int], Path] | None = None):
        super().__init__()
        self.sample = sample
        # tf.summary's operations come with TensorBoard, which TensorFlow no longer installs.
        installed = importlib.util.find_spec("tensorboard") is not None
        self.writer = tf.summary.create_file_writer(str(folder)) if installed else None

    def on_epoch_end(self, epoch, logs=None):
        """Write the epoch, at its step."""
        if self.writer is None:
            return
        with self.writer.as_default(step=int(logs["step"])):
            for name, value in numbers(logs).items():
                tf.summary.scalar(name, value)
            if self.sample:
                strip = cv2.imread(str(self.sample(int(logs["step"]))))
                tf.summary.image("sample", np.ascontiguousarray(strip[None, ..., ::-1]))
        self.writer.flush()


class EarlyStop(keras.callbacks.Callback):
    """Keep the weights of the best epoch, and stop when `patience` epochs in a row were no better.

    In the first steps the last epoch counts as the best: batch norm's moving averages still remember their
    start, and a validation that uses them says little.

    Args:
        network: whose weights are kept.
        progress: of the loop; the best value and the waiting are saved with its checkpoints.
        monitor: name of a log; lower is better.
        patience: epochs to wait.
        file: `.weights.h5` for the best weights.
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

    def on_train_begin(self, logs=None):
        """Stay stopped where the run had stopped."""
        self.model.stop_training = self.progress.memory.get("waited", 0) >= self.patience

    def on_epoch_end(self, epoch, logs=None):
        """Compare with the best epoch so far."""
        memory = self.progress.memory
        if logs["step"] <= self.warm_up or logs[self.monitor] < memory.get("best", np.inf):
            memory.update(best=logs[self.monitor], best_epoch=epoch, waited=0)
            if self.writes:
                with atomic(self.file) as file:
                    self.network.save_weights(file)
        else:
            memory["waited"] = memory.get("waited", 0) + 1
        if memory.get("waited", 0) >= self.patience:
            self.model.stop_training = True
            print(f"No better {self.monitor} for {self.patience} epochs: stopped.", flush=True)
