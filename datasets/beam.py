"""Making the examples of a large set one after the other, or through Apache Beam.

TFDS writes the same prepared set from both, in the same order. One after the other needs little memory and no further
package; Beam is for a cluster, whose runner is named in `tfds.download.DownloadConfig`. Where none is named it runs in
this process and in its memory.
"""

import dataclasses
import uuid
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils


class WithBeam:
    """Mixin of TFDS builders with the option `beam`, "on" or "off", which `_beam` tells as a bool."""

    def __init__(self, *, beam: str = "off", **kwargs):
        self._beam = is_on(beam)
        super().__init__(**kwargs)

    def download_and_prepare(self, *, download_config=None, **kwargs):
        """Prepare the set as TFDS does; with `beam="on"` in this process unless the configuration names a runner."""
        if self._beam:
            download_config = in_process(download_config)
        super().download_and_prepare(download_config=download_config, **kwargs)


def is_on(option: str) -> bool:
    """Read the option `beam` of a data set, "on" or "off"; a ValueError for anything else."""
    if option not in ("on", "off"):
        raise ValueError(f"The option beam is on or off. Received: {option}.")
    return option == "on"


def examples(
    records: Sequence[Any], make: Callable[[Any], Iterable[tuple[str, dict[str, Any]]]], *, beam: bool = False
):
    """Make the examples of a split, to be returned by `_generate_examples`.

    Args:
        records: what they are made of: file names, labels. Beam pickles them.
        make: record -> its (key, example) pairs; none where it is skipped. Beam pickles it with all that it is bound
            to (not the builder, then). In this process the function itself is called; elsewhere a copy, and what that
            counts does not come back.
        beam: make them through Beam.

    Returns:
        A generator of the pairs, or a `beam.PTransform` that makes them.

    Raises:
        ValueError: Beam is wanted and not installed.
    """
    if beam:
        apache_beam = _apache_beam()
        records = list(records)
        return apache_beam.Create(records) | apache_beam.FlatMap(_Followed(make, len(records)))
    return (example for record in records for example in make(record))


def in_process(config: tfds.download.DownloadConfig | None) -> tfds.download.DownloadConfig:
    """Complete a configuration that names no runner by one that runs in this process.

    Beam's own defaults would first look on the network for a program that runs it, and read the command line of this
    one for its options. Raises ValueError where Beam is not installed.
    """
    _apache_beam()
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    config = config or tfds.download.DownloadConfig()
    if config.beam_runner or config.beam_options:
        return config
    return dataclasses.replace(config, beam_runner=FnApiRunner(), beam_options=PipelineOptions([]))


class _Followed:
    """What makes examples, with a bar of the records done; unpickled in this process it is the same object again."""

    _here = weakref.WeakValueDictionary()

    def __init__(self, make, total):
        self._make, self._total, self._bar, self._key = make, total, None, uuid.uuid4().hex
        self._here[self._key] = self

    def __call__(self, record):
        if self._bar is None:  # one split after the other
            self._bar = tqdm_utils.tqdm(total=self._total, desc="Preparing", unit=" sources", leave=False)
        yield from self._make(record)
        self._bar.update()
        if self._bar.n == self._total:
            self._bar.close()

    def __reduce__(self):
        return _here_or_copied, (self._key, self._make)


def _here_or_copied(key, make):
    return _Followed._here.get(key, make)


def _apache_beam():
    try:
        import apache_beam
    except ImportError:
        raise ValueError("beam=on needs Apache Beam. Install it: pip install 'msrgan[beam]'.") from None
    return apache_beam
