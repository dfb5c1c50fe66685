"""Stage 2: train an SRGAN on alpha * pixel + beta * content (frozen VGG features) + gamma * adversarial loss."""

import argparse
import math
import sys
from pathlib import Path

from msrgan.apps.cli.arguments import add_common, count, decay, fraction, non_negative, positive
from msrgan.messages import command, import_tensorflow

HINT = "--filters 32 --blocks 4 --batch-size 8 --pretrain-steps 300 --steps 100, and a --vgg of --width 0.25"


def parse(argv=None) -> argparse.Namespace:
    """Parse the command line; None stands for what the variant was published with."""
    parser = argparse.ArgumentParser(
        prog="train_srgan.py",
        description=__doc__,
        epilog="Where no default is given, it is that of the published system that --variant names: docs/lineage.md.",
    )
    loss = parser.add_argument_group("loss")
    loss.add_argument("--alpha", type=non_negative, help="weight of the pixel loss (msrgan 1)")
    loss.add_argument("--beta", type=non_negative, help="weight of the content loss (msrgan 0.006)")
    loss.add_argument("--gamma", type=non_negative, help="weight of the adversarial loss (msrgan 1e-5)")
    loss.add_argument("--pixel-loss", choices=("mse", "l1"))
    loss.add_argument("--content-loss", choices=("mse", "l1"), help="distance of two feature maps")
    loss.add_argument("--vgg", help="run of train_vgg.py, vgg.keras file, imagenet, or none (runs/vgg)")
    loss.add_argument("--vgg-weights", metavar="FILE", help="of --vgg imagenet, instead of a download")
    loss.add_argument(
        "--vgg-layers", nargs="+", metavar="LAYER", help="block5_conv4 is before, block5_conv4_act after activation"
    )
    model = parser.add_argument_group("networks")
    model.add_argument("--variant", default="msrgan", help="msrgan, srgan, realtime, esrgan or srcnn (%(default)s)")
    model.add_argument("--scale", type=int, choices=(2, 4, 8), default=4)
    model.add_argument("--filters", type=positive, help="width of the generator (64)")
    model.add_argument("--blocks", type=positive, help="residual blocks (msrgan 15, srgan and realtime 16, esrgan 23)")
    model.add_argument("--batch-norm", choices=("on", "off", "body"), help="in the generator; body: once, at its end")
    model.add_argument("--dropout", type=fraction, help="in the generator (0); the thesis has 0.5")
    model.add_argument("--upsample", choices=("subpixel", "resize", "transpose"))
    model.add_argument("--widths", type=positive, nargs="+", metavar="N", help="filters of each upsampling convolution")
    model.add_argument("--image-skip", choices=("bicubic", "none"), help="bicubic; the papers have none")
    model.add_argument("--init", type=Path, metavar="RUN", help="start from the generator of another run")
    data = parser.add_argument_group("pairs")
    data.add_argument("--patch-size", type=positive, default=96, metavar="PIXELS", help="of HR patches (%(default)s)")
    data.add_argument(
        "--degradation", default="bicubic", help="thesis, area, gaussian:sigma=S or microscope:NAME=LOW..HIGH,... "
        "(%(default)s)"
    )  # fmt: skip
    data.add_argument("--crop", choices=("random", "grid"), default="random")
    data.add_argument("--crops-per-image", type=positive, default=1, metavar="N", help="in an epoch (%(default)s)")
    data.add_argument("--normalize", choices=("percentile", "range"), default="percentile")
    training = parser.add_argument_group("training")
    training.add_argument("--pretrain-steps", type=count, default=5000, help="on the pixel loss alone (%(default)s)")
    training.add_argument("--steps", type=count, default=5000, help="of the GAN; of srcnn, on pixels (%(default)s)")
    training.add_argument(
        "--validate-every", "--steps-per-epoch", dest="steps_per_epoch", type=positive, metavar="STEPS",
        help="length of an epoch, after which come scores and pictures (every image --crops-per-image times)",
    )  # fmt: skip
    training.add_argument("--batch-size", type=positive, default=16, help="of all workers together (%(default)s)")
    training.add_argument("--learning-rate", type=non_negative, help="of the GAN (1e-4)")
    training.add_argument(
        "--discriminator-learning-rate", type=non_negative, help="(that of the generator; the thesis has 1e-3)"
    )
    training.add_argument("--pretrain-learning-rate", type=non_negative, help="(msrgan 3e-4)")
    training.add_argument(
        "--decay", type=decay, nargs="*", metavar="WHEN:FACTOR", help="of the GAN's rate, 0.5:0.1 at half of --steps"
    )
    training.add_argument("--adam-beta-2", type=fraction, help="(0.999; esrgan 0.99)")
    add_common(parser, out="runs/srgan")
    return parser.parse_args(argv)


