"""SavedModels of strangers: what they could do is seen before it is done."""

import json

import keras
import pytest
import tensorflow as tf
from conftest import tiny
from keras import layers
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from msrgan import models
from msrgan.models import card, safety
from msrgan.networks import srresnet
from msrgan.training.variants import VARIANTS


def plain_layers():
    """A generator of the layers of Keras that a network of a known reach may have."""
    image = x = keras.Input((None, None, 1))
    for activation in ("relu", "tanh", "sigmoid", "elu", "softplus"):
        x = layers.Conv2D(2, 3, padding="same", activation=activation)(x)
    x = layers.BatchNormalization()(layers.ReLU()(x))
    x = layers.Concatenate()([x, layers.Conv2D(3, 3, dilation_rate=2, padding="same")(x)])
    x = layers.Conv2DTranspose(2, 4, strides=2, padding="same")(x)
    x = layers.Multiply()([x, layers.Rescaling(2.0, offset=1)(layers.LeakyReLU()(x))])
    x = layers.Dropout(0.5)(layers.Identity()(layers.Activation("gelu")(x)))
    return keras.Model(image, layers.Conv2D(1, 1)(x))


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Exports of every variant and of the options that change the kind of a layer, by name."""
    small = {"channels": 1, "filters": 4, "blocks": 1}
    generators = {name: v.generator(channels=1, scale=4, **tiny(v)) for name, v in VARIANTS.items()}
    generators["transpose"] = srresnet(upsample="transpose", image_skip="none", dropout=0.5, **small)
    generators["x8"] = srresnet(scale=8, grid="corner", batch_norm=False, **small)
    generators["plain"] = plain_layers()
    folder = tmp_path_factory.mktemp("models")
    for name, generator in generators.items():
        models.export(generator, folder / name)
    return {name: folder / name for name in generators}


def parsed(path):
    return SavedModel.FromString((path / "saved_model.pb").read_bytes())


def changed(source, target, change):
    """Copy a model, with a change of its protocol buffer."""
    model = parsed(source)
    change(model.meta_graphs[0])
    target.mkdir()
    (target / "saved_model.pb").write_bytes(model.SerializeToString())
    metadata = json.loads((source / card.METADATA).read_text())
    metadata.pop("fingerprint", None)
    (target / card.METADATA).write_text(json.dumps(metadata))
    return target


def function_of(graph, part):
    return next(f for f in graph.graph_def.library.function if part in f.signature.name)


def test_the_lists_are_what_exports_consist_of(exports):
    operations, saver = set(), set()
    for path in exports.values():
        graph = parsed(path).meta_graphs[0].graph_def
        operations |= {node.op for node in graph.node}
        for function in graph.library.function:
            kinds = saver if "__traced_" in function.signature.name else operations
            kinds |= {node.op for node in function.node_def}
    assert operations == safety.OPERATIONS
    assert saver == safety.SAVER_OPERATIONS


def test_exports_load(exports):
    for name, path in exports.items():
        assert models.load(path).scale == {"x8": 8, "plain": 2}.get(name, 4)


def test_an_export_of_other_operations_is_told_at_once(tmp_path, caplog):
    image = keras.Input((None, None, 1))
    x = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="selu")(image)
    models.export(keras.Model(image, x), tmp_path / "model")
    assert "model has operations that are loaded only by load(..., trust=True): Selu" in caplog.text
    with pytest.raises(ValueError, match="model with Selu. If you trust"):
        models.load(tmp_path / "model")
    assert models.load(tmp_path / "model", trust=True).scale == 2


# Real attacks, by TensorFlow's own means


def save(module, path, *, serve=None):
    """Save a stranger's model, with a card that looks right."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32, name="image")])
    def enlarge(image):
        if serve:
            serve(image)
        return {"upscaled": tf.repeat(tf.repeat(image, 2, axis=1), 2, axis=2)}

    module.variable = tf.Variable(1.0)
    tf.saved_model.save(module, str(path), signatures={"serving_default": enlarge})
    sizes = {"scale": 2, "channels": 1, "receptive_radius": 0}
    (path / card.METADATA).write_text(json.dumps(card.defaults() | sizes))
    return path


@pytest.mark.parametrize("nested", [False, True])
def test_a_file_written_when_the_model_is_called(nested, tmp_path):
    victim = tmp_path / "victim"

    def write(image):
        tf.io.write_file(str(victim), "gone")

    path = save(tf.Module(), tmp_path / "model", serve=tf.function(write) if nested else write)
    with pytest.raises(ValueError, match="Received: .*model with .*WriteFile.*allow it by `trust`"):
        models.load(path)
    assert not victim.exists()
    assert models.load(path, trust=True).scale == 2
    assert victim.read_text() == "gone"  # the attack is one


def test_a_file_written_by_an_initialiser_when_the_model_is_loaded(tmp_path):
    victim = tmp_path / "victim"

    class Resource(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="a")

        def _initialize(self):
            tf.io.write_file(str(victim), "gone")

    module = tf.Module()
    with tf.init_scope():
        module.resource = Resource()
    path = save(module, tmp_path / "model", serve=lambda image: module.resource.resource_handle)
    victim.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="Received: .*model with .*WriteFile.*an object of kind resource"):
        models.load(path)
    assert not victim.exists()
    models.load(path, trust=True)
    assert victim.read_text() == "gone"


