"""Layers of image processing on maps (channels, H, W) of one image, and which of them are one."""

import dataclasses
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np


@dataclasses.dataclass(eq=False)
class Layer:
    """A layer.

    Attributes:
        kind: "image", "conv", "affine", "prelu", "shuffle", "concat", "slice", "pad", "ones", "minimum", an activation
            or an operation of two maps.
        inputs: the layers that it reads.
        channels: of its result.
        values: what the kind needs, see the functions that make it.
    """

    kind: str
    inputs: list["Layer"]
    channels: int
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


def refuse(received: str) -> NoReturn:
    """Raise ValueError for what no layer computes."""
    raise ValueError(
        "A network in this format consists of convolutions of stride 1, pixel shuffles, concatenations and functions "
        f"of single pixels. Received: {received}. Use another engine or format"
    )


def conv(x: Layer, kernel: np.ndarray, *, pads: tuple, bias: np.ndarray | None = None, dilation: int = 1) -> Layer:
    """Return a convolution of stride 1; pads below 0 drop rows or columns of its result."""
    bias = np.zeros(kernel.shape[3], np.float32) if bias is None else bias
    values = {"kernel": kernel, "bias": bias, "pads": pads, "dilation": dilation, "slope": 1.0}
    return Layer("conv", [x], kernel.shape[3], values)


def shuffle(x: Layer, block: int) -> Layer:
    """Make a "shuffle": channel (p * block + q) * C + c becomes channel c at row p, column q of a block."""
    return Layer("shuffle", [x], x.channels // block**2, {"block": block})


def transposed(x: Layer, kernel: np.ndarray, stride: int) -> Layer:
    """Return a convolution of s*s*C channels and a shuffle, equal to a transposed convolution with 'same' padding.

    Row i of its input is added, through tap u, to row s*i + u - top of its result. Phase p of a block of s rows thus
    reads row i + t through tap u = p + top - s*t, wherever there is one: a convolution for each phase.
    """
    size = len(kernel)
    top = max(size - stride, 0) // 2
    reach = -(-size // stride)
    taps = 2 * reach + 1
    phases = np.zeros((taps, taps, kernel.shape[3], stride, stride, kernel.shape[2]), np.float32)
    rows = [(t + reach, p, p + top - stride * t) for t in range(-reach, reach + 1) for p in range(stride)]
    rows = [(t, p, u) for t, p, u in rows if 0 <= u < size]
    for t, p, u in rows:
        for s, q, v in rows:
            phases[t, s, :, p, q] = kernel[u, v].T
    used = np.flatnonzero(np.abs(phases).sum((1, 2, 3, 4, 5)))
    reach = max(abs(used - reach)) if used.size else 0
    middle = slice(taps // 2 - reach, taps // 2 + reach + 1)
    phases = phases[middle, middle].reshape(2 * reach + 1, 2 * reach + 1, kernel.shape[3], -1)
    return shuffle(conv(x, phases, pads=((reach, reach),) * 2), stride)


def is_linear(x: Layer) -> bool:
    """Tell whether a layer is a plain convolution."""
    return x.kind == "conv" and x.values["slope"] == 1 == x.values["dilation"]


def side_by_side(maps: list[Layer]) -> bool:
    """Tell whether maps are convolutions of one map that keep its size."""
    return all(is_linear(x) and x.inputs[0] is maps[0].inputs[0] and _keeps_size(x) for x in maps)


def _keeps_size(x):
    sizes = zip(x.values["pads"], x.values["kernel"].shape, strict=False)
    return all(sum(pads) == size - 1 for pads, size in sizes)


def joined(convolutions: list[Layer], join: Callable[..., np.ndarray]) -> Layer:
    """Return one convolution that reaches as far as each of several; `join` makes its kernel and bias of theirs."""
    pads = [x.values["pads"] for x in convolutions]
    (top, bottom), (left, right) = (tuple(max(p[axis][side] for p in pads) for side in (0, 1)) for axis in (0, 1))
    around = [((top - t, bottom - b), (left - le, right - r), (0, 0), (0, 0)) for (t, b), (le, r) in pads]
    kernels = [np.pad(x.values["kernel"], a) for x, a in zip(convolutions, around, strict=True)]
    bias = join(*(x.values["bias"] for x in convolutions))
    return conv(convolutions[0].inputs[0], join(*kernels), pads=((top, bottom), (left, right)), bias=bias)


def padded(x: Layer, pads: tuple) -> Layer:
    """Return a convolution with more rows and columns of its result, or fewer where `pads` are below 0."""
    pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(x.values["pads"], pads, strict=True))
    return dataclasses.replace(x, values=x.values | {"pads": pads})


def affine(x: Layer, scale: np.ndarray | float, offset: np.ndarray | float, alone: bool) -> Layer:
    """Make an "affine": scale and offset, each (channels,); or change the layer before it, if nothing else reads it."""
    scale, offset = _per_channel(scale, x), _per_channel(offset, x)
    if alone and x.kind == "affine":
        x, scale, offset = x.inputs[0], x.values["scale"] * scale, x.values["offset"] * scale + offset
    elif alone and x.kind == "conv" and x.values["slope"] == 1:
        changed = {"kernel": x.values["kernel"] * scale, "bias": x.values["bias"] * scale + offset}
        return dataclasses.replace(x, values=x.values | changed)
    return Layer("affine", [x], x.channels, {"scale": scale, "offset": offset})


def _per_channel(value, x):
    value = np.asarray(value, np.float32)
    if value.size not in (1, x.channels) or value.size != (value.shape[-1] if value.shape else 1):
        refuse(f"a constant {value.shape} for {x.channels} channels")
    return np.broadcast_to(value.reshape(-1), (x.channels,))
