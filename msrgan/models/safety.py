"""What a SavedModel would do, read from its file before anything of it is loaded.

A SavedModel is a program: its operations can write files and start Python, when it is loaded (initialisers, restore
functions) and when it is called. Here its protocol buffer is read as data, and refused unless it has the form that
`models.export` gives it:

    objects      variables, lists of them, and the one signature: nothing that would have an initialiser
    functions    `serving_default` and what it calls: operations of OPERATIONS alone, which compute
    the saver    the two functions by which TensorFlow writes and reads variables: operations of SAVER_OPERATIONS,
                 reached from the saver's own nodes alone, which neither loading nor calling a model runs
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.framework.attr_value_pb2 import AttrValue
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from msrgan.messages import few

# What exports of the networks of this library, and of plain Keras layers, consist of; a test exports them all.
# fmt: off
OPERATIONS = frozenset({
    "AddV2", "BatchToSpaceND", "BiasAdd", "Cast", "ConcatV2", "Const", "Conv2D", "Conv2DBackpropInput",
    "DepthToSpace", "Elu", "Erfc", "ExpandDims", "FloorMod", "Identity", "LeakyRelu", "Minimum", "Mul",
    "Neg", "NoOp", "OnesLike", "Pack", "Pad", "Placeholder", "ReadVariableOp", "RealDiv", "Relu", "Reshape", "Rsqrt",
    "Shape", "Sigmoid", "Softplus", "SpaceToBatchND", "Squeeze", "StatefulPartitionedCall", "StridedSlice",
    "Sub", "Tanh", "Tile", "Transpose", "Unpack", "VarHandleOp",
})
SAVER_OPERATIONS = frozenset({
    "AssignVariableOp", "Const", "DisableCopyOnRead", "Identity", "MergeV2Checkpoints", "NoOp", "Pack",
    "ReadVariableOp", "RestoreV2", "SaveV2", "Select", "ShardedFilename", "StaticRegexFullMatch", "StringJoin",
})
# fmt: on
_OBJECTS = frozenset({"_generic_user_object", "trackable_list_wrapper", "signature_map"})


def check(path: Path) -> None:
    """Refuse a SavedModel that is not of the form of our exports.

    Args:
        path: folder of the model.

    Raises:
        ValueError: its saved_model.pb is damaged, or has operations or objects that exports have not.
    """
    strange = strange_parts(path)
    if strange:
        raise ValueError(
            "A model consists of the operations that exports of this library have, which only compute; others could "
            f"harm your files. Received: {path} with {few(strange)}. If you trust its author, allow it by `trust`"
        )


def strange_parts(path: Path) -> list[str]:
    """Return the names of what a SavedModel has and our exports have not.

    Raises:
        ValueError: its saved_model.pb is damaged.
    """
    try:
        model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    except DecodeError:
        model = None
    if not model or not model.meta_graphs:
        raise ValueError(f"{path} is a damaged model (saved_model.pb cannot be read). Export it again")
    return sorted(set(_strange(model)))


def _strange(model: SavedModel) -> Iterator[str]:
    """Yield the name of whatever a model has and our exports have not."""
    # One graph with objects is what makes TensorFlow take the path that runs nothing but what is checked here.
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        yield "the form of TensorFlow 1"
        return
    graph = model.meta_graphs[0]
    yield from _strange_objects(graph)

    # A list: of two functions of one name both count.
    functions = [(function.signature.name, function.node_def) for function in graph.graph_def.library.function]
    saver_nodes = {_node_name(graph.saver_def.save_tensor_name), _node_name(graph.saver_def.restore_op_name)}
    saver = _functions_of(node for node in graph.graph_def.node if node.name in saver_nodes)
    others = [node for node in graph.graph_def.node if node.name not in saver_nodes]
    others += [node for name, nodes in functions if name not in saver for node in nodes]
    objects = graph.object_graph_def
    public = {node.bare_concrete_function.concrete_function_name for node in objects.nodes}
    shared = saver & (_functions_of(others) | set(objects.concrete_functions) | public)
    others += [node for name, nodes in functions if name in shared for node in nodes]
    yield from {node.op for node in others} - OPERATIONS
    savers = [node for name, nodes in functions if name in saver for node in nodes]
    yield from {node.op for node in savers} - SAVER_OPERATIONS
    # What the saver calls would be taken for a part of it.
    if _functions_of(savers) or {node.op for node in graph.graph_def.node if node.name in saver_nodes} - OPERATIONS:
        yield "a saver of another form"


def _strange_objects(graph: MetaGraphDef) -> Iterator[str]:
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if kind == "user_object":
            if node.user_object.identifier not in _OBJECTS:
                yield f"an object {node.user_object.identifier}"
        elif kind not in ("variable", "bare_concrete_function"):
            yield f"an object of kind {kind}"
        if node.saveable_objects or node.registered_saver or node.registered_name:
            yield "an object with a saver of its own"


def _node_name(tensor: str) -> str:
    return tensor.partition(":")[0]


def _functions_of(nodes: Iterable[NodeDef]) -> set[str]:
    """Return the names of all functions that the attributes of some nodes name."""
    return {name for node in nodes for value in node.attr.values() for name in _function_names(value)}


def _function_names(value: AttrValue) -> Iterator[str]:
    functions = [value.func] if value.HasField("func") else list(value.list.func)
    for function in functions:
        yield function.name
        for inner in function.attr.values():
            yield from _function_names(inner)
