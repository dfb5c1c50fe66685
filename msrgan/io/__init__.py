"""Images <-> files: an image is a numpy array (H, W, C), uint8, uint16 or float32, colours in the order RGB."""

from msrgan.io.listing import list_images
from msrgan.io.raster import SUFFIXES, UnreadableImageError, content_hash, decode, read, write
from msrgan.io.tiff import read_pixel_size

__all__ = [
    "SUFFIXES",
    "UnreadableImageError",
    "content_hash",
    "decode",
    "list_images",
    "read",
    "read_pixel_size",
    "write",
]
