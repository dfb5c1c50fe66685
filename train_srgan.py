"""Stage 2: train an SRGAN on alpha * pixel + beta * content (mini-VGG19 features) + gamma * adversarial loss."""

import argparse
import math
import sys
from pathlib import Path

from msrgan.cli import command
from msrgan.options import add_common, count, fraction, non_negative, positive, set_up

HINT = "--filters 32 --blocks 4 --batch-size 8 --pretrain-steps 300 --steps 100, and a --vgg of --width 0.25"


def parse(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="train_srgan.py", description=__doc__)
    loss = parser.add_argument_group("loss")
    loss.add_argument("--alpha", type=non_negative, default=1.0, help="weight of the pixel loss (%(default)s)")
    loss.add_argument("--beta", type=non_negative, default=0.006, help="weight of the content loss (%(default)s)")
    loss.add_argument("--gamma", type=non_negative, default=1e-5, help="weight of the adversarial loss (%(default)s)")
    loss.add_argument("--pixel-loss", choices=("mse", "l1"), default="mse")
    loss.add_argument("--vgg", default="runs/vgg", help="run of train_vgg.py, vgg.keras file, or none (%(default)s)")
    model = parser.add_argument_group("networks")
    model.add_argument("--variant", choices=("msrgan", "srgan"), default="msrgan")
    model.add_argument("--scale", type=int, choices=(2, 4, 8), default=4)
    model.add_argument("--filters", type=positive, help="width of the generator (64)")
    model.add_argument("--blocks", type=positive, help="residual blocks of the generator (msrgan 15, srgan 16)")
    model.add_argument("--batch-norm", choices=("on", "off"), default="on", help="in the generator")
    model.add_argument(
        "--dropout", type=fraction, default=0.0, help="in the generator; the thesis has 0.5 (%(default)s)"
    )
    model.add_argument("--image-skip", choices=("bicubic", "none"), default="bicubic", help="the papers have none")
    data = parser.add_argument_group("pairs")
    data.add_argument("--patch-size", type=positive, default=96, metavar="PIXELS", help="of HR patches (%(default)s)")
    data.add_argument("--degradation", choices=("bicubic", "thesis", "area"), default="bicubic")
    data.add_argument("--crop", choices=("random", "grid"), default="random")
    data.add_argument("--crops-per-image", type=positive, default=1, metavar="N", help="in an epoch (%(default)s)")
    data.add_argument("--normalize", choices=("percentile", "range"), default="percentile")
    training = parser.add_argument_group("training")
    training.add_argument("--pretrain-steps", type=count, default=5000, help="on the pixel loss alone (%(default)s)")
    training.add_argument(
        "--steps", type=count, default=5000, help="of the GAN, the second half at a tenth of the rate (%(default)s)"
    )
    training.add_argument("--steps-per-epoch", type=positive, help="default: every image --crops-per-image times")
    training.add_argument("--batch-size", type=positive, default=16, help="of all workers together (%(default)s)")
    training.add_argument("--learning-rate", type=non_negative, default=1e-4, help="of the GAN (%(default)s)")
    training.add_argument("--pretrain-learning-rate", type=non_negative, default=3e-4, help="(%(default)s)")
    add_common(parser, out="runs/srgan")
    return parser.parse_args(argv)


