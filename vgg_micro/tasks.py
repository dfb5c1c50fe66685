"""What stage 1 learns of an image: its one class, or all of its classes.

A task is what training, validation and the report need of it: a loss, a share of right decisions, and a table that
sums over images and tells hits, true and predicted images of every class.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from msrgan.io.atomic import atomic

Tensor = Any


class SingleLabel:
    """One class an image, int (B,): softmax; its table is the confusion matrix, rows true, columns predicted.

    Args:
        classes: their number.
    """

    picture = "confusion.png"
    accuracy = "share of right images"

    def __init__(self, classes: int):
        self.shape = (classes, classes)

    def losses(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Return the cross entropy of each image, (B,)."""
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def right(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Return whether each image's likeliest class is its own, float32 (B,)."""
        return ops.cast(ops.equal(ops.argmax(logits, axis=-1), ops.cast(labels, "int32")), "float32")

    def table(self, labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Count a batch into a confusion matrix, int64 (classes, classes)."""
        matrix = np.zeros(self.shape, np.int64)
        np.add.at(matrix, (labels, logits.argmax(axis=-1)), 1)
        return matrix

    def counts(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the images of each class (classes,): hits, true, predicted."""
        return np.diag(table), table.sum(axis=1), table.sum(axis=0)

    def share_right(self, table: np.ndarray) -> float:
        """Return the accuracy of a table."""
        return float(np.trace(table) / max(table.sum(), 1))

    def draw(self, table: np.ndarray, f1: np.ndarray, names: Sequence[str], title: str, path: Path) -> None:
        """Draw the confusion matrix, numbers of images, shaded by the share of their true class."""
        share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        side = 3 + 0.42 * len(names)
        axes = _axes(side, side)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(table):
            if count:
                colour = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="true", title=title)
        _save(axes, path)


class MultiLabel:
    """Any number of classes an image, 0 or 1 in (B, classes): a sigmoid and a threshold of 0.5 for each.

    Its table holds a matrix for each class, (classes, 2, 2): [class, truly in it, predicted to be]. There is no
    confusion of one class with another.

    Args:
        classes: their number.
    """

    picture = "scores.png"
    accuracy = "share of right decisions, one for each image and class"

    def __init__(self, classes: int):
        self.shape = (classes, 2, 2)

    def losses(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Return the binary cross entropy of each image, (B,), the mean over the classes."""
        return keras.losses.binary_crossentropy(ops.cast(labels, logits.dtype), logits, from_logits=True)

    def right(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Return the share of right decisions of each image, float32 (B,)."""
        # A sigmoid is above 0.5 where its logit is above 0.
        decided = ops.equal(ops.greater(logits, 0), ops.cast(labels, "bool"))
        return ops.mean(ops.cast(decided, "float32"), axis=-1)

    def table(self, labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Count a batch, int64 (classes, 2, 2)."""
        matrices = np.zeros(self.shape, np.int64)
        each = np.broadcast_to(np.arange(self.shape[0]), labels.shape)
        np.add.at(matrices, (each, labels, (logits > 0).astype(int)), 1)
        return matrices

    def counts(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the images of each class (classes,): hits, true, predicted."""
        return table[:, 1, 1], table[:, 1].sum(axis=-1), table[:, :, 1].sum(axis=-1)

    def share_right(self, table: np.ndarray) -> float:
        """Return the accuracy of a table."""
        return float((table[:, 0, 0] + table[:, 1, 1]).sum() / max(table.sum(), 1))

    def draw(self, table: np.ndarray, f1: np.ndarray, names: Sequence[str], title: str, path: Path) -> None:
        """Draw a bar for the F1 of each class, with its number of images; none where it occurs nowhere."""
        _, true, predicted = self.counts(table)
        axes = _axes(8, 1.5 + 0.28 * len(names))
        axes.barh(range(len(names)), f1, color="tab:blue")
        for row, (score, images, claimed) in enumerate(zip(f1, true, predicted, strict=True)):
            text = f"{score:.2f}  of {images}" if images + claimed else "does not occur"
            axes.text(score + 0.01, row, text, va="center", fontsize=8)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.15), xlabel="F1", title=title)
        _save(axes, path)


Task = SingleLabel | MultiLabel


def task_of(images: tf.data.Dataset, classes: int) -> Task:
    """Choose the task of a labelled set by the shape of its labels: numbers, or vectors of 0 and 1."""
    rank = images.element_spec["label"].shape.rank
    return MultiLabel(classes) if rank == 1 else SingleLabel(classes)


def _axes(width, height):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return FigureCanvasAgg(Figure(figsize=(width, height), layout="constrained")).figure.add_subplot()


def _save(axes, path):
    with atomic(path) as file:
        axes.figure.savefig(file, dpi=150)
