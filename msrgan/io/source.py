"""What may be wrong with an image file."""


class UnreadableImageError(ValueError):
    """A file that no image comes out of: damaged, truncated, a stack, NaN pixels; a set can be used without it."""


def reason(error: Exception) -> str:
    """Say on one line why a file cannot be decoded; only a ValueError is worded for people."""
    if isinstance(error, MemoryError):
        return "its pixels do not fit into memory"
    return " ".join(str(error).split()) if isinstance(error, ValueError) else "damaged or truncated"


def check_size(shape: tuple[int, ...], max_pixels: int | None, name: object) -> None:
    """Check what a header claims, before anything of that size is allocated.

    Args:
        shape: of the pixels without their samples: rows, columns and planes.
        max_pixels: the most that are welcome; None for no limit.
        name: of the file, for the messages.

    Raises:
        UnreadableImageError: the file claims more, or none.
    """
    claimed = 1
    for size in shape:
        claimed *= int(size)
    if claimed <= 0:
        raise UnreadableImageError(f"{name}: holds no pixels")
    if max_pixels is not None and claimed > max_pixels:
        sizes = " x ".join(map(str, shape))
        raise UnreadableImageError(
            f"{name}: an image has at most `max_pixels` pixels, {max_pixels}. Received: {sizes}, as its header claims. "
            "Raise `max_pixels` if you trust the file"
        )


def check_level(level: int, count: int, name: object) -> None:
    """Check the number of a level of a pyramid.

    Raises:
        ValueError: a file of `count` levels has no such one.
    """
    if not 0 <= level < count:
        rule = f"`level` is 0 to {count - 1}" if count > 1 else "`level` is 0 where there is no pyramid"
        raise ValueError(f"{rule}. Received: {level} for {name}. Leave it out for the finest")
