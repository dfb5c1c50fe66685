"""Which of the models that ship an image is enlarged by, where none was named."""

from collections.abc import Callable

import numpy as np

from msrgan.io.image import Image
from msrgan.messages import say, warn
from msrgan.models import Upscaler, load
from msrgan.zoo import card

# The median intensity of an RGB image over its 99th percentile. 391 images of slides and smears had .64 or more, 62 of
# fluorescence in false colours .45 or less, most of them 0.
BRIGHT = 0.55
# How far a pixel may be from those that the model learnt from.
FAR = 2.0
_LINES = 16


class Suited:
    """Chooses a model for each image, loads it once, and says which.

    Args:
        scale: enlargement wanted, 4 unless given.
        load: name -> model.
    """

    def __init__(self, scale: int | None = None, load: Callable[[str], Upscaler] = load):
        self._scale, self._load = scale or 4, load
        self._models: dict[str, Upscaler] = {}

    def __call__(self, image: Image) -> Upscaler:
        """Return the model for an image.

        Raises:
            ValueError: no model that ships suits it.
        """
        name = suited(image, self._scale)
        if name not in self._models:
            self._models[name] = self._load(name)
            say(
                f"model {name}, chosen by the kind of image ({card(name)['purpose']}). It learnt from other images "
                f"than yours: the result is a guess. `msrgan models` lists others; `train_srgan.py --init {name}` "
                "trains one on yours"
            )
        return self._models[name]


def suited(image: Image, scale: int = 4) -> str:
    """Return the name of the model that ships for an image.

    Args:
        image: whatever its size; some of its rows are read where it is RGB.
        scale: enlargement.

    Raises:
        ValueError: none suits it.
    """
    if image.is_rgb:
        if scale != 4:
            raise ValueError(f"no model that ships enlarges RGB images {scale} times. Name another by `model`")
        if is_dark(image):
            raise ValueError(
                "this RGB image is dark where nothing is: it looks like fluorescence in false colours, not like "
                "stained tissue. Choose tissue by `model`, or enlarge its channels as they were acquired"
            )
        return "tissue"
    names = {4: "fluorescence", 2: "fluorescence-x2"}
    if scale not in names:
        raise ValueError(f"no model that ships enlarges {scale} times, but 4 and 2. Name another by `model`")
    return names[scale]


def is_dark(image: Image) -> bool:
    """Tell whether an RGB image has a dark background: what is seen in some rows of its first plane."""
    height = image.sizes["Y"]
    index = image.indices()[0]
    tops = np.unique(np.linspace(0, height - 1, _LINES).astype(int))
    rows = np.concatenate([image.read(index, slice(top, top + 1))[0] for top in tops])
    intensity = rows.astype(np.float64).mean(axis=-1)
    brightest = np.percentile(intensity, 99)
    return bool(np.median(intensity) < BRIGHT * brightest)


def warn_of_size(image: Image, model: Upscaler) -> None:
    """Warn where the pixels of an image are far smaller or larger than those that a model that ships learnt from."""
    sizes = model.metadata.get("pixel_size_um")
    size = image.pixel_size.x
    if sizes and size and not sizes[0] / FAR <= size <= sizes[1] * FAR:
        warn(
            f"{image.source}: its pixels of {size:.3g} µm are far from those of the training, {sizes[0]:g} to "
            f"{sizes[1]:g} µm: expect little"
        )
