"""Batch norm folded into the convolutions before it: the same function at inference, with fewer passes."""

import keras
from keras import layers


def fold_batch_norm(model, *, shape=None, dtype=None):
    """Return a copy of a network in which one convolution stands for each convolution with batch norm.

    At inference ``gamma * (conv(x) - mean) / sqrt(variance + epsilon) + beta`` is a convolution with kernel
    ``kernel * g`` and bias ``beta + (bias - mean) * g``, where ``g = gamma / sqrt(variance + epsilon)``. A
    batch norm that does not directly follow a ``Conv2D`` is copied as it is.

    Args:
        model: functional ``keras.Model`` with one input.
        shape: shape of the copy's input without the batch, e.g. ``(None, None, 3)``; the model's if None.
        dtype: dtype policy of the copy's layers; their own if None.

    Returns:
        A new ``keras.Model`` with its own weights, equal to ``model(x, training=False)`` up to rounding.
    """
    producers = {id(layer.output): layer for layer in model.layers}
    norms = {}  # name of the convolution -> its batch norm
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            producer = producers[id(layer.input)]
            if type(producer) is layers.Conv2D and producer.activation is keras.activations.linear:
                norms[producer.name] = layer
    folded_away = {norm.name for norm in norms.values()}

    def copy(layer):
        if layer.name in folded_away:
            return layers.Identity(name=layer.name)
        config = layer.get_config()
        if layer.name in norms:
            config["use_bias"] = True
        if dtype is not None:
            config["dtype"] = dtype
        return type(layer).from_config(config)

    def call(layer, x, *args, **kwargs):
        return x if layer.name in folded_away else layer(x, *args, **kwargs)

    inputs = None if shape is None else keras.Input(shape, name=model.inputs[0].name)
    folded = keras.models.clone_model(model, inputs, clone_function=copy, call_function=call)
    for layer in model.layers:
        if layer.name in norms:
            folded.get_layer(layer.name).set_weights(_folded_weights(layer, norms[layer.name]))
        elif layer.weights and layer.name not in folded_away:
            folded.get_layer(layer.name).set_weights(layer.get_weights())
    return folded


def _folded_weights(conv, norm):
    """Return kernel and bias of the convolution that equals ``norm(conv(x))`` at inference."""
    value = keras.ops.convert_to_numpy
    gamma = value(norm.gamma) if norm.scale else 1.0
    beta = value(norm.beta) if norm.center else 0.0
    bias = value(conv.bias) if conv.use_bias else 0.0
    g = gamma / (value(norm.moving_variance) + norm.epsilon) ** 0.5
    return [value(conv.kernel) * g, beta + (bias - value(norm.moving_mean)) * g]
