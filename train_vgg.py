"""Stage 1: train a mini-VGG19 from scratch to classify images, by protein localisation for instance."""

import argparse
import sys

from msrgan.apps.cli.arguments import add_common, non_negative, positive, width
from msrgan.messages import command, import_tensorflow


def parse(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="train_vgg.py", description=__doc__)
    model = parser.add_argument_group("model and training")
    model.add_argument("--width", type=width, default=1.0, help="factor of every layer's width (%(default)s)")
    model.add_argument("--image-size", type=positive, default=96, metavar="PIXELS", help="(%(default)s)")
    model.add_argument("--epochs", type=positive, default=50, help="at the most (%(default)s)")
    model.add_argument(
        "--patience",
        type=positive,
        default=10,
        metavar="EPOCHS",
        help="stop after so many that are no better",
    )
    model.add_argument("--batch-size", type=positive, default=128, help="of all workers together (%(default)s)")
    model.add_argument("--learning-rate", type=non_negative, default=1e-4, help="of Adam (%(default)s)")
    add_common(parser, out="runs/vgg")
    return parser.parse_args(argv)


def train(options: argparse.Namespace):
    """Run stage 1; leaves vgg.keras, the scores of every class and a picture of them in the run folder."""
    import_tensorflow()
    from msrgan.training.session import set_up

    distribution = set_up(options)  # first: workers connect before anything else
    import keras
    import tensorflow as tf

    from msrgan import datasets
    from msrgan.data.survey import common_channels, identity, shuffle_window, survey
    from msrgan.training import callbacks
    from msrgan.training.loop import Loop, Phase, Progress
    from msrgan.training.optimizers import adam
    from msrgan.training.run import Run
    from msrgan.training.strategy import is_chief, use_xla
    from vgg_micro.classifier import Classifier, classify, scores, write_scores
    from vgg_micro.data import evaluation, labelled
    from vgg_micro.network import vgg19_micro
    from vgg_micro.tasks import task_of

    chief = is_chief()
    where = {"manual_dir": options.manual_dir, "data_dir": options.data_dir, "chief": chief}
    names = datasets.class_names(options.data, **where)
    training = survey(datasets.load(options.data, "train", labels=True, **where))
    held_out = survey(datasets.load(options.data, "validation", labels=True, **where))
    replicas = distribution.num_replicas_in_sync
    batch_size = min(options.batch_size, len(training.ids) // replicas * replicas)
    if not batch_size:
        raise ValueError(f"{len(training.ids)} training images are too few for {replicas} replicas. Use fewer.")
    channels = common_channels(training, held_out)
    task = task_of(training.images, len(names))
    window = shuffle_window(training, int(options.cache_gb * 2**30))
    steps_per_epoch = max(1, len(training.ids) // batch_size)
    keras.utils.set_random_seed(options.seed)  # anew: TFDS draws numbers when it prepares a set
    with distribution.scope():
        network = vgg19_micro(classes=len(names), channels=channels, width=options.width, image_size=options.image_size)
        model = Classifier(network, task)
        model.compile(adam(options.learning_rate))
    run = Run(
        options.out,
        arguments=vars(options)
        | {"command": "train_vgg", "shuffle_window": window, "data": datasets.canonical(options.data)},
        data=identity(training, held_out),
        resume=options.resume,
        writes=chief,
    )
    say = print if chief else lambda *_: None
    say(
        f"{len(training.ids)} training and {len(held_out.ids)} validation images of {options.data}, "
        f"{channels} channels, {len(names)} classes; mini-VGG19 of {network.count_params():,} parameters; "
        f"up to {options.epochs} epochs of {steps_per_epoch} steps of {batch_size} images."
    )

    def batches(ctx, step):
        return labelled(
            training.images,
            image_size=options.image_size,
            channels=channels,
            batch=batch_size // ctx.num_replicas_in_sync,
            seed=options.seed,
            start=step * batch_size,
            shard=(ctx.num_input_pipelines, ctx.input_pipeline_id),
            window=window,
        )

    checks = evaluation(held_out.images, image_size=options.image_size, channels=channels, batch=batch_size)
    checks = checks.cache()
    predict = tf.function(lambda images: network(images, training=False))

    def validate():
        table, loss = classify(predict, checks, task)
        found = scores(task, table)
        return {"val_loss": loss, "val_accuracy": found["accuracy"], "val_macro_f1": found["macro_f1"]}

    progress = Progress()
    loop = Loop(
        model,
        [model.weights_optimizer],
        [Phase("train", model.train_step, options.epochs * steps_per_epoch)],
        batches,
        steps_per_epoch=steps_per_epoch,
        folder=run.checkpoints,
        checkpoint_every=options.checkpoint_every,
        distribution=distribution,
        jit=use_xla(options.jit, distribution.num_replicas_in_sync),
        validate=validate,
        progress=progress,
    )
    step = loop.restore()
    if step:
        say(f"resumed at step {step}")
    best = run.checkpoints / "best.weights.h5"
    stop = callbacks.EarlyStop(
        network,
        progress,
        monitor="val_loss",
        patience=options.patience,
        file=best,
        warm_up=min(50, options.epochs * steps_per_epoch // 2),
        writes=chief,
    )
    written = [run.history(step), callbacks.Report(loop, HINT), callbacks.TensorBoard(run.logs)] if chief else []
    loop.run([stop, *written])
    if not chief:
        return
    network.load_weights(best)
    table, _ = classify(predict, checks, task)
    write_scores(task, table, names, run.folder)
    run.write_json("classes.json", list(names))
    run.write_network("vgg.keras", network)
    found = scores(task, table)
    print(
        f"Best epoch {progress.memory['best_epoch']}: accuracy {found['accuracy']:.3f} ({task.accuracy}), "
        f"macro-F1 {found['macro_f1']:.3f}. See {run.folder}: vgg.keras, {task.picture}, per_class.csv."
    )


HINT = "--width 0.25 --batch-size 32 --epochs 10"


def main(argv=None) -> int:
    """Run stage 1 from the command line; return the exit code."""
    options = parse(argv)
    return command(lambda: train(options), name="train_vgg.py")


if __name__ == "__main__":
    sys.exit(main())
