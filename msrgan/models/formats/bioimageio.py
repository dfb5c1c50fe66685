"""bioimage.io: a package (ZIP) of weights, description, documentation, cover and test, specification 0.5.

Its weights are Keras' and ONNX. (A `tensorflow_saved_model_bundle` would be no use: bioimageio.core opens one by
`tf.Session`, which TensorFlow 2 lacks.) What ilastik, deepImageJ and bioimageio.core know of it is here:

    image      batch, y, x, channel; float32; scale_range with the percentiles of the card, each channel for itself
    upscaled   batch, y, x, channel; float32, in the same normalised units; halo: the receptive radius

Undoing the normalisation, `upscaled * (high - low) + low`, has no name among the post-processings of the
specification: `scale_mean_variance` would bend the contrast. The documentation in the package says how to do it.
"""

import importlib.metadata
import math
import re
import tempfile
import textwrap
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tifffile

from msrgan.models.formats import onnx
from msrgan.models.formats.example import cover, low_resolution
from msrgan.models.formats.source import TOLERANCE, Source
from msrgan.models.packages import required

# What is cited for a network: the paper that its file in `msrgan.networks` names.
PAPERS = {
    "srresnet": ("Ledig et al. 2016, Photo-Realistic Single Image Super-Resolution Using a GAN", "1609.04802"),
    "rrdbnet": ("Wang et al. 2018, Enhanced Super-Resolution Generative Adversarial Networks", "1809.00219"),
    "srcnn": ("Dong et al. 2015, Image Super-Resolution Using Deep Convolutional Networks", "1501.00092"),
    "span": ("Wan et al. 2023, Swift Parameter-free Attention Network", "2311.12770"),
}
_EPSILON = 1e-9  # added to the span of the percentiles: less than a float32 sees


def write(source: Source, target: Path) -> None:
    """Write NAME.zip and let bioimageio.spec validate it.

    Raises:
        ValueError: no author or licence is given, they or the image do not fit, there is no Keras network, or a
            package is not installed.
    """
    if not source.card.get("authors"):
        raise ValueError("A model of bioimage.io has `authors`: name one at least. Received: none")
    network = source.network  # before anything else: it may lack
    spec = required("bioimageio.spec", "bioimageio")
    _check_license(source.card.get("license", "none"), spec)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        network.save(folder / "weights.keras")
        _write_files(source, folder)
        description = _description(source, folder, target.stem)
        quiet = spec.ValidationContext(log_warnings=False, progressbar=False)
        try:
            with quiet, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of its own half-made descriptions
                spec.save_bioimageio_package(spec.model.v0_5.ModelDescr(**description), output_path=target)
        except ValueError as error:
            raise ValueError(f"bioimage.io does not take this model: {_reason(error)}") from error


def _check_license(identifier: str, spec: ModuleType) -> None:
    try:
        spec.model.v0_5.LicenseId(identifier)
    except ValueError:  # which names all 600 of them
        raise ValueError(
            f"A model of bioimage.io has a `license`, an SPDX identifier as CC-BY-4.0. Received: {identifier}"
        ) from None


def _write_files(source: Source, folder: Path) -> None:
    model = source.model
    onnx.write(source.folder, folder / "weights.onnx")
    image = low_resolution(source.image, model)
    normalized = model.normalization.limits(image).normalize(image)
    upscaled = model(normalized[None])
    given = image if _is_percentile(source) else normalized
    for name, pixels in (("input", given), ("output", upscaled[0])):
        np.save(folder / f"test_{name}.npy", pixels[None])
        tifffile.imwrite(folder / f"sample_{name}.tif", pixels, photometric="minisblack")
    cover(normalized, upscaled[0], source.card).save(folder / "cover.png")
    (folder / "README.md").write_text(_documentation(source))


def _is_percentile(source: Source) -> bool:
    return source.model.normalization.kind == "percentile"


def _description(source: Source, folder: Path, name: str) -> dict[str, Any]:
    card, network = source.card, source.network
    papers = [PAPERS[network.name]] if network.name in PAPERS else []
    tolerance = {"relative_tolerance": 0, "absolute_tolerance": TOLERANCE, "mismatched_elements_per_million": 0}
    channels = ", of one channel" if card["channels"] == 1 else f", of {card['channels']} channels"
    return {
        "name": re.sub(r"[^\w+\- ()]", "-", f"{name} (mSRGAN x{card['scale']})", flags=re.ASCII),
        "description": f"Enlarges 2D microscopy images{channels}, {card['scale']} times. What it adds is a guess that "
        "fits its training images, not a measurement.",
        "authors": [{"name": author} for author in card["authors"]],
        "license": card["license"],
        "cite": [{"text": title, "doi": f"10.48550/arXiv.{number}"} for title, number in papers],
        "tags": ["super-resolution", "image-restoration", "2d", "tensorflow", "keras", "onnx", "msrgan", network.name],
        "documentation": _file(folder / "README.md"),
        "covers": [_file(folder / "cover.png")],
        "inputs": [_input(source, folder)],
        "outputs": [_output(source, folder)],
        "weights": {
            "keras_v3": _file(folder / "weights.keras")
            | {"keras_version": keras.__version__, "backend": ("tensorflow", tf.__version__)},
            "onnx": _file(folder / "weights.onnx") | {"opset_version": onnx.OPSET, "parent": "keras_v3"},
        },
        "config": {
            "bioimageio": {
                "reproducibility_tolerance": [tolerance],
                "architecture_type": network.name,
                "model_parameter_count": sum(math.prod(weight.shape) for weight in network.trainable_weights),
                "task": "super-resolution",
            },
            "msrgan": source.about,
        },
        "version": "1.0",
    }


