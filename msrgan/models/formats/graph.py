"""The network of an exported model as data: operations on images, in order, with everything constant computed."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

# Inputs that only tell the size of a result, which follows from the size of the image.
_SIZES = {"Conv2DBackpropInput": 0, "Reshape": 1}


class Node(NamedTuple):
    """An operation that depends on the image.

    Attributes:
        name: its name, also that of its first result.
        op: its kind, one of those in `models.safety`.
        inputs: names of results of other nodes, or constants; None where it only tells a size.
        attributes: as TensorFlow has them.
    """

    name: str
    op: str
    inputs: list[str | np.ndarray | None]
    attributes: dict[str, Any]


class Graph(NamedTuple):
    """A network: its nodes in an order in which they can be computed, the first being the image.

    Attributes:
        nodes: the image, then operations.
        output: name of the result.
        channels: of the image.
    """

    nodes: list[Node]
    output: str
    channels: int


def read(model: Path) -> Graph:
    """Read the network of an exported model.

    Args:
        model: its folder, whose operations and files were checked.
    """
    loaded = tf.saved_model.load(str(model))
    signature = loaded.signatures["serving_default"]
    frozen = convert_variables_to_constants_v2(signature)
    image = next(tensor for tensor in frozen.inputs if tensor.dtype == tf.float32)
    result = _source(frozen.outputs[sorted(signature.structured_outputs).index("upscaled")])
    operations = _ordered(result.op)
    dynamic = {image.op}
    for operation in operations:
        if dynamic & {_source(tensor).op for tensor in _data(operation) if tensor is not None}:
            dynamic.add(operation)
    operations = [operation for operation in operations if operation in dynamic]
    constants = _constants(frozen, operations, dynamic)
    nodes = [_node(operation, constants) for operation in operations]
    return Graph(nodes, result.name, image.shape[-1])


def _source(tensor):
    """Return the tensor that a chain of identities passes on."""
    while tensor.op.type in ("Identity", "IdentityN"):  # the second in functions with a gradient of their own
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor


def _data(operation):
    """Return the inputs of an operation, None where one only tells a size."""
    size = _SIZES.get(operation.type)
    return [None if i == size else tensor for i, tensor in enumerate(operation.inputs)]


def _ordered(last):
    """Return all operations on which one depends, and it, each after those on which it depends."""
    order, pending = {}, [(last, False)]
    while pending:  # no recursion: networks are deeper than Python's stack
        operation, ready = pending.pop()
        if ready:
            order[operation] = None
        elif operation not in order:
            pending.append((operation, True))
            pending += [(_source(tensor).op, False) for tensor in _data(operation) if tensor is not None]
    return list(order)


def _constants(function, operations, dynamic):
    """Compute what operations take that does not depend on the image; return name -> array."""
    tensors = [_source(tensor) for operation in operations for tensor in _data(operation) if tensor is not None]
    names = sorted({tensor.name for tensor in tensors if tensor.op not in dynamic})
    values = function.prune([], names)() if names else []
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def _node(operation, constants):
    names = [None if tensor is None else _source(tensor).name for tensor in _data(operation)]
    attributes = {name: operation.get_attr(name) for name in operation.node_def.attr}
    return Node(operation.outputs[0].name, operation.type, [constants.get(name, name) for name in names], attributes)
