"""The registered sets: their names, configurations and options, and their prepared copies."""

import importlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msrgan import messages, options_text

if TYPE_CHECKING:
    from msrgan.datasets.builder import Builder

# TensorFlow takes as long as all else to import: a builder is imported when it is used.
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


def is_registered(data: str | os.PathLike) -> bool:
    """Tell whether `data` is the name of a registered set; a folder of that name needs a path with a slash."""
    return str(data).split("/")[0].split(":")[0] in BUILDERS


def builder_class(name: str) -> type["Builder"]:
    """Import the builder of a registered set."""
    module, attribute = BUILDERS[name]
    return getattr(importlib.import_module(module), attribute)


def described(data: str) -> "Builder":
    """Return the builder of a registered set as its code describes it, whatever is prepared; errors as for `load`."""
    return _maker(data, os.devnull)()  # where no copy can be


def options_of(data: str) -> dict[str, Any]:
    """Return the options of a registered set, completed by the defaults of its builder; errors as for `load`."""
    name, given = options_text.parse(data)
    name = name.partition("/")[0]
    options = options_text.resolve(given, builder_class(name).OPTIONS, of=name)
    for key, value in options.items():
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(f"{name}:{key} lies between {-LARGEST} and {LARGEST}. Received: {value}.")
    return options


def canonical(data: str | os.PathLike) -> str:
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
    defaults = builder_class(name.partition("/")[0]).OPTIONS
    options = options_of(data)
    differing = {key: value for key, value in options.items() if value != defaults[key] and key != "beam"}
    return options_text.render(name, differing)


def prepared(data: str, *, manual_dir: Any = None, data_dir: Any = None, chief: bool = True) -> "Builder":
    """Return the builder of a registered set with a prepared copy, which is made if there is none.

    Args:
        data: its name, with configuration and options.
        manual_dir: folder of its raw files.
        data_dir: folder of prepared copies; default `~/tensorflow_datasets`.
        chief: whether this process prepares it; others wait for it.

    Raises:
        FileNotFoundError: raw files are missing.
        ValueError: the name is wrong, the raw files do not fit the set, or the copy is damaged.
    """
    make = _maker(data, data_dir)
    builder = make()
    if not chief:
        return builder if builder.is_prepared() else _await(make, builder)
    if not builder.is_prepared():
        _prepare(builder, manual_dir)
    elif manual_dir:
        messages.say(f"{builder.name}: using the prepared copy {builder.data_path}; its raw files are not read again")
    return builder


def _maker(data: str, data_dir: Any) -> Callable[[], "Builder"]:
    """Return a function that makes the builder of a registered set."""
    name, _, config = options_text.parse(data)[0].partition("/")
    configs = [known.name for known in builder_class(name).BUILDER_CONFIGS]
    if config and config not in configs:
        raise ValueError(f"A configuration of {name} is one of {', '.join(configs)}. Received: {data}.")
    return partial(builder_class(name), config=config or None, data_dir=data_dir, **options_of(data))


def _prepare(builder, manual_dir):
    import tensorflow_datasets as tfds

    raw = Path(manual_dir) if manual_dir else None
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not (raw and raw.is_dir() and any(raw.iterdir())):
        raise FileNotFoundError(
            f"{builder.name} is not prepared yet: `manual_dir` must name the folder of its raw files. "
            f"Received: {manual_dir}. {' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
        )
    # Raw files are the user's own: nothing is looked for on the network.
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    )


def _await(make, builder):
    messages.say(f"waiting for the chief to prepare {builder.name} in {builder.data_path}")
    while not builder.is_prepared():
        time.sleep(1)
    return make()  # what a builder knows of its splits it reads once, when it is made
