"""One reading of an image set before training: what is in it, and whether it can be trained on."""

import hashlib
from typing import NamedTuple

import tensorflow as tf

from msrgan import images as files


class Survey(NamedTuple):
    """What one reading of an image set found.

    Attributes:
        images: the set itself, its cardinality now known.
        ids: names of the images, in order.
        channels: channels of the set: 3 where grey and colour images are mixed.
        smallest: (height, width, name) of the image with the shortest side.
        nbytes: size of all decoded images.
        hashes: content hash of each image (see `images.content_hash`).
    """

    images: tf.data.Dataset
    ids: list[str]
    channels: int
    smallest: tuple[int, int, str]
    nbytes: int
    hashes: list[str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all the content hashes: the same images give the same one, in any order."""
        return hashlib.sha256("".join(sorted(self.hashes)).encode()).hexdigest()


def survey(images: tf.data.Dataset) -> Survey:
    """Read a set once: count, channels, sizes and content hashes.

    Args:
        images: finite dataset of {"id", "image", ...}, image (H, W, C) of any integer or float type.

    Raises:
        ValueError: if the set is empty, or if channel counts are mixed otherwise than grey with three-channel
            colour.
    """
    ids, hashes, channels, sizes, nbytes = [], [], {}, [], 0
    for example in images.as_numpy_iterator():
        name, image = example["id"].decode(), example["image"]
        ids.append(name)
        hashes.append(files.content_hash(image))
        channels.setdefault(image.shape[-1], name)
        sizes.append((*image.shape[:2], name))
        nbytes += image.nbytes
    if not ids:
        raise ValueError("The image set has no readable image. Check the folder or the split.")
    known = images.apply(tf.data.experimental.assert_cardinality(len(ids)))
    return Survey(known, ids, _common(channels), min(sizes, key=lambda s: min(s[:2])), nbytes, hashes)


def common_channels(*found: Survey) -> int:
    """Return the channels of several parts of a set; errors as for `survey`."""
    return _common({part.channels: part.ids[0] for part in found})


def _common(channels):
    """Return the channels that images with these are used with; `channels` maps a number to an example's name."""
    if len(channels) > 1 and set(channels) != {1, 3}:
        found = ", ".join(f"{name} has {c}" for c, name in channels.items())
        raise ValueError(f"Images of one set need the same number of channels. Received: {found}. Separate them.")
    return max(channels)


def check_patch(found: Survey, patch: int) -> None:
    """Raise ValueError if an image of the set is smaller than a patch."""
    height, width, name = found.smallest
    if min(height, width) < patch:
        raise ValueError(
            f"Every image must hold a patch of {patch}x{patch} pixels. Received: {name} of {height}x{width}. "
            f"Remove it or use a patch size of {min(height, width)} or less."
        )


def identity(training: Survey, held_out: Survey) -> dict:
    """Return what tells whether a run is continued on the images it was started with."""
    return {
        "images": len(training.ids),
        "validation_images": len(held_out.ids),
        "fingerprint": training.fingerprint,
    }


def shuffle_window(found: Survey, cache_bytes: int) -> int | None:
    """Return the `window` of `pipeline.sr_pairs`: None (all images are kept in memory) if they fit there."""
    return None if found.nbytes <= cache_bytes else max(1, len(found.ids) * cache_bytes // found.nbytes)
