"""Making the examples of a large set one after the other, or through Apache Beam.

TFDS writes the same prepared set from both, in the same order. One after the other needs little memory and no further
package; Beam is for a cluster, whose runner is named in `tfds.download.DownloadConfig`. Where none is named it runs in
this process and in its memory.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds

from msrgan.datasets.records import Record

Example = tuple[str, dict[str, Any]]
_COUNTER = "skipped"


def is_on(option: str) -> bool:
    """Read the option `beam` of a data set, "on" or "off"; a ValueError for anything else."""
    if option not in ("on", "off"):
        raise ValueError(f"The option beam is on or off. Received: {option}.")
    return option == "on"


def examples(
    records: Sequence[Record],
    read: Callable[[Record], Iterable[Example]],
    *,
    skip: Callable[[str], object],
    beam: bool = False,
) -> Any:
    """Make the examples of a split, to be returned by `_generate_examples`.

    Args:
        records: what they are made of.
        read: record -> its (key, example) pairs; a ValueError skips what is left of the record. Beam pickles it with
            all that it is bound to (not the builder, then).
        skip: told of what is skipped, and why. Through Beam a copy of it is: `skipped` counts.
        beam: make them through Beam.

    Returns:
        A generator of the pairs, or a `beam.PTransform` that makes them.

    Raises:
        ValueError: Beam is wanted and not installed.
    """
    if beam:
        apache_beam = _apache_beam()
        return apache_beam.Create(list(records)) | apache_beam.FlatMap(_counted, read=read, skip=skip)
    return (example for record in records for example in _made(record, read, skip))


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


def skipped(result: Any) -> int:
    """Return how many records a pipeline skipped, from the result of its run, wherever it ran."""
    from apache_beam.metrics import MetricsFilter

    counters = result.metrics().query(MetricsFilter().with_name(_COUNTER))["counters"]
    return sum(counter.result for counter in counters)


def _made(record: Record, read: Callable, skip: Callable) -> Iterator[Example]:
    try:
        yield from read(record)
    except ValueError as error:
        skip(f"{record.id}: {error}")


def _counted(record: Record, read: Callable, skip: Callable) -> Iterator[Example]:
    from apache_beam.metrics import Metrics

    def skip_and_count(reason):
        Metrics.counter("msrgan", _COUNTER).inc()
        skip(reason)

    return _made(record, read, skip_and_count)


def _apache_beam():
    try:
        import apache_beam
    except ImportError:
        raise ValueError("beam=on needs Apache Beam. Install it: pip install 'msrgan[beam]'.") from None
    return apache_beam