def train(options: argparse.Namespace):
    """Run stage 2; leaves model/ (SavedModel), generator.keras, samples and history in the run folder."""
    distribution = set_up(options)  # first: workers connect before anything else
    import msrgan
    from msrgan import callbacks, datasets, losses
    from msrgan.degradation import DEGRADATIONS
    from msrgan.evaluation.validation import Validation
    from msrgan.files import atomic
    from msrgan.gan import SRGAN
    from msrgan.pipeline import sr_pairs
    from msrgan.run import Run
    from msrgan.survey import check_patch, common_channels, identity, shuffle_window, survey
    from msrgan.training import Loop, Stage, adam, is_chief, learning_rates, use_xla
    from msrgan.variants import VARIANTS

    chief = is_chief()
    where = {"manual_dir": options.manual_dir, "data_dir": options.data_dir, "chief": chief}
    with distribution.scope():
        features = _features(options)
    if options.patch_size % options.scale:
        raise ValueError(
            f"--patch-size must be a multiple of --scale. Received: {options.patch_size}, {options.scale}."
        )
    training = survey(datasets.load(options.data, "train", **where))
    held_out = survey(datasets.load(options.data, "validation", **where))
    check_patch(training, options.patch_size)
    channels = common_channels(training, held_out)
    window = shuffle_window(training, int(options.cache_gb * 2**30))
    if features and features.channels != channels and channels != 1:
        raise ValueError(
            f"--vgg {options.vgg} was trained on images of {features.channels} channels, these have {channels}."
        )
    variant = VARIANTS[options.variant]
    options.filters = options.filters or variant.filters
    options.blocks = options.blocks or variant.blocks
    per_epoch = math.ceil(len(training.ids) * options.crops_per_image / options.batch_size)
    options.steps_per_epoch = options.steps_per_epoch or per_epoch
    degradation = DEGRADATIONS[options.degradation]
    validation = Validation(
        held_out.images,
        degradation=degradation,
        scale=options.scale,
        channels=channels,
        normalization=options.normalize,
    )
    with distribution.scope():
        generator = variant.generator(
            channels=channels,
            scale=options.scale,
            filters=options.filters,
            blocks=options.blocks,
            batch_norm=options.batch_norm == "on",
            dropout=options.dropout,
            image_skip=options.image_skip,
        )
        model = SRGAN(generator, variant.discriminator(channels=channels, patch=options.patch_size))
        objective = losses.Objective(
            pixel=losses.PIXEL_LOSSES[options.pixel_loss],
            content=losses.content(features) if features else None,
            adversarial=variant.adversarial,
            alpha=options.alpha,
            beta=options.beta,
            gamma=options.gamma,
        )
        pretraining = (options.pretrain_learning_rate, options.pretrain_steps)
        rates = learning_rates(options.learning_rate, options.steps, pretraining=pretraining)
        d_rates = learning_rates(options.learning_rate, options.steps)
        model.compile(objective, adam(rates), adam(d_rates))
    run = Run(
        options.out,
        arguments=vars(options) | {"command": "train_srgan", "shuffle_window": window},
        data=identity(training, held_out) | {"features": features.fingerprint if features else None},
        resume=options.resume,
        writes=chief,
    )
    say = print if chief else lambda *_: None
    say(
        f"{len(training.ids)} training and {len(validation.cases)} validation images of {options.data}, "
        f"{channels} channels; {options.variant} generator of {generator.count_params():,} parameters, "
        f"{options.filters} filters, {options.blocks} blocks; {options.pretrain_steps} steps of pixel loss, then "
        f"{options.steps} of GAN, {options.batch_size} patches of {options.patch_size} pixels each; epochs of "
        f"{options.steps_per_epoch} steps; content loss {'on ' + options.vgg if features else 'off'}."
    )

    def batches(ctx, step):
        return sr_pairs(
            training.images,
            patch=options.patch_size,
            batch=options.batch_size // ctx.num_replicas_in_sync,
            degradation=degradation,
            seed=options.seed,
            scale=options.scale,
            channels=channels,
            crop=options.crop,
            normalization=options.normalize,
            start=step * options.batch_size,
            shard=(ctx.num_input_pipelines, ctx.input_pipeline_id),
            window=window,
        )

    loop = Loop(
        model,
        [model.generator_optimizer, model.discriminator_optimizer],
        [
            Stage("pixel", model.pretrain_step, options.pretrain_steps),
            Stage("gan", model.train_step, options.steps),
        ],
        batches,
        steps_per_epoch=options.steps_per_epoch,
        folder=run.checkpoints,
        checkpoint_every=options.checkpoint_every,
        distribution=distribution,
        jit=use_xla(options.jit),
        validate=(lambda: validation(model.upscale)) if chief else dict,
    )
    step = loop.restore()
    if step:
        say(f"resumed at step {step}")
    if not chief:
        return loop.run()
    samples = callbacks.Samples(run.samples, validation.sample)
    log = callbacks.TensorBoard(run.logs, samples.path)
    loop.run([samples, run.history(step), callbacks.Report(loop, HINT), log])
    metadata = {
        "normalization": options.normalize,
        "degradation": options.degradation,
        "training_hashes": training.hashes,
        "variant": options.variant,
        "data": options.data,
        "steps": loop.progress.step,
    }
    msrgan.export(model.averaged, run.folder / "model", metadata=metadata)
    with atomic(run.folder / "generator.keras") as file:
        model.averaged.save(file)
    print(f"See {run.folder}: model/ (SavedModel), samples/, history.csv.")


def _features(options):
    """Return the frozen features of the content loss, or None without one."""
    if options.vgg == "none" or not options.beta:
        return None
    from vgg_micro.features import micro

    return micro(Path(options.vgg))


def main(argv=None) -> int:
    """Run stage 2 from the command line; return the exit code."""
    options = parse(argv)
    return command(lambda: train(options), name="train_srgan.py")


if __name__ == "__main__":
    sys.exit(main())
