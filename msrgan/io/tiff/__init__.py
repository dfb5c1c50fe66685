"""TIFF files: any compression, any axes, read window by window and written band by band."""

from msrgan.io.tiff.reading import MAGIC, decode, read
from msrgan.io.tiff.writing import FORMATS, write

__all__ = ["FORMATS", "MAGIC", "decode", "read", "write"]
