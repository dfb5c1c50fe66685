"""Images <-> files.

`formats.read` and `formats.write` (`msrgan.read` and `msrgan.write`) take any file and all that it knows, as an
`image.Image`. Training and evaluation take pixels alone, an array (H, W, C) of uint8, uint16 or float32, colours in the
order RGB: `read_pixels` and `write_pixels`.
"""

from msrgan.io.listing import list_images, survey_folder
from msrgan.io.pixels import content_hash, decode, read_pixels, write_pixels
from msrgan.io.source import UnreadableImageError

__all__ = [
    "UnreadableImageError",
    "content_hash",
    "decode",
    "list_images",
    "read_pixels",
    "survey_folder",
    "write_pixels",
]
