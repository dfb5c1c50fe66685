"""Where a run computes: one device, several GPUs, several workers."""

import contextlib
import json
import os
import re
from collections.abc import Iterator

import tensorflow as tf

from msrgan.messages import say

# What collectives end with when another worker does not answer.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.CancelledError,
    tf.errors.AbortedError,
)
_RULE = (
    'TF_CONFIG must be JSON as {"cluster": {"worker": ["host:port", "host:port"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def strategy() -> tf.distribute.Strategy:
    """Choose by environment: TF_CONFIG -> several workers, several GPUs -> mirrored, else the default.

    To be called before any other TensorFlow operation: workers connect here.

    Raises:
        ValueError: TF_CONFIG is malformed.
        ConnectionError: the workers cannot connect.
    """
    _task()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if "TF_CONFIG" in os.environ:
        with _told_of_lost_workers():
            return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Tell whether this process writes the run: it is alone, or worker 0 (or the chief) of its cluster.

    Raises:
        ValueError: TF_CONFIG is malformed.
    """
    cluster, kind, index = _task()
    return kind == ("chief" if "chief" in cluster else "worker") and index == 0


def use_xla(jit: str, replicas: int) -> bool:
    """Tell whether the steps are compiled with XLA, which compiles for one replica.

    Args:
        jit: "on", "off" or "auto": on one GPU; not on a CPU, where it makes these steps slower.
        replicas: of the strategy. A compiled step reaches neither variables nor collectives of other replicas.

    Raises:
        ValueError: "on" for several replicas.
    """
    if replicas > 1 and jit == "on":
        raise ValueError(f"`jit` is for one replica. Received: on, for {replicas} replicas. Use auto or off.")
    gpu = bool(tf.config.list_physical_devices("GPU"))
    if replicas > 1 and jit == "auto" and gpu:
        say(f"The steps are not compiled with XLA, which is for one GPU; there are {replicas}.")
    return jit == "on" or (jit == "auto" and gpu and replicas == 1)


def steps_per_call() -> int:
    """Return the number of steps after which Python waits for the device: 20 with a GPU, else 1.

    A GPU idles while Python reads numbers and starts the next step. On a CPU, steps take seconds, and Ctrl-C waits for
    the end of a call.
    """
    return 20 if tf.config.list_physical_devices("GPU") else 1


@contextlib.contextmanager
def lost_worker(distribution: tf.distribute.Strategy) -> Iterator[None]:
    """Tell in one line, as a ConnectionError, that another worker of a cluster no longer answers."""
    if not isinstance(distribution, tf.distribute.MultiWorkerMirroredStrategy):
        yield
        return
    with _told_of_lost_workers():
        yield


@contextlib.contextmanager
def _told_of_lost_workers():
    try:
        yield
    except _LOST as error:
        raise ConnectionError(
            f"Another worker is lost ({type(error).__name__.removesuffix('Error')}). End what is left of them, and "
            "start all workers again: they go on from the last checkpoint."
        ) from error


def _task():
    """Return the cluster of TF_CONFIG and this process's type and index in it; worker 0 of none by default."""
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {"type": "worker", "index": 0})
        kind, index = task["type"], task["index"]
        hosts = cluster.get(kind, ())
        addresses = [address for job in cluster.values() for address in job]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{_RULE}. Received: {text!r}.") from None
    wrong = [address for address in addresses if not _is_address(address)]
    if wrong:
        raise ValueError(f"{_RULE}, with a port from 1 to 65535. Received the address: {wrong[0]!r}.")
    if type(index) is not int or index < 0 or (cluster and ("task" not in config or index >= len(hosts))):
        raise ValueError(f"{_RULE}; the task must be one of the cluster's. Received: {text!r}.")
    return cluster, kind, index


def _is_address(address):
    match = re.fullmatch(r"\S+:(\d{1,5})", address) if isinstance(address, str) else None
    return bool(match) and 0 < int(match[1]) < 2**16
