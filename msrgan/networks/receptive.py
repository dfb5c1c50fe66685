"""How far a network looks."""

import keras
from keras import layers

from msrgan.networks.phases import PReLU

_POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.Identity,
    layers.LeakyReLU,
    layers.Multiply,
    PReLU,
    layers.ReLU,
    layers.Rescaling,
)


def receptive_radius(model: keras.Model) -> int:
    """Return how far a fully convolutional network looks, in pixels of its input.

    The block of output pixels that belongs to input pixel i is a function of the input pixels at most this
    many rows and columns from i. The radius is followed from the output back to the input; where paths meet,
    the larger counts. It is what the structure allows, an upper bound of what trained weights use.

    Args:
        model: functional ``keras.Model`` with one image in and one image out, 'same' padding.

    Returns:
        The radius, an int.

    Raises:
        ValueError: it is not known how far some layer looks.
    """
    needed = {id(model.output): 0}
    for layer in reversed(model.layers):  # a layer comes after everything that it depends on
        if isinstance(layer, layers.InputLayer):
            continue
        radius = _reach(layer, needed[id(layer.output)])
        for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
            needed[id(tensor)] = max(radius, needed.get(id(tensor), 0))
    return needed[id(model.input)]


def _reach(layer, radius):
    """Return the radius at the input of a layer that a radius at its output needs."""
    if hasattr(layer, "reach"):
        return layer.reach(radius)
    if isinstance(layer, layers.Conv2DTranspose):
        return max(-(-(radius + k // 2) // s) for k, s in zip(layer.kernel_size, layer.strides, strict=True))
    if isinstance(layer, layers.Conv2D):
        steps = zip(layer.kernel_size, layer.dilation_rate, layer.strides, strict=True)
        return max(radius * s + d * (k // 2) for k, d, s in steps)
    if isinstance(layer, layers.UpSampling2D) and layer.interpolation in ("nearest", "bilinear"):
        return max(-(-radius // s) for s in layer.size) + (layer.interpolation == "bilinear")
    if isinstance(layer, _POINTWISE):
        return radius
    raise ValueError(
        f"It must be known how far every layer looks. Received: {layer.name!r}, a {type(layer).__name__}. "
        "Give the layer a method reach(radius), as in msrgan/networks/phases.py."
    )
