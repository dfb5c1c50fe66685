"""ncnn's own format: a text of layers, NAME.param, and their weights, NAME.bin (github.com/Tencent/ncnn/wiki)."""

from collections import Counter
from pathlib import Path

import numpy as np

from msrgan.models.formats import graph
from msrgan.models.formats.layers import Layer, conv, refuse
from msrgan.models.formats.operations import layers

INPUT, OUTPUT = "image", "upscaled"
_MAGIC = 7767517
_LOWEST = float(np.finfo(np.float32).min)
_KEEP = -233  # "as many as there are", of a Crop


def write(model: Path, target: Path) -> None:
    """Compile an exported model; H and W stay free, one image (C, H, W) at a time, weights float32.

    Args:
        model: its folder, whose operations and files were checked.
        target: NAME.param. NAME.bin is written beside it.

    Raises:
        ValueError: the model has an operation that is not compiled.
        OSError: the files cannot be written.
    """
    network = _Network(layers(graph.read(model)))
    target.write_text(network.text())
    target.with_suffix(".bin").write_bytes(b"".join(network.weights))


class _Network:
    """The lines and the weights of a network.

    A line has the kind of a layer, its name, the numbers of its inputs and results, their names, and parameters as
    number=value. A result is read once: a layer Split makes several of one that is read more often.
    """

    def __init__(self, last: Layer):
        self.weights: list[bytes] = []
        self._lines: list[str] = []
        self._results = 0
        order = _ordered(last)
        readers = Counter(id(x) for layer in order for x in layer.inputs)
        names: dict[int, list[str]] = {}
        for layer in order:
            if layer.kind not in _EMITTERS:
                refuse(layer.kind)
            name = _EMITTERS[layer.kind](self, layer, *(names[id(x)].pop() for x in layer.inputs))
            count = readers[id(layer)]
            names[id(layer)] = [name] if count <= 1 else self._split(name, count)
        self.add("Noop", *names[id(last)], result=OUTPUT)

    def text(self) -> str:
        """Return the content of NAME.param."""
        return "\n".join([str(_MAGIC), f"{len(self._lines)} {self._results}", *self._lines]) + "\n"

    def add(self, kind: str, *inputs: str, result: str = "", **values) -> str:
        """Add a layer with one result, return the name of that; `values` are parameters as p0=value."""
        return self._add(kind, inputs, [result or f"r{self._results}"], values)[0]

    def _split(self, name, count):
        return self._add("Split", [name], [f"{name}_{i}" for i in range(count)], {})

    def _add(self, kind, inputs, results, values):
        values = " ".join(f"{name.removeprefix('p')}={value}" for name, value in values.items())
        words = [kind, f"l{len(self._lines)}", len(inputs), len(results), *inputs, *results, values]
        self._lines.append(" ".join(map(str, words)).rstrip())
        self._results += len(results)
        return results


def _ordered(last):
    """Return all layers, each after its inputs."""
    order, pending = {}, [(last, False)]
    while pending:
        layer, ready = pending.pop()
        if ready:
            order[id(layer)] = layer
        elif id(layer) not in order:
            pending.append((layer, True))
            pending += [(x, False) for x in layer.inputs]
    return list(order.values())


def _image(network, layer):
    return network.add("Input", result=INPUT, p2=layer.channels)


def _conv(network, layer, x):
    parts = _fast_parts(layer)
    if parts:
        for part in parts:
            x = _conv(network, part, x)
        return x
    values = layer.values
    kernel, (top, bottom), (left, right) = _kernel_and_pads(layer)
    # A flag, 0, tells that the kernel is float32.
    network.weights += [bytes(4), _data(kernel.transpose(3, 2, 0, 1)), _data(values["bias"])]
    height, width = kernel.shape[:2]
    sizes = {"p0": layer.channels, "p1": width, "p11": height, "p2": values["dilation"], "p5": 1, "p6": kernel.size}
    pads = {"p4": left, "p15": right, "p14": top, "p16": bottom}
    slope = {} if values["slope"] == 1 else {"p9": 2, "p-23310": f"1,{values['slope']:.9g}"}
    return network.add("Convolution", x, **sizes, **pads, **slope)


