"""Batch norm and parallel branches folded into plain convolutions: the same function at inference, in fewer passes."""

from collections import Counter

import keras
from keras import layers


def fold_batch_norm(
    model: keras.Model, *, shape: tuple[int | None, ...] | None = None, dtype: str | None = None
) -> keras.Model:
    """Return a copy of a network in which one convolution stands for each convolution with batch norm.

    At inference ``gamma * (conv(x) - mean) / sqrt(variance + epsilon) + beta`` is a convolution with kernel
    ``kernel * g`` and bias ``beta + (bias - mean) * g``, where ``g = gamma / sqrt(variance + epsilon)``. A
    batch norm is copied as it is where it does not directly follow a ``Conv2D``, where something else reads the
    convolution too, and where one of both is used twice.

    A layer with a method ``folded()``, as `ReparameterizedConv2D` has it, becomes the layer that this returns, not
    built yet, with the weights that it returns beside it.

    Args:
        model: functional ``keras.Model`` with one input.
        shape: shape of the copy's input without the batch, e.g. ``(None, None, 3)``; the model's if None.
        dtype: dtype policy of the copy's layers; their own if None.

    Returns:
        A new ``keras.Model`` with its own weights, equal to ``model(x, training=False)`` up to rounding.
    """
    norms = _foldable(model)
    folded_away = {norm.name for norm in norms.values()}
    merged = {layer.name: layer.folded() for layer in model.layers if hasattr(layer, "folded")}

    def copy(layer):
        if layer.name in folded_away:
            return layers.Identity(name=layer.name)
        layer = merged[layer.name][0] if layer.name in merged else layer
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
        elif layer.name in merged:
            folded.get_layer(layer.name).set_weights(merged[layer.name][1])
        elif layer.weights and layer.name not in folded_away:
            folded.get_layer(layer.name).set_weights(layer.get_weights())
    return folded


def unfold(model: keras.Model, folded: keras.Model) -> None:
    """Give a network the weights of its own copy from `fold_batch_norm`, so that it can be trained on.

    Args:
        model: to be filled.
        folded: of the same architecture.

    Raises:
        ValueError: the network has batch norm, whose statistics were folded away.
    """
    norms = [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    if norms:
        raise ValueError(f"Batch norm that was folded cannot be unfolded. Received: a network with {norms[0]}.")
    for layer in model.layers:
        weights = folded.get_layer(layer.name).get_weights()
        if hasattr(layer, "unfold"):
            layer.unfold(*weights)
        else:
            layer.set_weights(weights)


def _foldable(model):
    """Return the batch norms that can be folded, by the name of the convolution that each alone reads."""
    # A layer's own nodes may belong to other models; nothing public tells which belong to this one.
    nodes = [node for level in model._nodes_by_depth.values() for node in level]
    uses = Counter(node.operation.name for node in nodes)
    # An output of the model is read, too.
    readers = Counter(id(x) for node in nodes for x in node.input_tensors) + Counter(map(id, model.outputs))
    producers = {id(x): node.operation for node in nodes for x in node.output_tensors}
    norms = {}
    for node in nodes:
        norm = node.operation
        if not isinstance(norm, layers.BatchNormalization) or norm.axis not in (-1, 3):
            continue
        convolution = producers[id(node.input_tensors[0])]
        plain = type(convolution) is layers.Conv2D and convolution.activation is keras.activations.linear
        alone = readers[id(node.input_tensors[0])] == uses[norm.name] == uses[convolution.name] == 1
        if plain and alone:
            norms[convolution.name] = norm
    return norms


def _folded_weights(conv, norm):
    """Return kernel and bias of the convolution that equals ``norm(conv(x))`` at inference."""
    value = keras.ops.convert_to_numpy
    gamma = value(norm.gamma) if norm.scale else 1.0
    beta = value(norm.beta) if norm.center else 0.0
    bias = value(conv.bias) if conv.use_bias else 0.0
    g = gamma / (value(norm.moving_variance) + norm.epsilon) ** 0.5
    return [value(conv.kernel) * g, beta + (bias - value(norm.moving_mean)) * g]
