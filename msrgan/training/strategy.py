"""Where a run computes: one device, several GPUs, several workers."""

import json
import os

import tensorflow as tf


def strategy() -> tf.distribute.Strategy:
    """Choose by environment: TF_CONFIG -> several workers, several GPUs -> mirrored, else the default.

    To be called before any other TensorFlow operation: workers connect here.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Tell whether this process writes the run: it is alone, or worker 0 (or the chief) of its cluster."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    task = config.get("task", {"type": "worker", "index": 0})
    first = "chief" if "chief" in config.get("cluster", {}) else "worker"
    return task["type"] == first and task["index"] == 0


def use_xla(jit: str, replicas: int = 1) -> bool:
    """Resolve `auto`: XLA on a GPU; not on a CPU, where it makes these steps slower."""
    return jit == "on" or (jit == "auto" and bool(tf.config.list_physical_devices("GPU")))
