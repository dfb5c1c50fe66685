"""One reading of an image set before training: what is in it, and whether it can be trained on."""

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

from msrgan import io
from msrgan.data.registration import displaced, displacement, is_displaced
from msrgan.data.stream import used_of
from msrgan.messages import few, warn


class Pair(NamedTuple):
    """An acquired pair of images.

    Attributes:
        id: name.
        hr: shape of the HR image.
        lr: shape of the LR image.
        lr_hash: content hash of the LR image.
        shift: how far the content of the LR image lies below and right of that of the HR image, in LR pixels; None
            where the sizes do not fit.
    """

    id: str
    hr: tuple[int, int, int]
    lr: tuple[int, int, int]
    lr_hash: str
    shift: tuple[float, float] | None


class Survey(NamedTuple):
    """What one reading of an image set tells of it.

    Attributes:
        images: the set itself, its cardinality now known; in memory if it fits there.
        ids: names of the images, in order.
        channels: channels of the set: 3 where grey and colour images are mixed.
        smallest: (height, width, name) of the image with the shortest side.
        nbytes: size of all decoded images.
        hashes: content hash of each image (see `io.content_hash`).
        pairs: of a set of acquired pairs, each of them.
    """

    images: tf.data.Dataset
    ids: list[str]
    channels: int
    smallest: tuple[int, int, str]
    nbytes: int
    hashes: list[str]
    pairs: list[Pair] = []

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all the content hashes: the same images give the same one, in any order."""
        hashes = self.hashes + [pair.lr_hash for pair in self.pairs]
        return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def survey(images: tf.data.Dataset, *, cache_bytes: int = 0) -> Survey:
    """Read a set once: count, channels, sizes and content hashes.

    Args:
        images: finite dataset of {"id", "image", ...}, image (H, W, C) of any integer or float type; of acquired
            pairs also "lr".
        cache_bytes: the decoded images are kept in memory if all of them take no more, so that no file is decoded
            again; 0 or less keeps none.

    Returns:
        The survey; its `images` yield "id", "image", "lr" and "label", as far as the set has them.

    Raises:
        ValueError: if the set is empty, or if channel counts are mixed otherwise than grey with three-channel
            colour.
    """
    used = images.map(used_of)
    kept, ids, hashes, channels, sizes, nbytes, pairs = deque(), [], [], {}, [], 0, []
    for example in used.as_numpy_iterator():
        name, image = example["id"].decode(), example["image"]
        ids.append(name)
        hashes.append(io.content_hash(image))
        channels.setdefault(image.shape[-1], name)
        sizes.append((*image.shape[:2], name))
        nbytes += image.nbytes
        if "lr" in example:
            lr = example["lr"]
            nbytes += lr.nbytes
            pairs.append(Pair(name, image.shape, lr.shape, io.content_hash(lr), displacement(image, lr)))
        if nbytes <= cache_bytes:
            kept.append(example)
        else:
            kept.clear()
    if not ids:
        raise ValueError("The image set has no readable image. Check the folder or the split.")
    if kept:
        used = _in_memory(kept, used.element_spec)
    counted = used.apply(tf.data.experimental.assert_cardinality(len(ids)))
    return Survey(counted, ids, _common(channels), min(sizes, key=lambda s: min(s[:2])), nbytes, hashes, pairs)


def _in_memory(examples: deque, spec: dict[str, tf.TensorSpec]) -> tf.data.Dataset:
    """Hand examples over to tf.data, which keeps them; they are taken out one by one, so that none is held twice.

    Not by `Dataset.from_generator`: it has the process give every freed block of 128 kB or more back to the system, and
    each step then asks for all its memory again (1.36 s in place of .83 for a step of stage 1).
    """

    def next_values(_):
        example = examples.popleft()
        return [example[key] for key in spec]

    def hand_over(k):
        values = tf.numpy_function(next_values, [k], [value.dtype for value in spec.values()])
        return {key: tf.ensure_shape(value, spec[key].shape) for key, value in zip(spec, values, strict=True)}

    dataset = tf.data.Dataset.range(len(examples)).map(hand_over).cache()
    for _ in dataset:  # a complete reading fills the cache, which all datasets made of this one share
        pass
    return dataset


def common_channels(*parts: Survey) -> int:
    """Return the channels of several parts of a set; errors as for `survey`."""
    return _common({part.channels: part.ids[0] for part in parts})


def _common(channels):
    """Return the channels that images with these are used with; `channels` maps a number to an example's name."""
    if len(channels) > 1 and set(channels) != {1, 3}:
        examples = ", ".join(f"{name} has {count}" for count, name in channels.items())
        raise ValueError(f"Images of one set need the same number of channels. Received: {examples}. Separate them.")
    return max(channels)


def check_patch(surveyed: Survey, patch_size: int) -> None:
    """Raise ValueError if an image of the set is smaller than a patch."""
    height, width, name = surveyed.smallest
    if min(height, width) < patch_size:
        raise ValueError(
            f"Every image must hold a patch of {patch_size}x{patch_size} pixels. Received: {name} of "
            f"{height}x{width}. Remove it or use a `patch_size` of {min(height, width)} or less."
        )


def check_pairs(parts: Iterable[Survey], scale: int) -> None:
    """Check acquired pairs: sizes, channels, and whether they show the same field.

    Every pair of a wrong size, and every pair that is displaced by more than half an LR pixel in either direction, is
    named in a warning.

    Args:
        parts: surveys of the splits of a set; a pair that is in several counts once.
        scale: enlargement.

    Raises:
        ValueError: naming the first few pairs whose LR image is not exactly 1/scale of the HR image, or has other
            channels, and the number of them.
    """
    pairs = list({pair.id: pair for part in parts for pair in part.pairs}.values())
    wrong = [pair for pair in pairs if pair.hr != (pair.lr[0] * scale, pair.lr[1] * scale, pair.lr[2])]
    if wrong:
        shapes = [f"{p.id} ({'x'.join(map(str, p.lr))} of {'x'.join(map(str, p.hr))})" for p in wrong]
        for shape in shapes:
            warn(f"the LR image is not 1/{scale} of the HR image: {shape}")
        raise ValueError(
            f"An LR image has exactly 1/{scale} of the sides of its HR image, and its channels. Received: {len(wrong)} "
            f"of {len(pairs)} pairs that have not: {few(shapes)}. Use their `scale`, or crop them."
        )
    for pair in pairs:
        if is_displaced(pair.shift):
            warn(displaced(pair.id, pair.shift))


def identity(training: Survey, held_out: Survey) -> dict[str, int | str]:
    """Return what tells whether a run is continued on the images it was started with."""
    return {
        "images": len(training.ids),
        "validation_images": len(held_out.ids),
        "fingerprint": training.fingerprint,
    }


def shuffle_window(surveyed: Survey, cache_bytes: int) -> int | None:
    """Return the `window` of `data.stream.Part`: None (all images are kept in memory) if they fit there."""
    if surveyed.nbytes <= cache_bytes:
        return None
    return max(1, len(surveyed.ids) * cache_bytes // surveyed.nbytes)
