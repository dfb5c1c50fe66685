"""mini-VGG19 as a classifier: its training step and its scores."""

import csv
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from msrgan.files import atomic


class Classifier(keras.Model):
    """A network that maps images to logits, with the training step of `msrgan.training.Loop`.

    Args:
        network: (B, H, W, C) -> (B, classes) logits.
    """

    def __init__(self, network: keras.Model):
        super().__init__(name="classifier")
        self.network = network

    def compile(self, optimizer: keras.optimizers.Optimizer):
        """Set the optimizer, which is built here (inside a strategy's scope)."""
        super().compile(optimizer=None)
        self.weights_optimizer = optimizer
        optimizer.build(self.network.trainable_variables)

    def call(self, images, training=False):
        """Return the logits."""
        return self.network(images, training=training)

    def train_step(self, batch):
        """Minimise the softmax cross entropy of a batch (images, labels).

        Returns:
            Dict of scalars: this replica's share of the mean loss and accuracy of the global batch.
        """
        images, labels = batch
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            logits = self.network(images, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            loss = ops.mean(losses) / replicas
            scaled = self.weights_optimizer.scale_loss(loss)
        weights = self.network.trainable_variables
        self.weights_optimizer.apply(tape.gradient(scaled, weights), weights)
        hits = ops.cast(ops.equal(ops.argmax(logits, axis=-1), ops.cast(labels, "int32")), "float32")
        return {"loss": loss, "accuracy": ops.mean(hits) / replicas}


def confusion(network, batches: Iterable, classes: int) -> tuple[np.ndarray, float]:
    """Classify a labelled set once.

    Args:
        network: images -> logits.
        batches: of (images, labels).
        classes: their number.

    Returns:
        The confusion matrix, int64 (classes, classes), rows true and columns predicted; the mean loss.
    """
    matrix, loss = np.zeros((classes, classes), np.int64), 0.0
    for images, labels in batches:
        logits = np.asarray(network(images))
        labels = np.asarray(labels)
        np.add.at(matrix, (labels, logits.argmax(axis=-1)), 1)
        loss += float(ops.sum(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)))
    return matrix, loss / matrix.sum()


def scores(matrix: np.ndarray) -> dict[str, np.ndarray | float]:
    """Compute the scores of a confusion matrix (rows true, columns predicted).

    Returns:
        `precision`, `recall`, `f1`: float64 (classes,), 0 where undefined; `accuracy`; `macro_f1`: the mean
        of `f1` over the classes that occur, as true or as predicted ones.
    """
    hits, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "accuracy": float(hits.sum() / max(matrix.sum(), 1)),
        "macro_f1": float(f1[true + predicted > 0].mean()),
    }


def write_scores(matrix: np.ndarray, names: tuple[str, ...], folder: Path):
    """Write per_class.csv (class, images, precision, recall, f1) and confusion.png into a folder."""
    found = scores(matrix)
    with atomic(folder / "per_class.csv") as path, open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["class", "images", "precision", "recall", "f1"])
        columns = (names, matrix.sum(axis=1), found["precision"], found["recall"], found["f1"])
        writer.writerows([n, int(k), *(f"{v:.4f}" for v in rest)] for n, k, *rest in zip(*columns, strict=True))
    _draw(matrix, names, f"accuracy {found['accuracy']:.3f}, macro-F1 {found['macro_f1']:.3f}", folder)


def _draw(matrix, names, title, folder):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 3 + 0.42 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    with atomic(folder / "confusion.png") as path:
        figure.savefig(path, dpi=150)
