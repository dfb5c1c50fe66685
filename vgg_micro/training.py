"""Stage 1: train the mini-VGG19 as a classifier, keep its best weights, and report what it can tell apart."""

import dataclasses
from collections.abc import Sequence

import keras
import tensorflow as tf

from msrgan.data.survey import Survey
from msrgan.messages import say
from msrgan.training import session
from msrgan.training.callbacks import EarlyStop, TensorBoard
from msrgan.training.loop import Loop, Phase
from msrgan.training.optimizers import adam
from msrgan.training.run import Run
from msrgan.training.settings import Settings, free
from msrgan.training.strategy import is_chief
from msrgan.training.transfer import load_weights
from vgg_micro.classifier import Classifier, classify, scores, write_scores
from vgg_micro.data import evaluation, labelled
from vgg_micro.network import vgg19_micro
from vgg_micro.tasks import task_of

NETWORK, CLASSES = "vgg.keras", "classes.json"
WARM_UP = 50  # steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class VGGSettings(Settings):
    """What stage 1 is told."""

    width: float
    image_size: int
    epochs: int = free()
    patience: int = free()


class Classification(session.Stage):
    """Stage 1: a mini-VGG19 learns to tell classes apart.

    It leaves vgg.keras, the scores of every class and a picture of them in the run folder.

    Args:
        settings: what is to be done.
        distribution: from `session.start`.
        images: labelled, to train on.
        held_out: labelled, to validate on.
        classes: their names.

    Raises:
        ValueError: there are fewer images than replicas.
    """

    command = "train_vgg"
    hint = "`width` 0.25, `batch_size` 32 and `epochs` 10"

    def __init__(
        self,
        settings: VGGSettings,
        distribution: tf.distribute.Strategy,
        *,
        images: Survey,
        held_out: Survey,
        classes: Sequence[str],
    ):
        super().__init__(settings, images, held_out)
        self.classes = classes
        self.batch_size = _batch_size(settings, images, distribution.num_replicas_in_sync)
        self.steps_per_epoch = max(1, len(images.ids) // self.batch_size)
        self.task = task_of(images.images, len(classes))
        keras.utils.set_random_seed(settings.seed)  # preparing a set draws random numbers too
        with distribution.scope():
            self.network = vgg19_micro(
                classes=len(classes), channels=self.channels, width=settings.width, image_size=settings.image_size
            )
            self.model = Classifier(self.network, self.task)
            self.model.compile(adam(settings.learning_rate))
        self.optimizers = [self.model.weights_optimizer]
        self.phases = [Phase("train", self.model.train_step, settings.epochs * self.steps_per_epoch)]
        self._predict = tf.function(lambda images: self.network(images, training=False))
        self._checks = evaluation(
            held_out.images, image_size=settings.image_size, channels=self.channels, batch_size=self.batch_size
        ).cache()

    @property
    def about(self) -> str:
        """The run in a line."""
        return (
            f"{self.images_text}, {len(self.classes)} classes; mini-VGG19 of {self.network.count_params():,} "
            f"parameters; up to {self.settings.epochs} epochs of {self.steps_per_epoch} steps of {self.batch_size} "
            "images."
        )

    def batches(self, context: tf.distribute.InputContext, step: int) -> tf.data.Dataset:
        """Make this worker's batches from a step on."""
        return labelled(
            self.images.images,
            image_size=self.settings.image_size,
            channels=self.channels,
            batch_size=self.batch_size // context.num_replicas_in_sync,
            seed=self.settings.seed,
            part=self.part(context, step),
        )

    def validate(self) -> dict[str, float]:
        """Score the network on the held-out images."""
        table, loss = classify(self._predict, self._checks, self.task)
        scored = scores(self.task, table)
        return {"val_loss": loss, "val_accuracy": scored["accuracy"], "val_macro_f1": scored["macro_f1"]}

    def callbacks(self, folder: Run, loop: Loop) -> list[keras.callbacks.Callback]:
        """Return early stop, and in the chief a log."""
        stop = EarlyStop(
            self.network,
            loop.progress,
            monitor="val_loss",
            patience=self.settings.patience,
            file=_best(folder),
            warm_up=min(WARM_UP, loop.total // 2),
            writes=is_chief(),
        )
        return [stop, TensorBoard(folder.logs)] if is_chief() else [stop]

    def finish(self, folder: Run, loop: Loop, interrupted: bool) -> None:
        """Write the best network and its scores; nothing where a run was interrupted before its first validation."""
        if not _best(folder).is_file():
            return
        load_weights(self.network, _best(folder))
        table, _ = classify(self._predict, self._checks, self.task)
        write_scores(self.task, table, self.classes, folder.folder)
        folder.write_json(CLASSES, list(self.classes))
        folder.write_network(NETWORK, self.network)
        scored = scores(self.task, table)
        say(
            f"Best epoch {loop.progress.memory['best_epoch']}: accuracy {scored['accuracy']:.3f} "
            f"({self.task.accuracy}), macro-F1 {scored['macro_f1']:.3f}. See {folder.folder}: {NETWORK}, "
            f"{self.task.picture}, per_class.csv."
        )


def _batch_size(settings, images, replicas):
    """Return the batch size of the settings, or less where there are fewer images."""
    batch_size = min(settings.batch_size, len(images.ids) // replicas * replicas)
    if not batch_size:
        raise ValueError(
            f"Each of the {replicas} replicas needs an image to train on. Received: {len(images.ids)} images. "
            "Use fewer replicas, or add images."
        )
    return batch_size


def _best(folder):
    return folder.checkpoints / "best.npz"
