"""How far a network looks."""

from keras import layers


def receptive_radius(model):
    """Return how far an output pixel of a fully convolutional network looks, in pixels of its input.

    The s x s block of output pixels that belongs to input pixel i is a function of the input pixels at most this many
    rows and columns from i. The radius is followed from the output back to the input; along several paths the longest
    counts. It is an upper bound that the structure gives: trained weights may well look less far.

    Args:
        model: functional ``keras.Model`` with one image input and one image output, 'same' padding.

    Returns:
        The radius, an int.

    Raises:
        ValueError: the network has a layer whose reach is not known here; give the layer a method
            ``reach(radius) -> radius``.
    """
    need = {id(model.output): 0}
    for layer in reversed(model.layers):
        if isinstance(layer, layers.InputLayer) or id(layer.output) not in need:
            continue
        radius = _reach(layer, need[id(layer.output)])
        inputs = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
        for tensor in inputs:
            need[id(tensor)] = max(radius, need.get(id(tensor), 0))
    return need[id(model.input)]


def _reach(layer, radius):
    """Return the radius at a layer's input that a radius at its output needs."""
    if hasattr(layer, "reach"):
        return layer.reach(radius)
    if isinstance(layer, layers.Conv2DTranspose):
        return max(-(-(radius + k // 2) // s) for k, s in zip(layer.kernel_size, layer.strides, strict=True))
    if isinstance(layer, layers.Conv2D):
        taps = zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
        return max(radius * s + k // 2 * d for k, s, d in taps)
    if isinstance(layer, layers.UpSampling2D):
        return max(-(-radius // s) for s in layer.size) + {"nearest": 0, "bilinear": 1}[layer.interpolation]
    if isinstance(layer, _POINTWISE):
        return radius
    raise ValueError(
        f"Every layer must have a known reach. Received: {layer.name!r} of type {type(layer).__name__}. "
        "Give it a method reach(radius) -> radius."
    )


_POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.Identity,
    layers.LeakyReLU,
    layers.Multiply,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
)
