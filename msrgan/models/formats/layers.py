"""The network of an exported model as layers of image processing, for runtimes that have no operations of TensorFlow.

Each operation becomes a layer of one of a dozen kinds, on maps (channels, H, W) of one image. What TensorFlow writes as
several operations becomes one where it is:

    conv + constant, conv * constant            conv
    x + slopes * min(x, 0)                      prelu
    x * sigmoid(x)                              silu
    several convs of one map, concatenated      one conv
    transposed conv                             conv, then a shuffle
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from msrgan.models.formats.graph import Graph


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


def layers(graph: Graph) -> Layer:
    """Return the last layer of a network, from which all the others can be reached.

    Raises:
        ValueError: the network has an operation that no layer computes.
    """
    unknown = {node.op for node in graph.nodes} - {"Placeholder", *_MAKERS}
    if unknown:
        refuse(", ".join(sorted(unknown)))
    readers = Counter(name for node in graph.nodes for name in node.inputs if isinstance(name, str))
    made = {}
    for node in graph.nodes:
        inputs = [made[x] if isinstance(x, str) else x for x in node.inputs]
        # What nothing else reads may be merged with what is made of it.
        alone = [isinstance(x, str) and readers[x] == 1 for x in node.inputs]
        if node.op == "Placeholder":
            made[node.name] = Layer("image", [], graph.channels)
        else:
            made[node.name] = _MAKERS[node.op](node, inputs, alone)
    return made[graph.output]


def refuse(received: str) -> NoReturn:
    """Raise ValueError for what no layer computes."""
    raise ValueError(
        "A network in this format consists of convolutions of stride 1, pixel shuffles, concatenations and functions "
        f"of single pixels. Received: {received}. Use another engine or format"
    )


def _convolution(node, inputs, alone):
    """Make a "conv": kernel (kh, kw, C, filters), bias (filters,), pads ((top, bottom), (left, right)), dilation.

    `slope` is that of a leaky ReLU after it, 1 for none.
    """
    x, kernel = inputs
    attributes = node.attributes
    dilation = attributes["dilations"][1]
    plain = list(attributes["strides"]) == [1, 1, 1, 1] and list(attributes["dilations"]) == [1, dilation, dilation, 1]
    if not isinstance(kernel, np.ndarray) or not plain or kernel.shape[2] != x.channels:
        refuse(
            f"Conv2D of strides {attributes['strides']}, dilations {attributes['dilations']}, kernel {_shape(kernel)}"
        )
    pads = _pads(attributes, [dilation * (size - 1) for size in kernel.shape[:2]])
    if x.kind == "pad":
        pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(pads, x.values["pads"], strict=True))
        x = x.inputs[0]
    return conv(x, kernel, pads=pads, dilation=dilation)


def conv(x: Layer, kernel: np.ndarray, *, pads: tuple, bias: np.ndarray | None = None, dilation: int = 1) -> Layer:
    """Return a convolution of stride 1."""
    bias = np.zeros(kernel.shape[3], np.float32) if bias is None else bias
    values = {"kernel": kernel, "bias": bias, "pads": pads, "dilation": dilation, "slope": 1.0}
    return Layer("conv", [x], kernel.shape[3], values)


def _pads(attributes, missing):
    """Return ((top, bottom), (left, right)) of a convolution that lacks so many rows and columns at its borders."""
    padding = attributes["padding"]
    if padding == b"SAME":
        return tuple((total // 2, total - total // 2) for total in missing)
    if padding == b"VALID":
        return (0, 0), (0, 0)
    explicit = attributes["explicit_paddings"]
    return tuple(explicit[2:4]), tuple(explicit[4:6])


def _transposed(node, inputs, alone):
    """Make a convolution of s*s*C channels and a shuffle of a transposed convolution.

    Row i of its input is added, through tap u, to row s*i + u - top of its result. Phase p of a block of s rows thus
    reads row i + t through tap u = p + top - s*t, wherever there is one: a convolution for each phase.
    """
    _, kernel, x = inputs
    stride, size = node.attributes["strides"][1], kernel.shape[0]
    plain = list(node.attributes["strides"]) == [1, stride, stride, 1] and set(node.attributes["dilations"]) == {1}
    square = isinstance(kernel, np.ndarray) and kernel.shape[1] == size
    if not plain or not square or node.attributes["padding"] != b"SAME":
        refuse(f"Conv2DBackpropInput of strides {node.attributes['strides']}, kernel {_shape(kernel)}")
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
    return _shuffle(conv(x, phases, pads=((reach, reach),) * 2), stride)


def _depth_to_space(node, inputs, alone):
    return _shuffle(inputs[0], node.attributes["block_size"])


def _shuffle(x, block):
    """Make a "shuffle": channel (p * block + q) * C + c becomes channel c at row p, column q of a block."""
    return Layer("shuffle", [x], x.channels // block**2, {"block": block})


def _arithmetic(kind: str) -> Callable:
    """Return a maker of a + b, a - b, a * b or a / b, where one may be constant."""

    def make(node, inputs, alone):
        a, b = inputs
        if isinstance(b, np.ndarray):
            scale, offset = {"add": (1, b), "sub": (1, -b), "mul": (b, 0)}.get(kind) or (1 / b, 0)
            return _affine(a, scale, offset, alone[0])
        if isinstance(a, np.ndarray):
            if kind == "div":
                refuse("a constant divided by a map")
            scale, offset = {"add": (1, a), "sub": (-1, a), "mul": (a, 0)}[kind]
            return _affine(b, scale, offset, alone[1])
        if a.channels != b.channels:
            refuse(f"{node.op} of {a.channels} and {b.channels} channels")
        return _of_two(kind, a, b)

    return make


def _of_two(kind, a, b):
    """Make an operation of two maps, or the layer of one map that it is."""
    for x, y in ((a, b), (b, a)):
        if kind == "mul" and y.kind == "sigmoid" and y.inputs[0] is x:
            return Layer("silu", [x], x.channels)
        negative = y.inputs[0] if kind == "add" and y.kind == "affine" and not y.values["offset"].any() else None
        if negative and negative.kind == "minimum" and negative.values["limit"] == 0 and negative.inputs[0] is x:
            return Layer("prelu", [x], x.channels, {"slopes": 1 + y.values["scale"]})
    return Layer(kind, [a, b], a.channels)


def _affine(x, scale, offset, alone):
    """Make an "affine": scale and offset, each (channels,); or change the layer before it, if nothing else reads it."""
    scale, offset = _per_channel(scale, x), _per_channel(offset, x)
    if alone and x.kind == "affine":
        x, scale, offset = x.inputs[0], x.values["scale"] * scale, x.values["offset"] * scale + offset
    if alone and x.kind == "conv" and x.values["slope"] == 1:
        changed = {"kernel": x.values["kernel"] * scale, "bias": x.values["bias"] * scale + offset}
        return dataclasses.replace(x, values=x.values | changed)
    return Layer("affine", [x], x.channels, {"scale": scale, "offset": offset})


def _per_channel(value, x):
    value = np.asarray(value, np.float32)
    if value.size not in (1, x.channels) or value.size != (value.shape[-1] if value.shape else 1):
        refuse(f"a constant {value.shape} for {x.channels} channels")
    return np.broadcast_to(value.reshape(-1), (x.channels,))


def _concatenated(node, inputs, alone):
    """Make a "concat", or the one convolution that concatenated convolutions of one map are."""
    *maps, axis = inputs
    if any(isinstance(x, np.ndarray) for x in maps) or int(axis) not in (-1, 3):
        refuse("ConcatV2 of constants, or not of channels")
    source = maps[0].inputs[0] if maps[0].kind == "conv" else None
    if all(x.kind == "conv" and x.inputs[0] is source and _keeps_size(x) for x in maps) and all(alone[:-1]):
        return _one_convolution(source, maps)
    return Layer("concat", maps, sum(x.channels for x in maps))


def _keeps_size(x):
    plain = x.values["dilation"] == 1 == x.values["slope"]
    sizes = zip(x.values["pads"], x.values["kernel"].shape, strict=False)
    return plain and all(sum(pads) == size - 1 for pads, size in sizes)


def _one_convolution(source, convolutions):
    """Return one convolution that reaches as far as each of several, their kernels side by side."""
    pads = [x.values["pads"] for x in convolutions]
    (top, bottom), (left, right) = (tuple(max(p[axis][side] for p in pads) for side in (0, 1)) for axis in (0, 1))
    around = [((top - t, bottom - b), (left - le, right - r), (0, 0), (0, 0)) for (t, b), (le, r) in pads]
    kernels = [np.pad(x.values["kernel"], a) for x, a in zip(convolutions, around, strict=True)]
    bias = np.concatenate([x.values["bias"] for x in convolutions])
    return conv(source, np.concatenate(kernels, axis=-1), pads=((top, bottom), (left, right)), bias=bias)


def _leaky_relu(node, inputs, alone):
    x, slope = inputs[0], node.attributes.get("alpha", 0.0)  # a ReLU has none
    if alone[0] and x.kind == "conv" and x.values["slope"] == 1:
        return dataclasses.replace(x, values=x.values | {"slope": slope})
    return Layer("leaky_relu", [x], x.channels, {"slope": slope})


def _minimum(node, inputs, alone):
    x, limit = inputs
    if not isinstance(limit, np.ndarray) or limit.size != 1:
        refuse("Minimum of two maps")
    return Layer("minimum", [x], x.channels, {"limit": float(limit.reshape(()))})


def _pad(node, inputs, alone):
    x, pads = inputs
    if pads[[0, 3]].any():
        refuse("Pad of channels")
    return Layer("pad", [x], x.channels, {"pads": tuple(tuple(pad) for pad in pads[1:3].tolist())})


def _slice(node, inputs, alone):
    """Make a "slice": the channels from `first` on; the first images of a batch are the one there is."""
    x, *limits = inputs
    index = _index(node, [limit.tolist() for limit in limits])
    sides = [index[axis].indices(1000) for axis in (1, 2)]
    if any(side != (0, 1000, 1) for side in sides) or index[0].indices(1)[:2] != (0, 1):
        refuse("a part of an image")
    first, last, step = index[3].indices(x.channels)
    if step != 1:
        refuse("every second channel")
    return x if last - first == x.channels else Layer("slice", [x], last - first, {"first": first})


def _index(node, limits):
    """Return the four slices of a StridedSlice."""
    masks = {name: node.attributes[f"{name}_mask"] for name in ("begin", "end", "ellipsis", "shrink_axis", "new_axis")}
    if masks["shrink_axis"] or masks["new_axis"]:
        refuse("StridedSlice that changes the number of axes")
    index = []
    for i, (begin, end, step) in enumerate(zip(*limits, strict=True)):
        if masks["ellipsis"] >> i & 1:
            index += [slice(None)] * (4 - len(limits[0]) + 1)
        else:
            index.append(
                slice(None if masks["begin"] >> i & 1 else begin, None if masks["end"] >> i & 1 else end, step)
            )
    return index + [slice(None)] * (4 - len(index))


def _of_one(kind: str) -> Callable:
    """Return a maker of a function of each pixel."""
    return lambda node, inputs, alone: Layer(kind, inputs[:1], inputs[0].channels)


def _negative(node, inputs, alone):
    return _affine(inputs[0], -1, 0, alone[0])


def _same(node, inputs, alone):
    return inputs[0]


def _shape(x):
    return x.shape if isinstance(x, np.ndarray) else "that changes"


_MAKERS = {
    "AddV2": _arithmetic("add"),
    "BiasAdd": _arithmetic("add"),
    "Cast": _same,
    "ConcatV2": _concatenated,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed,
    "DepthToSpace": _depth_to_space,
    "Elu": _of_one("elu"),
    "LeakyRelu": _leaky_relu,
    "Minimum": _minimum,
    "Mul": _arithmetic("mul"),
    "Neg": _negative,
    "OnesLike": _of_one("ones"),
    "Pad": _pad,
    "RealDiv": _arithmetic("div"),
    "Relu": _leaky_relu,
    "Sigmoid": _of_one("sigmoid"),
    "Softplus": _of_one("softplus"),
    "StridedSlice": _slice,
    "Sub": _arithmetic("sub"),
    "Tanh": _of_one("tanh"),
}
