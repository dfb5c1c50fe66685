"""Image sets: registered TFDS builders, and plain folders.

Every set yields {"id", "image"} plus optional "label", "mask", "group", "lr". "image" is the high-resolution image
(H, W, C) with the channels and the bit depth of its file; "group" is what a split never cuts; "lr" is the acquired
low-resolution image of the same field.
"""

import importlib
import os
import time
from functools import partial
from pathlib import Path

from msrgan import options_text

BUILDERS = {
    "brain_tumor": ("msrgan.datasets.brain_tumor.builder", "BrainTumor"),
    "cyto2017": ("msrgan.datasets.cyto2017.builder", "Cyto2017"),
    "hpa": ("msrgan.datasets.hpa.builder", "Hpa"),
    "oct": ("msrgan.datasets.oct.builder", "Oct"),
    "simulated": ("msrgan.datasets.simulated.builder", "Simulated"),
    "tissue": ("msrgan.datasets.tissue.builder", "Tissue"),
}
# Of whole numbers among the options: TensorFlow's int32.
LARGEST = 2**31 - 1


def load(data, split, *, manual_dir=None, data_dir=None, labels=False, chief=True):
    """Open a split of an image set; a registered set is prepared first if it is not.

    Args:
        data: registered name, with a configuration ("cyto2017/16bit") and options ("tissue:tile=256,stride=128",
            the builder's `OPTIONS`) if it has them; or a folder.
        split: "train", "validation", "test" or "all".
        manual_dir: folder of the raw files of a registered set.
        data_dir: folder of its prepared copy; default `~/tensorflow_datasets`.
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
        import tensorflow_datasets as tfds

        builder = _prepared(data, manual_dir, data_dir, chief)
        if labels and "label" not in builder.info.features:
            raise ValueError(f"{data} has no labels. Use a labelled set, or a folder with one folder a class.")
        # One file after the other, so that the order is always the same.
        order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        return builder.as_dataset(split=split, shuffle_files=False, read_config=order)

    from msrgan.datasets import folder, pairs

    kind = pairs if pairs.is_paired(_folder(data)) else folder
    return kind.load(_folder(data), split, labels=labels)


def class_names(data, *, manual_dir=None, data_dir=None, chief=True):
    """Return the class names of a labelled set, in the order of its labels; errors as for `load`."""
    if is_registered(data):
        features = described(data).info.features
        if "label" not in features:
            raise ValueError(f"{data} has no labels. Use a labelled set, or a folder with one folder a class.")
        label = features["label"]
        return tuple(getattr(label, "feature", label).names)  # of several labels an image, the feature of each

    from msrgan.datasets import folder

    return folder.class_names(_folder(data))


def is_registered(data):
    """Tell whether `data` is the name of a registered set; a folder of that name needs a path with a slash."""
    return str(data).split("/")[0].split(":")[0] in BUILDERS


def builder_class(name):
    """Import the builder of a registered set."""
    module, attribute = BUILDERS[name]
    return getattr(importlib.import_module(module), attribute)


def described(data):
    """Return the builder of a registered set as its code describes it, whatever is prepared; errors as for `load`."""
    return _maker(data, os.devnull)()  # where no copy can be


def options_of(data):
    """Return the options of a registered set, completed by the defaults of its builder; errors as for `load`."""
    name, given = options_text.parse(data)
    name = name.partition("/")[0]
    options = options_text.resolve(given, getattr(builder_class(name), "OPTIONS", {}), of=name)
    for key, value in options.items():
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(f"{name}:{key} lies between {-LARGEST} and {LARGEST}. Received: {value}.")
    return options


def canonical(data):
    """Write the name of an image set in the one way that all names of the same examples share.

    Args:
        data: as for `load`.

    Returns:
        Of a registered set the name and configuration as given, and the options that differ from their defaults, in
        the builder's order, without `beam`: it changes how a set is prepared, not what is read. A folder as it is.

    Raises:
        ValueError: if the set has no such option, or it is of another kind.
    """
    if not is_registered(data):
        return str(data)
    name, _ = options_text.parse(data)
    defaults = getattr(builder_class(name.partition("/")[0]), "OPTIONS", {})
    options = options_of(data)
    differing = {key: value for key, value in options.items() if value != defaults[key] and key != "beam"}
    return options_text.render(name, differing)


def _folder(data):
    path = Path(data)
    if not path.is_dir():
        raise FileNotFoundError(
            f"--data must be a folder of images or one of {', '.join(sorted(BUILDERS))}. Received: {data}."
        )
    return path


def _maker(data, data_dir):
    """Return a function that makes the builder of a registered set."""
    name, _, config = options_text.parse(data)[0].partition("/")
    configs = [known.name for known in builder_class(name).BUILDER_CONFIGS]
    if config and config not in configs:
        raise ValueError(f"A configuration of {name} is one of {', '.join(configs)}. Received: {data}.")
    return partial(builder_class(name), config=config or None, data_dir=data_dir, **options_of(data))


def _prepared(data, manual_dir, data_dir, chief):
    import tensorflow_datasets as tfds

    make = _maker(data, data_dir)
    builder = make()
    if chief and builder.is_prepared() and manual_dir:
        print(f"{builder.name}: using the prepared copy {builder.data_path}; --manual-dir is not read")
    if chief and not builder.is_prepared():
        raw = Path(manual_dir) if manual_dir else None
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not (raw and raw.is_dir() and any(raw.iterdir())):
            raise FileNotFoundError(
                f"{builder.name} is not prepared yet: --manual-dir must name the folder of its raw files. "
                f"Received: {manual_dir}. {' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
            )
        # Raw files are the user's own: nothing is looked for on the network.
        options = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
        builder.download_and_prepare(download_config=options)
    if not chief and not builder.is_prepared():
        print(f"waiting for the chief to prepare {builder.name} in {builder.data_path}")
        while not builder.is_prepared():
            time.sleep(1)
        return make()  # what a builder knows of its splits it reads once, when it is made
    return builder
