"""Which engine computes a model: the one that is named, or the fastest; none that does not agree with TensorFlow."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from msrgan.messages import say, warn
from msrgan.models.engines import ENGINES, PRECISIONS, make
from msrgan.models.engines.base import Engine
from msrgan.models.packages import MissingPackageError

# How far from TensorFlow a result may be, of the range [0, 1] of intensities. In bfloat16 a number has 8 bits, so that
# each layer rounds by up to 0.4 %; networks of 35 convolutions differed by 0.5 % where it was measured.
TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2}
# Sides of what engines are compared on: odd, smaller than some kernels, two images at once.
_PROBES = ((1, 3, 7), (2, 24, 17))
_TIMED = 64


def check(engine: str, precision: str) -> None:
    """Raise ValueError where `choose` knows no such engine or precision."""
    if engine not in (*ENGINES, "auto"):
        raise ValueError(f"`engine` is one of {', '.join(ENGINES)}, auto. Received: {engine}")
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` is one of {', '.join(PRECISIONS)}. Received: {precision}")


def choose(engine: str, reference: Engine, path: Path, metadata: dict[str, Any], precision: str) -> Engine:
    """Prepare a model for an engine, and see that it agrees with TensorFlow.

    Args:
        engine: one of `ENGINES`, or "auto": the fastest of those that are installed and agree.
        reference: the model in TensorFlow.
        path: its folder, which was checked.
        metadata: its card, with the fingerprint.
        precision: one of `PRECISIONS`.

    Raises:
        ValueError: the engine is not installed, has not this precision, or does not agree.
        OSError: a conversion cannot be written.
    """
    if engine == "auto":
        return _fastest(reference, path, metadata, precision)
    return _prepared(engine, reference, path, metadata, precision)


def difference(engine: Engine, reference: Engine, channels: int) -> float:
    """Return the largest difference of two engines, of the range of intensities or, where it is wider, of the result.

    Noise over [0, 1] is enlarged. It is not finite where the engine gives NaN.
    """
    rng = np.random.default_rng(0)
    differences = []
    for sides in _PROBES:
        batch = rng.random((*sides, channels), np.float32)
        expected = reference(batch)
        for _ in range(3):  # an engine may compute another network for a shape that comes again
            enlarged = engine(batch)
            if enlarged.shape != expected.shape:
                return np.inf
            differences.append(np.abs(enlarged - expected).max() / max(1, np.abs(expected).max()))
    return float(np.max(differences))


def _prepared(name, reference, path, metadata, precision):
    if (name, precision) == (reference.name, reference.precision):
        return reference
    try:
        engine = make(name, path, metadata, precision)
        worst = difference(engine, reference, metadata["channels"])
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:  # of any kind: each runtime has its own
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ValueError(f"The engine {name} fails on this model ({reason[0]}). Use another engine") from error
    if not worst <= TOLERANCES[precision]:  # NaN is not
        raise ValueError(
            f"The engine {name} in {precision} differs from TensorFlow by {worst:.1e} of the range of intensities, at "
            f"most {TOLERANCES[precision]:.0e} is allowed. Use another engine"
        )
    return engine


def _fastest(reference, path, metadata, precision):
    engines = {}
    for name in ENGINES:
        try:
            engines[name] = _prepared(name, reference, path, metadata, precision)
        except MissingPackageError:
            continue
        except (ValueError, OSError) as error:  # OSError: there is no room for its conversion
            warn(f"engine auto passes over {name}: {error}")
    if not engines:
        raise ValueError(f"No engine that is installed has `precision` {precision} here. Use float32")
    seconds = _seconds(engines, metadata["channels"])
    fastest = min(seconds, key=seconds.get)
    rates = ", ".join(f"{name} {1e3 * t:.0f} ms" for name, t in seconds.items())
    say(f"engine {fastest}, the fastest here for {_TIMED}x{_TIMED} pixels: {rates}")
    return engines[fastest]


def _seconds(engines, channels):
    """Return the shortest time of a few calls of each; they take turns, so that what else runs here hits all alike."""
    batch = np.random.default_rng(0).random((1, _TIMED, _TIMED, channels), np.float32)
    seconds = {name: [] for name in engines}
    for _ in range(6):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine(batch)
            seconds[name].append(time.perf_counter() - start)
    return {name: min(of[1:]) for name, of in seconds.items()}  # the first call prepares
