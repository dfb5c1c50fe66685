"""The network of an exported model as layers of image processing, for runtimes that have no operations of TensorFlow.

Each operation becomes a layer of one of a dozen kinds, on maps (channels, H, W) of one image. What TensorFlow writes as
several operations becomes one where it is:

    conv + constant, conv * constant            conv
    x + slopes * min(x, 0)                      prelu
    x * sigmoid(x)                              silu
    several convs of one map, concatenated      one conv
    several convs of one map, added up          one conv
    a part of a conv                            conv
    transposed conv                             conv, then a shuffle
"""

import dataclasses
from collections import Counter
from collections.abc import Callable

import numpy as np

from msrgan.models.formats.graph import Graph
from msrgan.models.formats.layers import (
    Layer,
    affine,
    conv,
    is_linear,
    joined,
    padded,
    refuse,
    shuffle,
    side_by_side,
    transposed,
)


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
    _, kernel, x = inputs
    stride, size = node.attributes["strides"][1], kernel.shape[0]
    plain = list(node.attributes["strides"]) == [1, stride, stride, 1] and set(node.attributes["dilations"]) == {1}
    square = isinstance(kernel, np.ndarray) and kernel.shape[1] == size
    if not plain or not square or node.attributes["padding"] != b"SAME":
        refuse(f"Conv2DBackpropInput of strides {node.attributes['strides']}, kernel {_shape(kernel)}")
    return transposed(x, kernel, stride)


def _arithmetic(kind: str) -> Callable:
    """Return a maker of a + b, a - b, a * b or a / b, where one may be constant."""

    def make(node, inputs, alone):
        a, b = inputs
        if isinstance(b, np.ndarray):
            scale, offset = {"add": (1, b), "sub": (1, -b), "mul": (b, 0)}.get(kind) or (1 / b, 0)
            return affine(a, scale, offset, alone[0])
        if isinstance(a, np.ndarray):
            if kind == "div":
                refuse("a constant divided by a map")
            scale, offset = {"add": (1, a), "sub": (-1, a), "mul": (a, 0)}[kind]
            return affine(b, scale, offset, alone[1])
        if a.channels != b.channels:
            refuse(f"{node.op} of {a.channels} and {b.channels} channels")
        if kind == "add" and all(alone) and side_by_side([a, b]):
            return joined([a, b], np.add)
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


def _concatenated(node, inputs, alone):
    """Make a "concat", or the one convolution that concatenated convolutions of one map are."""
    *maps, axis = inputs
    if any(isinstance(x, np.ndarray) for x in maps) or int(axis) not in (-1, 3):
        refuse("ConcatV2 of constants, or not of channels")
    if all(alone[:-1]) and side_by_side(maps):
        return joined(maps, lambda *values: np.concatenate(values, axis=-1))
    return Layer("concat", maps, sum(x.channels for x in maps))


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
    """Make a "pad" with zeros; or pad what a convolution reads, where its results there are zeros all the same."""
    x, pads = inputs
    if pads[[0, 3]].any():
        refuse("Pad of channels")
    pads = tuple(tuple(pad) for pad in pads[1:3].tolist())
    if alone[0] and is_linear(x) and not x.values["bias"].any():
        sizes = x.values["kernel"].shape
        if all(size == 1 or not any(pad) for size, pad in zip(sizes, pads, strict=False)):
            return padded(x, pads)
    return Layer("pad", [x], x.channels, {"pads": pads})


def _slice(node, inputs, alone):
    """Make a "slice": the channels from `first` on; or the part of a convolution that computes a part of its result.

    The first images of a batch are the one there is.
    """
    x, *limits = inputs
    images, *sides, channels = _index(node, [limit.tolist() for limit in limits])
    first, last, step = channels.indices(x.channels)
    if step != 1 or any(side.step not in (None, 1) for side in (images, *sides)) or images.indices(1)[:2] != (0, 1):
        refuse("every second channel or pixel, or images of a batch")
    pads = tuple((-(side.start or 0), side.stop or 0) for side in sides)
    if is_linear(x) and all(pad <= 0 for pair in pads for pad in pair):
        values = {name: x.values[name][..., first:last] for name in ("kernel", "bias")}
        return padded(dataclasses.replace(x, channels=last - first, values=x.values | values), pads)
    if any(any(pair) for pair in pads):
        refuse("a part of an image")
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


def _expanded(node, inputs, alone):
    """Begin a repetition of channels: what ExpandDims, Tile and Reshape are together, and no other use of these."""
    return Layer("ExpandDims", inputs[:1], inputs[0].channels)


def _tiled(node, inputs, alone):
    x, counts = inputs
    if x.kind != "ExpandDims" or not is_linear(x.inputs[0]) or counts[:4].tolist() != [1, 1, 1, 1]:
        refuse("Tile")
    x = x.inputs[0]
    repeated = {name: np.repeat(x.values[name], counts[4], axis=-1) for name in ("kernel", "bias")}
    x = dataclasses.replace(x, channels=len(repeated["bias"]), values=x.values | repeated)
    return Layer("Tile", [x], x.channels)


def _reshaped(node, inputs, alone):
    if inputs[0].kind != "Tile":
        refuse("Reshape")
    return inputs[0].inputs[0]


def _of_one(kind: str) -> Callable:
    """Return a maker of a function of each pixel."""
    return lambda node, inputs, alone: Layer(kind, inputs[:1], inputs[0].channels)


def _shape(x):
    return x.shape if isinstance(x, np.ndarray) else "that changes"


_MAKERS = {
    "AddV2": _arithmetic("add"),
    "BiasAdd": _arithmetic("add"),
    "Cast": lambda node, inputs, alone: inputs[0],
    "ConcatV2": _concatenated,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed,
    "DepthToSpace": lambda node, inputs, alone: shuffle(inputs[0], node.attributes["block_size"]),
    "ExpandDims": _expanded,
    "Elu": _of_one("elu"),
    "LeakyRelu": _leaky_relu,
    "Minimum": _minimum,
    "Mul": _arithmetic("mul"),
    "Neg": lambda node, inputs, alone: affine(inputs[0], -1, 0, alone[0]),
    "OnesLike": _of_one("ones"),
    "Pad": _pad,
    "RealDiv": _arithmetic("div"),
    "Reshape": _reshaped,
    "Relu": _leaky_relu,
    "Sigmoid": _of_one("sigmoid"),
    "Softplus": _of_one("softplus"),
    "StridedSlice": _slice,
    "Sub": _arithmetic("sub"),
    "Tile": _tiled,
    "Tanh": _of_one("tanh"),
}
