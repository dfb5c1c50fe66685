"""Stage 2: train an SRGAN on alpha * pixel + beta * content (frozen VGG features) + gamma * adversarial loss."""

import argparse
import sys
from functools import partial
from pathlib import Path

from msrgan.apps.cli.arguments import add_common, count, decay, fraction, non_negative, positive
from msrgan.messages import command, flags, import_tensorflow


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; None stands for what the variant was published with."""
    parser = argparse.ArgumentParser(
        prog="train_srgan.py",
        description=__doc__,
        epilog="Where no default is given, it is that of the published system that --variant names: docs/lineage.md.",
    )
    _add_loss(parser.add_argument_group("loss"))
    _add_networks(parser.add_argument_group("networks"))
    _add_pairs(parser.add_argument_group("pairs of low and high resolution"))
    _add_training(parser.add_argument_group("training"))
    add_common(parser, out="runs/srgan")
    return parser


def _add_loss(group):
    add = group.add_argument
    add("--alpha", type=non_negative, help="weight of the pixel loss, which asks for the right values (msrgan 1)")
    add("--beta", type=non_negative, help="weight of the content loss, which asks for true structures (msrgan 0.006)")
    add("--gamma", type=non_negative, help="weight of the adversarial loss, which asks for a sharp look (msrgan 1e-5)")
    add(
        "--pixel-loss", choices=("mse", "l1", "psnr"),
        help="mean squared or mean absolute error of the pixels, or the negative PSNR of each patch (msrgan mse)",
    )  # fmt: skip
    add("--content-loss", choices=("mse", "l1"), help="likewise, of two feature maps (msrgan mse)")
    add(
        "--vgg", metavar="RUN",
        help="whose features the content loss compares: a run of train_vgg.py, its vgg.keras, builtin for the one that "
        "ships, imagenet, or none (runs/vgg)",
    )  # fmt: skip
    add("--vgg-weights", metavar="FILE", help="weights for --vgg imagenet, instead of a download")
    add(
        "--vgg-layers", nargs="+", metavar="LAYER",
        help="which features: block5_conv4 is before, block5_conv4_act after the activation",
    )  # fmt: skip


def _add_networks(group):
    add = group.add_argument
    add(
        "--variant", default="msrgan",
        help="the published system to follow: msrgan, srgan, realtime, esrgan, srcnn or span (%(default)s)",
    )  # fmt: skip
    add("--scale", type=int, choices=(2, 4, 8), default=4, help="enlargement (%(default)s)")
    add("--filters", type=positive, help="width of the generator: fewer are faster (64; span 32)")
    add("--blocks", type=positive, help="depth of the generator (msrgan 15, srgan and realtime 16, esrgan 23, span 6)")
    add("--batch-norm", choices=("on", "off", "body"), help="in the generator; body: once, at its end (msrgan on)")
    add("--dropout", type=fraction, help="share of features switched off at random (0; the thesis has 0.5)")
    add("--upsample", choices=("subpixel", "resize", "transpose"), help="how the generator enlarges (msrgan subpixel)")
    add("--widths", type=positive, nargs="+", metavar="N", help="filters of each upsampling convolution")
    add(
        "--image-skip", choices=("bicubic", "none"),
        help="whether the generator learns what bicubic enlargement lacks (bicubic; the papers have none)",
    )  # fmt: skip
    add("--init", metavar="RUN", help="start from the generator of another run, or of a model that ships")


def _add_pairs(group):
    add = group.add_argument
    add("--patch-size", type=positive, default=96, metavar="PIXELS", help="side of the sharp patches (%(default)s)")
    add(
        "--degradation", default="bicubic",
        help="how coarse images are made of sharp ones: bicubic, thesis, area, gaussian:sigma=S, "
        "mixed:sigma=LOW..HIGH or microscope:NAME=LOW..HIGH,... (%(default)s)",
    )  # fmt: skip
    add("--crop", choices=("random", "grid"), default="random", help="where patches are cut (%(default)s)")
    add("--crops-per-image", type=positive, default=1, metavar="N", help="patches of it in an epoch (%(default)s)")
    add(
        "--normalize", choices=("percentile", "range"), default="percentile",
        help="what becomes 0 and 1: an image's 0.1 and 99.9 percentiles, or the ends of its file type (%(default)s)",
    )  # fmt: skip


def _add_training(group):
    add = group.add_argument
    add("--pretrain-steps", type=count, default=5000, help="steps on the pixel loss alone (%(default)s)")
    add(
        "--steps",
        type=count,
        default=5000,
        help="steps of the GAN after them; of srcnn, span on pixels (%(default)s)",
    )
    add(
        "--validate-every", "--steps-per-epoch", dest="steps_per_epoch", type=positive, metavar="STEPS",
        help="steps between two validations (as many as show every image --crops-per-image times, 100 or more)",
    )  # fmt: skip
    add("--batch-size", type=positive, default=16, help="patches in a step, of all workers together (%(default)s)")
    add("--learning-rate", type=non_negative, help="step size of the Adam optimizer, in the GAN (1e-4)")
    add(
        "--discriminator-learning-rate", type=non_negative,
        help="likewise, of the discriminator (as the generator's; the thesis has 1e-3)",
    )  # fmt: skip
    add("--pretrain-learning-rate", type=non_negative, help="likewise, on the pixel loss (msrgan 3e-4)")
    add(
        "--decay", type=decay, nargs="*", metavar="WHEN:FACTOR",
        help="when the learning rate of the GAN falls: 0.5:0.1 is to a tenth, at half of --steps; cosine: in both "
        "phases, slowly to zero",
    )  # fmt: skip
    add("--adam-beta-2", type=fraction, help="memory of the Adam optimizer (0.999; esrgan 0.99)")


def train(options: argparse.Namespace) -> None:
    """Read the images and the features, and run stage 2 on them."""
    import_tensorflow()
    from msrgan import datasets
    from msrgan.data.survey import common_channels
    from msrgan.degradation import make
    from msrgan.evaluation.film import film
    from msrgan.evaluation.validation import Validation
    from msrgan.intensity import Normalization
    from msrgan.training import session
    from msrgan.training.settings import resolve
    from msrgan.training.srgan import SuperResolution

    settings = resolve(vars(options) | {"data": datasets.canonical(options.data)})
    distribution = session.start(settings)  # first: workers connect before anything else
    with distribution.scope():
        features = _features(settings)
    images, held_out = _surveys(options, settings)
    validation = Validation(
        held_out.images,
        degradation=make(settings.degradation),
        scale=settings.scale,
        channels=common_channels(images, held_out),
        normalization=Normalization(settings.normalize),
    )
    stage = SuperResolution(
        settings, distribution, images=images, held_out=held_out, features=features, validation=validation, film=film
    )
    session.run(stage, distribution)


def _surveys(options, settings):
    """Return the training and the held-out images, after a check that patches fit into them."""
    from msrgan import datasets
    from msrgan.data.survey import check_pairs, check_patch, survey
    from msrgan.training.strategy import is_chief

    where = {"manual_dir": options.manual_dir, "data_dir": options.data_dir, "chief": is_chief()}
    load = partial(datasets.load, options.data, axes=settings.axes, **where)
    images = survey(load("train"), cache_bytes=settings.cache_bytes)
    # In what memory is left: a file is then decoded once, and not again for the scores.
    held_out = survey(load("validation"), cache_bytes=settings.cache_bytes - images.nbytes)
    if images.pairs:
        # The test split too: better told now than after the training.
        check_pairs([images, held_out, survey(load("test"))], settings.scale)
    check_patch(images, settings.patch_size)
    return images, held_out


def _features(settings):
    """Return the frozen features of the content loss, or None without one."""
    if settings.system.discriminator is None or not settings.steps:
        return None
    if settings.vgg == "none" or not settings.beta:
        if not settings.alpha:
            raise ValueError(
                f"Without a content loss {settings.variant} has its adversarial loss alone. Use an `alpha` of 1, or "
                "name features by `vgg`."
            )
        return None
    from msrgan import zoo
    from vgg_micro.features import imagenet, micro

    if settings.vgg == "builtin":
        return micro(zoo.vgg(), layers=settings.vgg_layers)
    if settings.vgg == "imagenet":
        return imagenet(settings.vgg_weights or "imagenet", layers=settings.vgg_layers)
    return micro(Path(settings.vgg), layers=settings.vgg_layers)


def main(argv: list[str] | None = None) -> int:
    """Run stage 2 from the command line; return the exit code."""
    arguments = parser()
    options = arguments.parse_args(argv)
    return command(lambda: train(options), name=arguments.prog, options=flags(arguments) | {"weights": "--vgg-weights"})


if __name__ == "__main__":
    sys.exit(main())