def _file(path: Path) -> dict[str, Any]:
    return {"source": path}


def _input(source: Source, folder: Path) -> dict[str, Any]:
    low, high = source.model.normalization.percentiles
    # Every size is valid from the one on of which a pixel in the middle is left within the halo.
    size = {"min": 2 * source.model.radius + 1, "step": 1}
    scale = {"axes": ["y", "x"], "min_percentile": low, "max_percentile": high, "eps": _EPSILON}
    percentile = _is_percentile(source)
    # Concatenable: it may be cut into tiles.
    axes = [{"type": "space", "id": axis, "size": size, "concatenable": True} for axis in "yx"]
    said = "low-resolution image" + ("" if percentile else ", divided by the largest value of its type")
    return {
        "id": "image",
        "description": said,
        "axes": [{"type": "batch"}, *axes, _channels(source)],
        "data": {"type": "float32"},
        "test_tensor": _file(folder / "test_input.npy"),
        "sample_tensor": _file(folder / "sample_input.tif"),
        "preprocessing": [{"id": "scale_range", "kwargs": scale}] if percentile else [],
    }


def _output(source: Source, folder: Path) -> dict[str, Any]:
    def axis(name):
        size = {"tensor_id": "image", "axis_id": name}
        halo = max(source.model.radius, 1) * source.model.scale
        return {"type": "space", "id": name, "size": size, "scale": 1 / source.model.scale, "halo": halo}

    return {
        "id": "upscaled",
        "description": "enlarged image, in normalised units: see the documentation",
        "axes": [{"type": "batch"}, axis("y"), axis("x"), _channels(source)],
        "data": {"type": "float32"},
        "test_tensor": _file(folder / "test_output.npy"),
        "sample_tensor": _file(folder / "sample_output.tif"),
    }


def _channels(source: Source) -> dict[str, Any]:
    return {"type": "channel", "channel_names": [f"channel{i}" for i in range(1, source.model.channels + 1)]}


def _documentation(source: Source) -> str:
    card, (low, high) = source.card, source.model.normalization.percentiles
    if _is_percentile(source):
        units = (
            f"In each channel of an image, `low`, its {low} percentile, becomes 0 and `high`, its {high} percentile, "
            "becomes 1. Nothing is clipped. The result is in these units. It is brought back by\n\n"
            "    enlarged = upscaled * (high - low) + low\n\n"
            "with `low` and `high` of the input image. Where both are equal (few spots on an even ground), mSRGAN "
            "takes the least and the largest value instead, and this package divides by next to nothing: use mSRGAN "
            "there."
        )
    else:
        units = (
            "The model takes images divided by the largest value of their type: 255, 65535 or, of floats, 1. The "
            "result is in these units: multiply it by the same value."
        )
    facts = {name: card[name] for name in ("variant", "data", "degradation", "steps", "fingerprint") if name in card}
    return _DOCUMENTATION.format(
        **card,
        units=units,
        facts="\n".join(f"- {name}: `{value}`" for name, value in facts.items()),
        msrgan=importlib.metadata.version("msrgan"),
    )


_DOCUMENTATION = """# Super-resolution x{scale}

This network enlarges microscopy images of {channels} channel(s) {scale} times in Y and X. It was trained and exported
by mSRGAN {msrgan}.

A super-resolved image is a **guess** that fits the training images. It is not a measurement. Do not count, measure or
co-localise structures that the coarse image does not show. Do not use the model on a stain, a microscope or a cell type
that it was not trained on.

## Intensities

{units}

## Sizes

Y and X may have any size. An output pixel depends on at most {receptive_radius} input pixels around its own. Tiles that
overlap by that much have no seams.

## Training

{facts}

`degradation` says how sharp images were made coarse for the training.

## Validation

Enlarge coarse images of your own of which you have sharp ones, too, that the training has not seen. Compare with
bicubic interpolation: by PSNR and SSIM, and by what you want to measure in the images. `msrgan evaluate` does so, with
confidence intervals and tests.
"""


def _reason(error: ValueError) -> str:
    """Return the first thing that pydantic says, with its field, on a line."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return textwrap.shorten(str(error), 300)
    first = errors()[0]
    return textwrap.shorten(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", 300)