def train(options: argparse.Namespace):
    """Run stage 2; leaves model/ (SavedModel), generator.keras, samples and history in the run folder."""
    import_tensorflow()
    from msrgan.training.session import set_up

    distribution = set_up(options)  # first: workers connect before anything else
    import keras

    from msrgan import datasets, models
    from msrgan.data.pairs import sr_pairs
    from msrgan.data.survey import common_channels, identity, shuffle_window
    from msrgan.degradation import make
    from msrgan.evaluation.film import film
    from msrgan.evaluation.validation import Validation
    from msrgan.intensity import Normalization
    from msrgan.training import callbacks
    from msrgan.training.loop import Loop, Phase
    from msrgan.training.run import Run
    from msrgan.training.strategy import is_chief, use_xla
    from msrgan.training.transfer import start_from
    from msrgan.training.variants import GAN_ONLY, build

    chief = is_chief()
    say = print if chief else lambda *_: None
    variant, sizes, training, ignored = _complete(options)
    if ignored:
        say(f"{options.variant} has no {', '.join('--' + n.replace('_', '-') for n in ignored)}: ignored.")
    degradation = make(options.degradation)
    with distribution.scope():
        features = _features(options) if variant.discriminator and options.steps else None
    found, held_out = _surveys(options, chief)
    channels = common_channels(found, held_out)
    if features and features.channels != channels and channels != 1:
        raise ValueError(f"`vgg` was trained on images of {features.channels} channels, these have {channels}.")
    options.degradation = "acquired" if found.pairs else degradation.spec
    per_epoch = math.ceil(len(found.ids) * options.crops_per_image / options.batch_size)
    options.steps_per_epoch = options.steps_per_epoch or per_epoch
    window = shuffle_window(found, int(options.cache_gb * 2**30))
    common = {"scale": options.scale, "channels": channels, "normalization": Normalization(options.normalize)}
    validation = Validation(held_out.images, degradation=degradation, **common)
    keras.utils.set_random_seed(options.seed)  # preparing a set draws random numbers too
    with distribution.scope():
        model = build(
            variant,
            sizes,
            training,
            channels=channels,
            scale=options.scale,
            offset=0.0 if found.pairs else degradation.offset(options.scale),
            patch=options.patch_size,
            features=features,
            pretrain_steps=options.pretrain_steps,
            steps=options.steps,
        )
        begun = options.resume and any((options.out / "checkpoints").glob("ckpt-*.index"))
        if options.init and not begun:
            start_from(options.init, model.generator, model.averaged)
    unused = {} if options.steps else dict.fromkeys(GAN_ONLY)
    about = {"command": "train_srgan", "shuffle_window": window, "data": datasets.canonical(options.data)}
    run = Run(
        options.out,
        arguments=vars(options) | unused | about,
        data=identity(found, held_out) | {"features": features.fingerprint if features else None},
        resume=options.resume,
        writes=chief,
    )
    gan = [Phase("gan", model.train_step, options.steps)] if variant.discriminator else []
    pixel = options.pretrain_steps if gan else options.pretrain_steps + options.steps
    stages = [Phase("pixel", model.pretrain_step, pixel), *gan]
    say(
        f"{len(found.ids)} training and {len(validation.cases)} validation images of {options.data}, "
        f"{channels} channels; {options.variant} generator of {model.generator.count_params():,} parameters, "
        f"{', '.join(f'{name} {value}' for name, value in sizes.items() if value is not None)}; "
        f"{', then '.join(f'{stage.steps} steps of {stage.name} loss' for stage in stages)}, "
        f"{options.batch_size} patches of {options.patch_size} pixels each; epochs of {options.steps_per_epoch} steps; "
        f"content loss {'on ' + options.vgg if features else 'off'}."
    )

    def batches(ctx, step):
        return sr_pairs(
            found.images,
            patch=options.patch_size,
            batch=options.batch_size // ctx.num_replicas_in_sync,
            degradation=degradation,
            seed=options.seed,
            crop=options.crop,
            start=step * options.batch_size,
            shard=(ctx.num_input_pipelines, ctx.input_pipeline_id),
            window=window,
            **common,
        )

    loop = Loop(
        model,
        [o for o in (model.generator_optimizer, model.discriminator_optimizer) if o],
        stages,
        batches,
        steps_per_epoch=options.steps_per_epoch,
        folder=run.checkpoints,
        checkpoint_every=options.checkpoint_every,
        distribution=distribution,
        jit=use_xla(options.jit, distribution.num_replicas_in_sync),
        validate=(lambda: validation(model.upscale)) if chief else dict,
    )
    step = loop.restore()
    if step:
        say(f"resumed at step {step}")
    if not chief:
        return loop.run()
    samples = callbacks.Samples(run.samples, validation.sample, callbacks.spread(loop.epoch_ends))
    loop.run([samples, run.history(step), callbacks.Report(loop, HINT), callbacks.TensorBoard(run.logs, samples.path)])
    metadata = {
        "normalization": options.normalize,
        "degradation": options.degradation,
        "training_hashes": found.hashes,
        "variant": options.variant,
        "data": options.data,
        "steps": loop.progress.step,
    }
    models.export(model.averaged, run.folder / "model", metadata=metadata)
    run.write_network("generator.keras", model.averaged)
    film(run.samples, run.folder.resolve().name)
    print(f"See {run.folder}: model/ (SavedModel), samples/, history.csv.")


