"""Images <-> files: an image is a numpy array (H, W, C), uint8, uint16 or float32, colours in the order RGB."""

from msrgan.io.listing import list_images, survey_folder
from msrgan.io.raster import SUFFIXES, content_hash, decode, open_image, read_pixels, write
from msrgan.io.raster import read_pixels as read
from msrgan.io.source import Source, UnreadableImageError

__all__ = [
    "SUFFIXES",
    "Source",
    "UnreadableImageError",
    "content_hash",
    "decode",
    "list_images",
    "open_image",
    "read",
    "read_pixels",
    "survey_folder",
    "write",
]
