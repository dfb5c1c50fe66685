"""One image of a study or of a validation: its LR version, made or acquired, and what each method makes of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from msrgan import io
from msrgan.degradation import ACQUIRED, Degradation, content_seed, make
from msrgan.intensity import Limits, Normalization, to_channels
from msrgan.metrics import match_intensity
from msrgan.models import Upscaler, interpolation
from msrgan.upscaling import upscale

BASELINES = ("nearest", "bicubic", "lanczos")
METHODS = ("model", *BASELINES)
_Used = TypeVar("_Used")


class Case(NamedTuple):
    """An image, its LR version, and what each method made of that; 0 and 1 are the ends of the range of the image.

    Attributes:
        hr: (H, W, C), a multiple of the scale a side.
        lr: (H/scale, W/scale, C); an acquired one in units of its own range.
        lr_file: the same as a file holds it, rounded, in the units and the dtype of the image.
        limits: the values of the image that are 0 and 1.
        degradation: what made `lr`; None: it was acquired.
        mask: int (H, W), not zero inside; None without one.
        enlarged: method -> (H, W, C).
        seconds: method -> how long it took, normalisation and tiles included.
    """

    hr: np.ndarray
    lr: np.ndarray
    lr_file: np.ndarray
    limits: Limits
    degradation: Degradation | None
    mask: np.ndarray | None
    enlarged: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}

    def matched(self, sr: np.ndarray) -> np.ndarray:
        """Bring an image made of an acquired LR image to the exposure of the HR image; any other is as it should be."""
        return sr if self.degradation else match_intensity(self.hr, sr)


def make_case(
    example: dict[str, Any],
    *,
    scale: int,
    normalization: Normalization,
    degradation: Degradation | None,
    channels: int | None = None,
) -> Case:
    """Make the case of an image, which no method has enlarged yet.

    The image is cropped at the right and bottom to a multiple of the scale, and degraded in normalised units; a random
    degradation draws from the content of the image.

    Args:
        example: {"image": (H, W, C)}, optionally "mask" (H, W) or (H, W, 1); None, empty or zero throughout where
            there is none; and "lr" (H/scale, W/scale, C), which is used without a degradation only.
        scale: reduction.
        normalization: of the image.
        degradation: makes the LR image; None: "lr" is taken as it was acquired.
        channels: channels wanted, a grey image being repeated; None: as many as the image has.

    Raises:
        ValueError: the mask, the acquired LR image, the degradation or the channels do not fit the image.
    """
    image = example["image"]
    height, width = (size // scale * scale for size in image.shape[:2])

    def shaped(pixels):
        return pixels if channels is None else to_channels(pixels, channels)

    pixels = shaped(image[:height, :width])
    limits = normalization.limits(pixels)
    hr = limits.normalize(pixels)
    if degradation:
        lr = degradation(hr, scale=scale, seed=content_seed(io.content_hash(image))).numpy()
        lr_file = limits.denormalize(lr, pixels.dtype)
        lr = limits.normalize(lr_file)
    else:
        lr_file = shaped(_acquired(example["lr"], image, scale))
        lr = normalization.limits(lr_file).normalize(lr_file)
    mask = _mask(example.get("mask"), image)
    return Case(hr, lr, lr_file, limits, degradation, None if mask is None else mask[:height, :width])


def interpolations(degradation: Degradation | None, scale: int) -> dict[str, Upscaler]:
    """Make the baselines of a study, on the grid of the degradation; None: of acquired images."""
    grid = degradation.grid if degradation else "centre"
    return {name: interpolation(name, scale, grid) for name in BASELINES}


def cases(
    model: Upscaler,
    examples: Iterable[dict[str, Any]],
    use: Callable[[Case], _Used],
    *,
    degradation: str | None,
    skipped: dict[str, str],
    corrections: Mapping[str, bool] | None = None,
) -> Iterator[tuple[dict[str, Any], Case, _Used]]:
    """Enlarge one image after the other by every method, as a user enlarges files.

    An image that cannot be enlarged or used is skipped, and named.

    Args:
        model: from `models.load`. A null model enlarges on the grid of the degradation, like the baselines.
        examples: as `evaluate` takes them.
        use: what is made of each case: its scores, for instance.
        degradation: text for `degradation.make`, used even where an "lr" was acquired; "acquired": the "lr" alone;
            None: the acquired "lr", or else the model's degradation.
        skipped: is filled with the name of each image that cannot be used, and why.
        corrections: `clip` and `consistent` of `upscale`, for the model's results alone.

    Yields:
        The example, its case, and what `use` makes of it.

    Raises:
        ValueError: unknown degradation; an acquired LR image is wanted, and there is none; or no image can be used.
    """
    none = True
    for example in examples:
        chosen = _degradation(example, model, degradation)
        try:
            case = enlarge(example, model, chosen, **corrections or {})
            used = use(case)
        except ValueError as error:
            skipped[example["id"]] = str(error)
            continue
        except (MemoryError, tf.errors.ResourceExhaustedError):
            skipped[example["id"]] = "It does not fit into memory, or its enlargements do not. Use parts of it"
            continue
        none = False
        yield example, case, used
    if none:
        reasons = [f"{name}: {reason}" for name, reason in skipped.items()]
        raise ValueError(f"No image could be scored. {[*reasons, 'There are none that can be read'][0]}")


def enlarge(example: dict[str, Any], model: Upscaler, degradation: Degradation | None, **corrections: bool) -> Case:
    """Make the case of an image, and enlarge it by the model and by interpolation as `msrgan upscale` does a file.

    So each result is rounded to the dtype of the image. A validation scores floats.

    Raises:
        ValueError: the image is too small, or as `make_case` and `upscale`.
    """
    image, scale = example["image"], model.scale
    if min(image.shape[:2]) // scale < 4:
        raise ValueError(f"An image must have {4 * scale} pixels or more a side. Received: {image.shape}")
    case = make_case(example, scale=scale, normalization=model.normalization, degradation=degradation)
    baselines = interpolations(degradation, scale)
    methods = {"model": baselines.get(model.metadata.get("interpolation"), model)} | baselines
    enlarged, seconds = {}, {}
    for name, method in methods.items():
        start = perf_counter()
        sr = upscale(method, case.lr_file, **corrections if name == "model" else {})
        seconds[name] = perf_counter() - start
        enlarged[name] = case.limits.normalize(sr) if degradation else case.matched(sr)
    return case._replace(enlarged=enlarged, seconds=seconds)


def _degradation(example, model, text):
    """Choose how the LR image of an example is made; None: it is taken as it was acquired."""
    if "lr" in example and text in (None, ACQUIRED):
        return None
    chosen = text or model.metadata["degradation"]
    if chosen == ACQUIRED:
        why = "`degradation` asks for" if text else "The model learnt from"
        raise ValueError(
            f"{why} acquired pairs, and {example['id']} has no LR image. Use `degradation` bicubic or another"
        )
    return make(chosen)


def _acquired(lr, image, scale):
    height, width, channels = lr.shape
    if image.shape != (height * scale, width * scale, channels):
        raise ValueError(
            f"An acquired LR image has exactly 1/{scale} of the sides of its HR image, and its channels. "
            f"Received: {lr.shape} of {image.shape}"
        )
    return lr


def _mask(mask, image):
    if mask is None or not mask.any():
        return None
    if mask.shape not in (image.shape[:2], (*image.shape[:2], 1)):
        raise ValueError(f"A mask has the height and width of its image. Received: {mask.shape} of {image.shape}")
    return mask.reshape(image.shape[:2])
