"""Writing of TIFF files."""

from msrgan.io.tiff_writing.writing import FORMATS, write

__all__ = ["FORMATS", "write"]
