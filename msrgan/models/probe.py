"""What a network itself can tell of its card: size, channels and reach of its result."""

from pathlib import Path

import numpy as np

from msrgan.models.upscaler import Upscaler

_MARGIN = 8
# Of the largest output: far below a grey level of 16 bits, and above what a convolution by transforms smears.
_TOLERANCE = 1e-5


def probe(model: Upscaler, path: Path) -> None:
    """Enlarge two small images that differ only beyond the radius of a model, and see that it is as its card says.

    The images are long in one direction, so that the probe stays small for networks that look far:

        margin      radius      1      radius      margin
        differs  |  equal    | pixel | equal    |  differs        1 pixel wide

    Args:
        model: made with its card.
        path: its folder, for messages.

    Raises:
        ValueError: the size or the channels of the result are others than the card says, a pixel is not finite, or
            the result at the middle pixel changes.
    """
    rng = np.random.default_rng(0)
    middle = model.radius + _MARGIN
    image = rng.random((2, 2 * middle + 1, 1, model.channels), np.float32)
    image[1, _MARGIN:-_MARGIN] = image[0, _MARGIN:-_MARGIN]
    for batch, axis in ((image, 1), (np.swapaxes(image, 1, 2), 2)):
        enlarged = _enlarged(model, batch, path)
        pixel = np.take(enlarged, range(middle * model.scale, (middle + 1) * model.scale), axis=axis)
        if np.abs(pixel[0] - pixel[1]).max() > _TOLERANCE * np.abs(enlarged).max():
            raise ValueError(
                f"{path}: its network looks farther than receptive_radius {model.radius}, which would leave seams "
                "between tiles. Export it again"
            )


def _enlarged(model, batch, path):
    try:
        enlarged = model(batch)
    except Exception as error:  # whatever operations a damaged file names
        raise ValueError(
            f"{path} is a damaged model (it fails on an image: {type(error).__name__}). Export it again"
        ) from error
    count, height, width, channels = batch.shape
    expected = (count, height * model.scale, width * model.scale, channels)
    if enlarged.shape != expected:
        raise ValueError(
            f"{path}: scale {model.scale} and channels {channels} make {expected} of an image {batch.shape}. "
            f"Received: {enlarged.shape}. Export the model again"
        )
    if not np.isfinite(enlarged).all():
        raise ValueError(f"{path} gives NaN or infinite pixels. Its training diverged, or its file is damaged")
    return enlarged
