"""A generator rebuilt of Keras' own layers, with the same weights: what opens without this library.

The layers of `networks.phases` become those that they stand for:

    DepthToSpace(s)                 Conv2DTranspose(C, s, strides=s) with a fixed kernel of zeros and ones
    PReLU                           PReLU(shared_axes=[1, 2])
    PhaseConv2D(C, k)               shuffle, Conv2D(C, k)
    NearestConv2D(C)                UpSampling2D(2), Conv2D(C, 3)
    Bicubic(s)                      a fixed Conv2D(s * s * C, 5) of the image, divided by that of ones, and a shuffle

A tensor in phase layout is kept as the large tensor that it stands for: there every layer has its textbook form.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from msrgan.networks import fold_batch_norm
from msrgan.networks.phases import Bicubic, DepthToSpace, NearestConv2D, PhaseConv2D, PReLU
from msrgan.networks.sampling import bicubic_taps

# They act on each pixel alone, or not at all: the same in phase layout.
_POINTWISE = (layers.Activation, layers.Add, layers.Concatenate, layers.LeakyReLU, layers.Multiply, layers.ReLU)
_POINTWISE += (layers.Rescaling,)
_PLAIN = (layers.BatchNormalization, layers.Conv2D, layers.Conv2DTranspose, layers.UpSampling2D)
_NOTHING = (layers.Dropout, layers.Identity)
_FIXED = {"use_bias": False, "trainable": False, "dtype": "float32"}  # a convolution that only moves pixels, or blurs


class _Map(NamedTuple):
    """A tensor of the rebuilt network; `enlarged` where it is twice as large as the one that it stands for."""

    tensor: keras.KerasTensor
    enlarged: bool = False


def textbook(generator: keras.Model) -> keras.Model:
    """Rebuild a generator of Keras' own layers, batch norm folded, float32.

    Args:
        generator: keras.Model from (B, H, W, C) to (B, sH, sW, C), both in [-1, 1].

    Returns:
        A ``keras.Model`` from `image` to `upscaled`, in the [0, 1]-normalised units of an exported model, for any H
        and W, equal to the generator up to rounding.

    Raises:
        ValueError: a layer has no form in Keras' own layers.
    """
    network = fold_batch_norm(generator, dtype="float32")
    image = keras.Input(generator.input_shape[1:], name="image", dtype="float32")
    unit = layers.Rescaling(2.0, offset=-1.0, name="from_unit_range", dtype="float32")
    maps = {id(network.input): _Map(unit(image))}
    for layer in network.layers:  # a layer comes after everything that it depends on
        if not isinstance(layer, layers.InputLayer):
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            maps[id(layer.output)] = _rebuilt(layer, [maps[id(tensor)] for tensor in inputs])
    unit = layers.Rescaling(0.5, offset=0.5, name="upscaled", dtype="float32")
    return keras.Model(image, unit(maps[id(network.output)].tensor), name=generator.name)


def _rebuilt(layer: keras.layers.Layer, inputs: list[_Map]) -> _Map:
    if len({x.enlarged for x in inputs}) == 1:
        if isinstance(layer, _NOTHING):
            return inputs[0]
        if isinstance(layer, _POINTWISE):
            tensors = [x.tensor for x in inputs]
            return _Map(_copy(layer)(tensors if len(tensors) > 1 else tensors[0]), inputs[0].enlarged)
        rebuild = _OWN.get(type(layer))
        if rebuild:
            return rebuild(layer, *inputs)
        if isinstance(layer, _PLAIN) and not inputs[0].enlarged:
            return _Map(_call(_copy(layer), layer.get_weights(), inputs[0].tensor))
    raise ValueError(
        f"{layer.name}, a {type(layer).__name__}, cannot be written in Keras' own layers. Export the model in another "
        "format, as onnx"
    )


def _copy(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    if isinstance(layer, layers.BatchNormalization):
        config["synchronized"] = False  # other backends do not know it
    return type(layer).from_config(config)


def _call(layer: keras.layers.Layer, weights: list[Any], x: keras.KerasTensor) -> keras.KerasTensor:
    layer.build(x.shape)
    layer.set_weights(weights)
    return layer(x)


def _shuffled(x: keras.KerasTensor, block: int, name: str) -> keras.KerasTensor:
    """Rearrange (B, H, W, s*s*C) to (B, sH, sW, C) by a layer that every version and backend of Keras has.

    The kernel (s, s, C, s*s*C) is 1 where channel (s p + q) C + c of a pixel goes to its row p, column q, channel c.
    """
    filters = x.shape[-1] // block**2
    kernel = np.eye(x.shape[-1], dtype="float32").reshape(block, block, filters, -1)
    return _call(layers.Conv2DTranspose(filters, block, strides=block, name=name, **_FIXED), [kernel], x)


def _phases_apart(x: _Map, name: str) -> keras.KerasTensor:
    return x.tensor if x.enlarged else _shuffled(x.tensor, 2, f"{name}_shuffle")


def _depth_to_space(layer: DepthToSpace, x: _Map) -> _Map:
    if x.enlarged and layer.block_size == 2:
        return _Map(x.tensor)
    return _Map(_shuffled(x.tensor, layer.block_size, layer.name))


def _prelu(layer: PReLU, x: _Map) -> _Map:
    act = layers.PReLU(shared_axes=[1, 2], name=layer.name, dtype="float32")
    slopes = [alpha[None, None] for alpha in layer.get_weights()]
    if layer.phases == 1:
        return _Map(_call(act, slopes, x.tensor), x.enlarged)
    return _Map(_call(act, slopes, _phases_apart(x, layer.name)), True)


def _phase_conv(layer: PhaseConv2D, x: _Map) -> _Map:
    return _Map(_convolved(layer, layer.kernel_size, _phases_apart(x, layer.name)), True)


def _nearest_conv(layer: NearestConv2D, x: _Map) -> _Map:
    nearest = layers.UpSampling2D(2, name=f"{layer.name}_nearest", dtype="float32")
    return _Map(_convolved(layer, 3, nearest(x.tensor)), True)


def _convolved(layer: PhaseConv2D | NearestConv2D, size: int, x: keras.KerasTensor) -> keras.KerasTensor:
    arguments = {"padding": "same", "use_bias": layer.use_bias, "name": layer.name, "dtype": "float32"}
    return _call(layers.Conv2D(layer.filters, size, **arguments), layer.get_weights(), x)


def _bicubic(layer: Bicubic, x: _Map) -> _Map:
    """Write the same as the layer: UpSampling2D is bicubic with other weights on PyTorch, and no grid of corners.

    (In TensorFlow it also fails in `predict`, Keras 3.15, once there are images of a second size.)
    """
    channels, filters = x.tensor.shape[-1], x.tensor.shape[-1] * layer.scale**2
    taps = np.einsum("ijp,cd->ijcpd", bicubic_taps(layer.scale, layer.grid), np.eye(channels))
    conv = layers.Conv2D(filters, 5, padding="same", name=f"{layer.name}_taps", **_FIXED)
    enlarged = _call(conv, [taps.reshape(5, 5, channels, filters)], x.tensor)
    ones = layers.Rescaling(0.0, offset=1.0, name=f"{layer.name}_ones", dtype="float32")(x.tensor)
    # What zero padding leaves of an image of ones is the weight that the border does not drop.
    return _Map(_shuffled(enlarged / conv(ones), layer.scale, layer.name))


_OWN: dict[type, Callable[..., _Map]] = {
    Bicubic: _bicubic,
    DepthToSpace: _depth_to_space,
    NearestConv2D: _nearest_conv,
    PReLU: _prelu,
    PhaseConv2D: _phase_conv,
}
