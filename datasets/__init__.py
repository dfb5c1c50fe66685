"""Image sets: registered TFDS builders, and plain folders.

Every set yields {"id", "image"} plus optional "label", "mask", "group", "lr". "image" is the high-resolution image
(H, W, C) with the channels and the bit depth of its file; "mask" is zero outside of what it marks; "group" is what a
split never cuts; "lr" is the acquired low-resolution image of the same field.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msrgan.datasets.registry import BUILDERS, builder_class, canonical, described, is_registered, options_of, prepared

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["BUILDERS", "builder_class", "canonical", "class_names", "described", "is_registered", "load", "options_of"]


def load(
    data: str | os.PathLike,
    split: str,
    *,
    manual_dir: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    axes: str | None = None,
    labels: bool = False,
    chief: bool = True,
) -> "tf.data.Dataset":
    """Open a split of an image set; a registered set is prepared first if it is not.

    Args:
        data: registered name, with a configuration ("cyto2017/16bit") and options ("tissue:tile=256,stride=128",
            the builder's `OPTIONS`) if it has them; or a folder.
        split: "train", "validation", "test" or "all".
        manual_dir: folder of the raw files of a registered set.
        data_dir: folder of its prepared copy; default `~/tensorflow_datasets`.
        axes: what the dimensions of a folder's files are where they do not say so, as for `io.read_pixels`.
        labels: yield "label"; an error if the set has none.
        chief: whether this process prepares a registered set; others wait for it.

    Returns:
        A finite tf.data.Dataset in a fixed order.

    Raises:
        FileNotFoundError: if `data` is neither a registered name nor a folder, or raw files are missing.
        ValueError: if the set has no labels where they are wanted, its files do not fit its layout, or its prepared
            copy is damaged.
    """
    if is_registered(data):
        if axes:
            raise ValueError(
                f"`axes` are told of the files of a folder. Received: {axes} for the set {data}. Leave them out."
            )
        import tensorflow_datasets as tfds

        builder = prepared(str(data), manual_dir=manual_dir, data_dir=data_dir, chief=chief)
        if labels:
            _label(builder)
        # One file after the other, so that the order is always the same.
        order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        return builder.as_dataset(split=split, shuffle_files=False, read_config=order)

    from msrgan.datasets import folder, pairs
    from msrgan.io.axes import check

    path, axes = _folder(data), axes and check(axes)
    return (pairs if pairs.is_paired(path) else folder).load(path, split, axes=axes, labels=labels)


def class_names(
    data: str | os.PathLike,
    *,
    manual_dir: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    chief: bool = True,
) -> tuple[str, ...]:
    """Return the class names of a labelled set, in the order of its labels; arguments and errors as for `load`."""
    if is_registered(data):
        label = _label(described(str(data)))
        return tuple(getattr(label, "feature", label).names)  # of several labels an image, the feature of each

    from msrgan.datasets import folder

    return folder.class_names(_folder(data))


def _label(builder):
    if "label" not in builder.info.features:
        raise ValueError(f"{builder.name} has no labels. Use a labelled set, or a folder with one folder a class.")
    return builder.info.features["label"]


def _folder(data: str | os.PathLike) -> Path:
    path = Path(data)
    if not path.is_dir():
        raise FileNotFoundError(
            f"`data` must be a folder of images or one of {', '.join(sorted(BUILDERS))}. Received: {data}."
        )
    return path