def test_a_file_written_by_a_restore_function_when_the_model_is_loaded(tmp_path):
    victim = tmp_path / "victim"

    class Restored(tf.Module):
        def _serialize_to_tensors(self):
            return {"a": tf.constant(1.0)}

        def _restore_from_tensors(self, tensors):
            tf.io.write_file(str(victim), "gone")

    module = tf.Module()
    module.restored = Restored()
    path = save(module, tmp_path / "model")
    with pytest.raises(ValueError, match="Received: .*model with .*WriteFile.*an object with a saver of its own"):
        models.load(path)
    assert not victim.exists()
    models.load(path, trust=True)
    assert victim.read_text() == "gone"


# What else a file could hold


def add_call(node, function, name="attack"):
    node.name, node.op = name, "StatefulPartitionedCall"
    node.attr["f"].func.name = function


@pytest.mark.parametrize(
    "operation", ["PyFunc", "EagerPyFunc", "If", "StatelessWhile", "ReadFile", "SaveV2", "RestoreV2"]
)
def test_strange_operations_in_a_function(operation, exports, tmp_path):
    def change(graph):
        function_of(graph, "__inference_serve").node_def.add(name="attack", op=operation)

    with pytest.raises(ValueError, match=f"with {operation}. If you trust"):
        models.load(changed(exports["srcnn"], tmp_path / "model", change))


@pytest.mark.parametrize("attribute", ["func", "list", "nested"])
def test_strange_operations_in_a_body_that_an_attribute_names(attribute, exports, tmp_path):
    def change(graph):
        body = graph.graph_def.library.function.add()
        body.signature.name = "body"
        body.node_def.add(name="attack", op="WriteFile")
        node = function_of(graph, "__inference_serve").node_def.add(name="branch", op="Case")
        if attribute == "func":
            node.attr["then_branch"].func.name = "body"
        elif attribute == "list":
            node.attr["branches"].list.func.add().name = "body"
        else:
            node.attr["f"].func.attr["g"].func.name = "body"

    with pytest.raises(ValueError, match="with Case, WriteFile. If"):
        models.load(changed(exports["srcnn"], tmp_path / "model", change))


def write_in_the_saver(graph):
    function_of(graph, "__traced_restore").node_def.add(name="attack", op="WriteFile")


def saver_called_by_the_network(graph):
    function = function_of(graph, "__inference_serve")
    add_call(function.node_def.add(), function_of(graph, "__traced_save").signature.name)


def saver_as_the_operation_itself(graph):
    function = function_of(graph, "__inference_serve")
    function.node_def.add(name="attack", op=function_of(graph, "__traced_save").signature.name)


def saver_as_signature(graph):
    save_name = function_of(graph, "__traced_save").signature.name
    graph.object_graph_def.concrete_functions[save_name].SetInParent()


def saver_behind_the_signature(graph):
    node = next(n for n in graph.object_graph_def.nodes if n.WhichOneof("kind") == "bare_concrete_function")
    node.bare_concrete_function.concrete_function_name = function_of(graph, "__traced_save").signature.name


def saver_calls_a_function(graph):
    body = graph.graph_def.library.function.add()
    body.signature.name = "body"
    body.node_def.add(name="attack", op="WriteFile")
    add_call(function_of(graph, "__traced_restore").node_def.add(), "body")


def written_in_the_graph(graph):
    graph.graph_def.node.add(name="attack", op="WriteFile")


def function_of_the_same_name(graph):
    library = graph.graph_def.library.function
    harmless = function_of(graph, "__inference_serve")
    library.add().CopyFrom(harmless)
    harmless.node_def.add(name="attack", op="WriteFile")


def function_named_like_an_operation(graph):
    graph.graph_def.library.function.add().signature.name = "WriteFile"
    function_of(graph, "__inference_serve").node_def.add(name="attack", op="WriteFile")


def saver_node_that_writes(graph):
    node = next(n for n in graph.graph_def.node if n.name == graph.saver_def.restore_op_name)
    node.op = "WriteFile"


def asset(graph):
    graph.object_graph_def.nodes.add().asset.asset_file_def_index = 0


def keras_object(graph):
    graph.object_graph_def.nodes[0].user_object.identifier = "_tf_keras_layer"


def saver_of_its_own(graph):
    graph.object_graph_def.nodes[0].registered_saver = "attack"


def tensorflow_1(graph):
    graph.ClearField("object_graph_def")


@pytest.mark.parametrize(
    ("change", "strange"),
    [
        (write_in_the_saver, "WriteFile"),
        (saver_called_by_the_network, "MergeV2Checkpoints"),
        (saver_as_the_operation_itself, "__inference__traced_save_[0-9]+"),
        (saver_as_signature, "MergeV2Checkpoints"),
        (saver_behind_the_signature, "MergeV2Checkpoints"),
        (saver_calls_a_function, "StatefulPartitionedCall, WriteFile, a saver of another form"),
        (written_in_the_graph, "WriteFile"),
        (function_of_the_same_name, "WriteFile"),
        (function_named_like_an_operation, "WriteFile"),
        (saver_node_that_writes, "a saver of another form"),
        (asset, "an object of kind asset"),
        (keras_object, "an object _tf_keras_layer"),
        (saver_of_its_own, "an object with a saver of its own"),
        (tensorflow_1, "the form of TensorFlow 1"),
    ],
)
def test_forms_that_exports_have_not(change, strange, exports, tmp_path):
    with pytest.raises(ValueError, match=f"Received: .*model with .*{strange}"):
        models.load(changed(exports["srcnn"], tmp_path / "model", change))


def test_an_unchanged_copy_passes(exports, tmp_path):
    copy = changed(exports["srcnn"], tmp_path / "model", lambda graph: None)
    assert safety.strange_parts(copy) == []
    attacked = changed(copy, tmp_path / "attacked", written_in_the_graph)
    assert safety.strange_parts(attacked) == ["WriteFile"]