def _complete(options):
    """Complete the options by what the variant was published with, and check what needs no data."""
    from msrgan.training.variants import VARIANTS, settings

    if options.variant not in VARIANTS:
        raise ValueError(
            f"--variant is one of {', '.join(VARIANTS)}. Received: {options.variant}. Interpolation has nothing to "
            "learn: score it by msrgan evaluate --model bicubic."
        )
    if options.vgg_weights and options.vgg not in (None, "imagenet"):
        raise ValueError(f"--vgg-weights are those of --vgg imagenet. Received: --vgg {options.vgg}.")
    if options.patch_size % options.scale:
        raise ValueError(
            f"--patch-size must be a multiple of --scale. Received: {options.patch_size}, {options.scale}."
        )
    if not (options.pretrain_steps or options.steps or options.init):
        raise ValueError("Without --pretrain-steps, --steps and --init there is nothing to do.")
    options.vgg = options.vgg or (options.vgg_weights and "imagenet")
    variant = VARIANTS[options.variant]
    sizes, training, ignored = settings(variant, vars(options))
    vars(options).update(dict.fromkeys(ignored), **sizes, **training)
    return variant, sizes, training, ignored


def _surveys(options, chief):
    """Return the training and the held-out images, found fit for the patches."""
    from msrgan import datasets
    from msrgan.data.survey import check_pairs, check_patch, survey

    where = {"manual_dir": options.manual_dir, "data_dir": options.data_dir, "chief": chief}
    found = survey(datasets.load(options.data, "train", **where))
    held_out = survey(datasets.load(options.data, "validation", **where))
    if found.pairs:
        # Those of the test split too: better told now than after the training.
        check_pairs(survey(datasets.load(options.data, "all", **where)), options.scale, quiet=not chief)
    check_patch(found, options.patch_size)
    return found, held_out


def _features(options):
    """Return the frozen features of the content loss, or None without one."""
    if options.vgg == "none" or not options.beta:
        if not options.alpha:
            raise ValueError(
                f"Without a content loss {options.variant} has its adversarial loss alone. Add --alpha 1, or name "
                "features with --vgg."
            )
        return None
    from vgg_micro.features import imagenet, micro

    if options.vgg == "imagenet":
        return imagenet(options.vgg_weights or "imagenet", layers=options.vgg_layers)
    return micro(Path(options.vgg), layers=options.vgg_layers)


def main(argv=None) -> int:
    """Run stage 2 from the command line; return the exit code."""
    options = parse(argv)
    return command(lambda: train(options), name="train_srgan.py")


if __name__ == "__main__":
    sys.exit(main())
