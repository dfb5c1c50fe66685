"""mini-VGG19 as a classifier: its training step and its scores."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from msrgan.io.atomic import atomic
from vgg_micro.tasks import Task

Tensor = Any


class Classifier(keras.Model):
    """A network that maps images to logits, with the training step of `msrgan.training.loop.Loop`.

    Args:
        network: (B, H, W, C) -> (B, classes) logits.
        task: what the logits mean.
    """

    def __init__(self, network: keras.Model, task: Task):
        super().__init__(name="classifier")
        self.network, self.task = network, task

    def compile(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Set the optimizer, which is built here (inside a strategy's scope)."""
        super().compile(optimizer=None)
        self.weights_optimizer = optimizer
        optimizer.build(self.network.trainable_variables)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Return the logits (B, classes) of images (B, H, W, C)."""
        return self.network(images, training=training)

    def train_step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Minimise the task's loss of a batch (images, labels).

        Returns:
            Dict of scalars: this replica's share of the mean loss and accuracy of the global batch.
        """
        images, labels = batch
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            logits = self.network(images, training=True)
            loss = ops.mean(self.task.losses(labels, logits)) / replicas
            scaled = self.weights_optimizer.scale_loss(loss)
        weights = self.network.trainable_variables
        self.weights_optimizer.apply(tape.gradient(scaled, weights), weights)
        return {"loss": loss, "accuracy": ops.mean(self.task.right(labels, logits)) / replicas}


def classify(network: Callable, batches: Iterable, task: Task) -> tuple[np.ndarray, float]:
    """Classify a labelled set once.

    Args:
        network: images -> logits.
        batches: of (images, labels).
        task: what the labels mean.

    Returns:
        The task's table of all images; the mean loss.
    """
    table, loss, count = np.zeros(task.shape, np.int64), 0.0, 0
    for images, labels in batches:
        logits, labels = np.asarray(network(images)), np.asarray(labels)
        table += task.table(labels, logits)
        loss += float(ops.sum(task.losses(labels, logits)))
        count += len(labels)
    return table, loss / count


def scores(task: Task, table: np.ndarray) -> dict[str, np.ndarray | float]:
    """Compute the scores of a table of a task.

    Returns:
        `precision`, `recall`, `f1`: float64 (classes,), 0 where undefined; `accuracy` as the task means it;
        `macro_f1`: the mean of `f1` over the classes that occur, as true or as predicted ones.
    """
    hits, true, predicted = task.counts(table)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    occurs = true + predicted > 0
    return {
        "precision": hits / np.maximum(predicted, 1),
        "recall": hits / np.maximum(true, 1),
        "f1": f1,
        "accuracy": task.share_right(table),
        "macro_f1": float(f1[occurs].mean()) if occurs.any() else 0.0,
    }


def write_scores(task: Task, table: np.ndarray, names: Sequence[str], folder: Path) -> None:
    """Write per_class.csv (class, images, precision, recall, f1) and the task's picture into a folder."""
    scored = scores(task, table)
    _, true, _ = task.counts(table)
    with atomic(folder / "per_class.csv") as path, open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["class", "images", "precision", "recall", "f1"])
        columns = (names, true, scored["precision"], scored["recall"], scored["f1"])
        writer.writerows([n, int(k), *(f"{v:.4f}" for v in rest)] for n, k, *rest in zip(*columns, strict=True))
    title = f"accuracy {scored['accuracy']:.3f}, macro-F1 {scored['macro_f1']:.3f}"
    task.draw(table, scored["f1"], names, title, folder / task.picture)