def _kernel_and_pads(layer):
    """Return kernel and pads; pads below 0, which ncnn has not, become zeros around the kernel."""
    kernel, pads = layer.values["kernel"], layer.values["pads"]
    around = [(max(0, -first), max(0, -last)) for first, last in pads]
    pads = [(max(0, first), max(0, last)) for first, last in pads]
    return np.pad(kernel, [*around, (0, 0), (0, 0)]), *pads


def _fast_parts(layer):
    """Return two convolutions that equal one with a large kernel and few results, None if it has not.

    ncnn computes 3x3 kernels by Winograd's algorithm, with a quarter of the multiplications; larger ones plainly. So a
    k x k kernel becomes n x n kernels of 3x3, n = ceil(k / 3), beside each other in one convolution. Another, of taps
    three pixels apart, adds up their results:

        y[i] = sum over u < k of kernel[u] x[i + u]
             = sum over a < n of part_a[i + 3a],    part_a[j] = sum over v < 3 of kernel[3a + v] x[j + v]
    """
    kernel, dilation = layer.values["kernel"], layer.values["dilation"]
    size, width, inputs, outputs = kernel.shape
    n = -(-size // 3)
    if size <= 3 or size != width or dilation > 1 or n * n * outputs > inputs:
        return None
    missing = 3 * n - size
    kernel = np.pad(kernel, ((0, missing), (0, missing), (0, 0), (0, 0)))
    kernel = kernel.reshape(n, 3, n, 3, inputs, outputs).transpose(1, 3, 4, 0, 2, 5).reshape(3, 3, inputs, -1)
    pads = tuple((first, last + missing) for first, last in layer.values["pads"])
    wide = conv(layer.inputs[0], kernel, pads=pads)
    total = np.eye(n * n * outputs, dtype=np.float32).reshape(-1, n, n, outputs).transpose(1, 2, 0, 3)
    last = conv(wide, total, pads=((0, 0), (0, 0)), bias=layer.values["bias"], dilation=3)
    last.values["slope"] = layer.values["slope"]
    return wide, last


def _affine(network, layer, x):
    network.weights += [_data(layer.values["scale"]), _data(layer.values["offset"])]
    return network.add("Scale", x, p0=layer.channels, p1=1)


def _prelu(network, layer, x):
    network.weights.append(_data(layer.values["slopes"]))
    return network.add("PReLU", x, p0=layer.channels)


def _pad(network, layer, x):
    (top, bottom), (left, right) = layer.values["pads"]
    return network.add("Padding", x, p0=top, p1=bottom, p2=left, p3=right)


def _slice(network, layer, x):
    return network.add("Crop", x, p2=layer.values["first"], p3=_KEEP, p4=_KEEP, p5=layer.channels)


def _plain(kind, **values):
    """Return an emitter of a layer without weights."""
    return lambda network, layer, *inputs: network.add(kind, *inputs, **values)


def _data(values):
    return np.ascontiguousarray(values, "<f4").tobytes()


_EMITTERS = {
    "add": _plain("BinaryOp", p0=0),
    "affine": _affine,
    "concat": _plain("Concat"),
    "conv": _conv,
    "div": _plain("BinaryOp", p0=3),
    "elu": _plain("ELU", p0=1),
    "image": _image,
    "leaky_relu": lambda network, layer, x: network.add("ReLU", x, p0=f"{layer.values['slope']:.9g}"),
    "minimum": lambda network, layer, x: network.add("Clip", x, p0=_LOWEST, p1=layer.values["limit"]),
    "mul": _plain("BinaryOp", p0=2),
    "ones": _plain("Clip", p0=1, p1=1),
    "pad": _pad,
    "prelu": _prelu,
    "shuffle": lambda network, layer, x: network.add("PixelShuffle", x, p0=layer.values["block"], p1=1),
    "sigmoid": _plain("Sigmoid"),
    "silu": _plain("Swish"),
    "slice": _slice,
    "softplus": _plain("Softplus"),
    "sub": _plain("BinaryOp", p0=1),
    "tanh": _plain("TanH"),
}
