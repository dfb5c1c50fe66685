"""Stage 1: train the mini-VGG19 as a classifier, keep its best weights, and report what it can tell apart."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from msrgan.data.stream import Part
from msrgan.data.survey import Survey, common_channels, shuffle_window
from msrgan.messages import say
from msrgan.training import session
from msrgan.training.callbacks import EarlyStop, TensorBoard
from msrgan.training.loop import Phase
from msrgan.training.optimizers import adam
from msrgan.training.settings import Settings, free
from msrgan.training.strategy import is_chief
from msrgan.training.transfer import load_weights
from vgg_micro.classifier import Classifier, classify, scores, write_scores
from vgg_micro.data import evaluation, labelled
from vgg_micro.network import vgg19_micro
from vgg_micro.tasks import Task, task_of

HINT = "`width` 0.25, `batch_size` 32 and `epochs` 10"
NETWORK, CLASSES = "vgg.keras", "classes.json"
WARM_UP = 50  # steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class VGGSettings(Settings):
    """What stage 1 is told."""

    width: float
    image_size: int
    epochs: int = free()
    patience: int = free()


def train(
    settings: VGGSettings,
    distribution: tf.distribute.Strategy,
    *,
    images: Survey,
    held_out: Survey,
    classes: Sequence[str],
) -> None:
    """Run stage 1; leaves vgg.keras, the scores of every class and a picture of them in the run folder.

    Args:
        settings: what is to be done.
        distribution: from `session.start`.
        images: labelled, to train on.
        held_out: labelled, to validate on.
        classes: their names.

    Raises:
        ValueError: there are fewer images than replicas.
    """
    replicas = distribution.num_replicas_in_sync
    batch_size = min(settings.batch_size, len(images.ids) // replicas * replicas)
    if not batch_size:
        raise ValueError(
            f"Each of the {replicas} replicas needs an image to train on. Received: {len(images.ids)} images. "
            "Use fewer replicas, or add images."
        )
    steps_per_epoch = max(1, len(images.ids) // batch_size)
    steps = settings.epochs * steps_per_epoch
    channels = common_channels(images, held_out)
    task = task_of(images.images, len(classes))
    window = shuffle_window(images, settings.cache_bytes)
    keras.utils.set_random_seed(settings.seed)  # preparing a set draws random numbers too
    with distribution.scope():
        network = vgg19_micro(
            classes=len(classes), channels=channels, width=settings.width, image_size=settings.image_size
        )
        model = Classifier(network, task)
        model.compile(adam(settings.learning_rate))
    judge = _judge(settings, network, held_out, task, channels, batch_size)

    def validate():
        table, loss = judge()
        scored = scores(task, table)
        return {"val_loss": loss, "val_accuracy": scored["accuracy"], "val_macro_f1": scored["macro_f1"]}

    def callbacks(folder, loop):
        stop = EarlyStop(
            network,
            loop.progress,
            monitor="val_loss",
            patience=settings.patience,
            file=_best(folder),
            warm_up=min(WARM_UP, steps // 2),
            writes=is_chief(),
        )
        return [stop, TensorBoard(folder.logs)] if is_chief() else [stop]

    def finish(folder, loop, interrupted):
        if not _best(folder).is_file():
            return  # interrupted before the first validation
        load_weights(network, _best(folder))
        table, _ = judge()
        write_scores(task, table, classes, folder.folder)
        folder.write_json(CLASSES, list(classes))
        folder.write_network(NETWORK, network)
        scored = scores(task, table)
        say(
            f"Best epoch {loop.progress.memory['best_epoch']}: accuracy {scored['accuracy']:.3f} ({task.accuracy}), "
            f"macro-F1 {scored['macro_f1']:.3f}. See {folder.folder}: {NETWORK}, {task.picture}, per_class.csv."
        )

    job = session.Job(
        model=model,
        optimizers=[model.weights_optimizer],
        phases=[Phase("train", model.train_step, steps)],
        batches=_batches(settings, images, channels, batch_size, window),
        steps_per_epoch=steps_per_epoch,
        validate=validate,
        images=images,
        held_out=held_out,
        derived={"command": "train_vgg", "shuffle_window": window},
        about=(
            f"{len(images.ids)} training and {len(held_out.ids)} validation images of {settings.data}, "
            f"{channels} channels, {len(classes)} classes; mini-VGG19 of {network.count_params():,} parameters; "
            f"up to {settings.epochs} epochs of {steps_per_epoch} steps of {batch_size} images."
        ),
        hint=HINT,
        finish=finish,
        callbacks=callbacks,
    )
    session.run(job, settings, distribution)


def _best(folder: Any):
    return folder.checkpoints / "best.npz"


def _judge(
    settings: VGGSettings, network: keras.Model, held_out: Survey, task: Task, channels: int, batch_size: int
) -> Callable:
    """Return the function () -> (table of the task, mean loss) of the held-out images."""
    checks = evaluation(
        held_out.images, image_size=settings.image_size, channels=channels, batch_size=batch_size
    ).cache()
    predict = tf.function(lambda images: network(images, training=False))
    return lambda: classify(predict, checks, task)


def _batches(
    settings: VGGSettings, images: Survey, channels: int, batch_size: int, window: int | None
) -> Callable[[tf.distribute.InputContext, int], tf.data.Dataset]:
    def batches(context, step):
        return labelled(
            images.images,
            image_size=settings.image_size,
            channels=channels,
            batch_size=batch_size // context.num_replicas_in_sync,
            seed=settings.seed,
            part=Part(
                start=step * batch_size, shard=(context.num_input_pipelines, context.input_pipeline_id), window=window
            ),
        )

    return batches
