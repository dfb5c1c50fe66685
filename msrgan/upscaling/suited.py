"""Which of the models that ship an image is enlarged by, where none was named."""

from collections.abc import Callable

import numpy as np

from msrgan.io.image import Image
from msrgan.messages import say, warn_once
from msrgan.models import Upscaler, load
from msrgan.zoo import card

# Of some rows of an RGB image, the median intensity over the largest. 391 images of slides and smears had .59 or more,
# 21 of fluorescence in false colours .35 or less, most of them 0.
BRIGHT = 0.47
# What the median is at least in bright field, of 255: 138 or more in those slides. A dim image has a background, too.
BRIGHT_UINT8 = 64
# How many times smaller or larger than those of the training a pixel may be.
FAR = 2.0
_ROWS = 16
_FLUORESCENCE = {4: "fluorescence", 2: "fluorescence-x2"}


class UnusableModelError(Exception):
    """A model that ships cannot be used as it is asked to be: no other image would fare better."""


class Suited:
    """Chooses a model for each image, loads it once, and says which.

    Args:
        scale: enlargement wanted, 4 unless given.
        load: name -> model.

    Raises:
        ValueError: no model that ships has this scale.
    """

    def __init__(self, scale: int | None = None, load: Callable[[str], Upscaler] = load):
        if scale not in (None, *_FLUORESCENCE):
            raise ValueError(
                "models that ship enlarge 4 times, or 2 times what is not RGB. "
                f"Received: `scale` {scale}. Name another by `model`, such as bicubic"
            )
        self._scale, self._load = scale or 4, load
        self._models: dict[str, Upscaler] = {}

    def __call__(self, image: Image) -> Upscaler:
        """Return the model for an image.

        Raises:
            ValueError: no model that ships suits it.
            UnusableModelError: the model that does cannot be loaded, or not be used as it is asked to be.
        """
        name = suited(image, self._scale)
        if name not in self._models:
            try:
                self._models[name] = self._load(name)
            except (ValueError, OSError) as error:
                raise UnusableModelError(str(error)) from error
            why = "the image is RGB" if name == "tissue" else "the image is not RGB"
            say(
                f"model {name}, since {why} (for {card(name)['purpose']}). It learnt from other images than yours: the "
                "result is a guess. `msrgan models` lists others, docs/models.md says how to train one on yours"
            )
        return self._models[name]


def suited(image: Image, scale: int = 4) -> str:
    """Return the name of the model that ships for an image; RGB with three equal samples counts as grey.

    Args:
        image: whatever its size; some of its rows are read, and all where these are grey though it is RGB.
        scale: enlargement, 4 or 2.

    Raises:
        ValueError: none suits it.
    """
    if not _is_slide(image):
        return _FLUORESCENCE[scale]
    if scale != 4:
        raise ValueError(f"the model for RGB images, tissue, enlarges 4 times. Received: `scale` {scale}")
    return "tissue"


def _is_slide(image):
    """Tell whether an image is a stained slide in RGB; refuse what may be one or not."""
    if not image.is_rgb and not is_red_green_blue(image):
        return False
    rows = some_rows(image)
    if not image.is_rgb and not is_dark(rows):
        raise ValueError(
            "the channels of this image are the red, green and blue of a bright image: it looks like a stained slide. "
            "Choose by `model`: tissue for a slide, else fluorescence"
        )
    if not image.is_rgb or is_grey(image, rows):
        return False
    if is_dark(rows):
        raise ValueError(
            "this RGB image has a dark background: it looks like fluorescence in false colours. Choose by `model`: "
            "fluorescence, which enlarges each colour for itself, or tissue if it is a slide"
        )
    return True


def is_red_green_blue(image: Image) -> bool:
    """Tell whether an image has the samples of RGB as channels, uint8, as OME-Zarr keeps them."""
    colours = [channel.colour for channel in image.channels]
    return image.dtype == np.uint8 and colours == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def is_grey(image: Image, rows: np.ndarray) -> bool:
    """Tell whether the three samples of an RGB image are equal everywhere: in some of its rows, then in all."""
    return bool((rows == rows[:, :1]).all()) and all(
        (band.pixels == band.pixels[..., :1]).all() for band in image.bands()
    )


def some_rows(image: Image) -> np.ndarray:
    """Return the pixels (n, 3) of some rows in the middle of a stack of RGB images, or of three channels."""
    indices = image.indices()
    index = indices[len(indices) // 2]
    planes = [index]
    if not image.is_rgb:
        place = image.stack.index("C")
        planes = [(*index[:place], c, *index[place + 1 :]) for c in range(3)]
    tops = np.unique(np.linspace(0, image.sizes["Y"] - 1, _ROWS).astype(int))
    rows = [[image.read(plane, slice(top, top + 1))[0] for plane in planes] for top in tops]
    return np.concatenate([row[0] if image.is_rgb else np.stack(row, axis=-1) for row in rows])


def is_dark(rgb: np.ndarray) -> bool:
    """Tell whether pixels (n, 3) are those of a dark background, or of a dim image."""
    intensity = rgb.mean(axis=-1, dtype=np.float64)
    middle = np.median(intensity)
    return bool(middle < BRIGHT * intensity.max() or (rgb.dtype == np.uint8 and middle < BRIGHT_UINT8))


def warn_of_size(image: Image, model: Upscaler) -> None:
    """Warn, once, where the pixels of an image are far smaller or larger than those that a model learnt from."""
    sizes, size = model.metadata.get("pixel_size_um"), image.pixel_size.x
    if sizes and size and not sizes[0] / FAR <= size <= sizes[1] * FAR:
        warn_once(
            f"pixels of {size:.3g} µm are far from those that the model learnt from, {sizes[0]:g} to {sizes[1]:g} µm: "
            "expect little"
        )
