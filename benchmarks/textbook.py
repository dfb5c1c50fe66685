"""Generators as their papers draw them, with the weights of ours: what a user of another program would run."""

import keras
import numpy as np
from keras import layers

from msrgan.networks import fold_batch_norm
from msrgan.networks.phases import DepthToSpace, NearestConv2D, PhaseConv2D, PReLU
from msrgan.networks.sampling import bicubic_taps


def textbook(generator, shape=(None, None, 3)):
    """Rebuild a generator, batch norm folded, with the layers that those of ``networks.phases`` stand for.

    A tensor in phase layout is kept as the large one that it stands for.
    """
    network = fold_batch_norm(generator, dtype="float32")
    image = keras.Input(shape)
    maps = {id(network.input): image}
    apart = set()  # the tensors in phase layout
    for layer in network.layers[1:]:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        x = [maps[id(tensor)] for tensor in inputs]
        x = x if len(x) > 1 else x[0]
        is_apart = id(inputs[0]) in apart
        if isinstance(layer, PReLU):
            x = DepthToSpace(2)(x) if layer.phases == 4 and not is_apart else x
            is_apart = is_apart or layer.phases == 4
            x = _call(layers.PReLU(shared_axes=[1, 2]), x, [alpha[None, None] for alpha in layer.get_weights()])
        elif isinstance(layer, PhaseConv2D):
            x = _conv(layer, layer.kernel_size, x if is_apart else DepthToSpace(2)(x))
            is_apart = True
        elif isinstance(layer, NearestConv2D):
            x = _conv(layer, 3, layers.UpSampling2D(2)(x))
            is_apart = True
        elif isinstance(layer, DepthToSpace) and is_apart:
            is_apart = False
        else:
            x = _call(type(layer).from_config(layer.get_config()), x, layer.get_weights())
        maps[id(layer.output)] = x
        if is_apart:
            apart.add(id(layer.output))
    return keras.Model(image, maps[id(network.output)])


def _conv(layer, size, x):
    return _call(layers.Conv2D(layer.filters, size, padding="same", use_bias=layer.use_bias), x, layer.get_weights())


def _call(layer, x, weights):
    x = layer(x)
    if weights:
        layer.set_weights(weights)
    return x


def multiplications(network):
    """Return how often a network of fixed size multiplies (and adds) in its convolutions."""
    convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    return sum(int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:3])) for layer in convolutions)


def program(network):
    """Describe a network for another library: a list of (kind, inputs, arguments, names of weights), and the weights.

    Inputs are numbers of earlier results, 0 being the image. Kernels are (filters, C, k, k), and the channels before a
    pixel shuffle lie in PyTorch's order, (C, s, s).
    """
    numbers = {id(network.input): 0}
    shuffles = {id(layer.input): layer.block_size for layer in network.layers if isinstance(layer, DepthToSpace)}
    steps, weights = [], {}
    for layer in network.layers[1:]:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        kind, values, arguments = type(layer).__name__, layer.get_weights(), {}
        if kind == "Conv2D":
            values[0] = values[0].transpose(3, 2, 0, 1)
            if id(layer.output) in shuffles:
                block = shuffles[id(layer.output)]
                order = np.arange(len(values[0])).reshape(block**2, -1).T.ravel()
                values = [value[order] for value in values]
        elif kind == "Activation":
            kind = layer.activation.__name__
        for name in ("block_size", "scale", "offset", "negative_slope"):
            if isinstance(getattr(layer, name, None), int | float):
                arguments[name] = getattr(layer, name)
        names = [f"{len(steps)}_{k}" for k in range(len(values))]
        weights |= dict(zip(names, values, strict=True))
        steps.append([kind, [numbers[id(x)] for x in inputs], arguments, names])
        numbers[id(layer.output)] = len(steps)
    return steps, weights


def _bicubic(scale, shape):
    """Return the kernel of `phases.Bicubic` as (filters, C, 5, 5), and 1 / what borders leave."""
    taps = bicubic_taps(scale, "centre").transpose(2, 0, 1)  # (s * s, 5, 5)
    channels, height, width = shape[1:]
    ones = np.pad(np.ones((height, width)), 2)
    kept = sum(taps[:, i, j, None, None] * ones[i : i + height, j : j + width] for i in range(5) for j in range(5))
    kernel = np.einsum("pij,cd->dpcij", taps, np.eye(channels)).reshape(-1, channels, 5, 5)
    return kernel, np.tile(1 / kept, (channels, 1, 1))[None]


def onnx_of(steps, weights, shape):
    """Write a program of `program` as an ONNX model of a fixed shape (B, C, H, W), as PyTorch's exporter does."""
    from onnx import TensorProto, checker, helper, numpy_helper

    constants = weights | {name: np.float32(value) for name, value in (("two", 2), ("one", 1), ("half", 0.5))}
    nodes = [("Mul", ["image", "two"], "doubled", {}), ("Sub", ["doubled", "one"], "r0", {})]
    for k, (kind, numbers, arguments, names) in enumerate(steps):
        x, out = [f"r{number}" for number in numbers], f"r{k + 1}"
        if kind == "Conv2D":
            margin = weights[names[0]].shape[-1] // 2
            nodes.append(("Conv", [*x, *names], out, {"pads": [margin] * 4}))
        elif kind == "PReLU":
            constants[names[0]] = weights[names[0]].reshape(-1, 1, 1)
            nodes.append(("PRelu", [*x, *names], out, {}))
        elif kind == "LeakyReLU":
            nodes.append(("LeakyRelu", x, out, {"alpha": arguments["negative_slope"]}))
        elif kind == "DepthToSpace":
            nodes.append(("DepthToSpace", x, out, {"blocksize": arguments["block_size"], "mode": "CRD"}))
        elif kind == "UpSampling2D":
            nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
            constants["twice"] = np.array([1, 1, 2, 2], np.float32)
            nodes.append(("Resize", [*x, "", "twice"], out, nearest))
        elif kind == "Bicubic":  # OpenVINO's Resize has other borders
            constants["taps"], constants["whole"] = _bicubic(arguments["scale"], shape)
            nodes.append(("Conv", [*x, "taps"], f"conv{k}", {"pads": [2] * 4}))
            nodes.append(("Mul", [f"conv{k}", "whole"], f"whole{k}", {}))
            nodes.append(("DepthToSpace", [f"whole{k}"], out, {"blocksize": arguments["scale"], "mode": "CRD"}))
        elif kind == "Rescaling":
            constants |= {f"{name}{k}": np.float32(arguments[name]) for name in ("scale", "offset")}
            nodes.append(("Mul", [*x, f"scale{k}"], f"scaled{k}", {}))
            nodes.append(("Add", [f"scaled{k}", f"offset{k}"], out, {}))
        elif kind == "Multiply":
            nodes.append(("Mul", x, out, {}))
        else:
            names = {"Concatenate": ("Concat", {"axis": 1}), "Add": ("Add", {})}
            name, attributes = names.get(kind, (kind.capitalize(), {}))
            nodes.append((name, x, out, attributes))
    nodes += [("Add", [f"r{len(steps)}", "one"], "raised", {}), ("Mul", ["raised", "half"], "upscaled", {})]
    ends = [
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("upscaled", TensorProto.FLOAT, list("bchw"))],
    ]
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    made = [helper.make_node(kind, x, [out], **attributes) for kind, x, out, attributes in nodes]
    graph = helper.make_graph(made, "textbook", *ends, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(model)
    return model.SerializeToString()
