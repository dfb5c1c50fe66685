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
_ROWS = 16


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
    """Return the name of the model that ships for an image; RGB with three equal samples counts as grey.

    Args:
        image: whatever its size; some of its rows are read where it is RGB.
        scale: enlargement.

    Raises:
        ValueError: none suits it.
    """
    rows = some_rows(image) if image.is_rgb else None
    if rows is not None and (rows != rows[:, :1]).any():
        if scale != 4:
            raise ValueError(f"no model that ships enlarges RGB images {scale} times. Name another by `model`")
        if is_dark(rows):
            raise ValueError(
                "this RGB image is dark where nothing is: it looks like fluorescence in false colours, not like "
                "stained tissue. Choose tissue by `model`, or enlarge its channels as they were acquired"
            )
        return "tissue"
    names = {4: "fluorescence", 2: "fluorescence-x2"}
    if scale not in names:
        raise ValueError(f"no model that ships enlarges {scale} times, but 4 and 2. Name another by `model`")
    return names[scale]


def some_rows(image: Image) -> np.ndarray:
    """Return the pixels (n, 3) of some rows of the first plane of an RGB image, whatever its height."""
    tops = np.unique(np.linspace(0, image.sizes["Y"] - 1, _ROWS).astype(int))
    return np.concatenate([image.read(image.indices()[0], slice(top, top + 1))[0] for top in tops])


def is_dark(rgb: np.ndarray) -> bool:
    """Tell whether pixels (n, 3) of an image are those of a dark background with something bright on it."""
    intensity = rgb.mean(axis=-1, dtype=np.float64)
    return bool(np.median(intensity) < BRIGHT * np.percentile(intensity, 99))


def warn_of_size(image: Image, model: Upscaler) -> None:
    """Warn where the pixels of an image are far smaller or larger than those that a model that ships learnt from."""
    sizes = model.metadata.get("pixel_size_um")
    size = image.pixel_size.x
    if sizes and size and not sizes[0] / FAR <= size <= sizes[1] * FAR:
        warn(
            f"{image.source}: its pixels of {size:.3g} µm are far from those of the training, {sizes[0]:g} to "
            f"{sizes[1]:g} µm: expect little"
        )
