"""ONNX: one file of a graph and its weights."""

import logging
from pathlib import Path

import tensorflow as tf

from msrgan.models.packages import MissingPackageError, required

# Of 2022: nothing here needs a later one, and older runtimes read it, too.
OPSET = 18
SIDES, ENLARGED = ("batch", "height", "width"), ("batch", "enlarged_height", "enlarged_width")


def write(model: Path, target: Path) -> None:
    """Convert an exported model: `image` (batch, height, width, C) to `upscaled`; batch, H and W free, float32.

    Args:
        model: its folder, whose operations and files were checked.
        target: NAME.onnx.

    Raises:
        ValueError: tf2onnx is not installed, or cannot convert the model.
        OSError: the file cannot be written.
    """
    converter = required("tf2onnx.convert", "onnx")
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it tells each step
    loaded = tf.saved_model.load(str(model))
    signature = loaded.signatures["serving_default"]
    image = signature.structured_input_signature[1]["image"]

    @tf.function(input_signature=[tf.TensorSpec(image.shape, tf.float32, name="image")])
    def serve(image):
        return {"upscaled": signature(image=image)["upscaled"]}

    try:
        # Of one channel, and after some conversions in a process, it forgot to remove an axis that it had added (1.17).
        required("tf2onnx.optimizer", "onnx")._get_optimizers().pop("reshape_optimizer", None)
        converted, _ = converter.from_function(serve, input_signature=serve.input_signature, opset=OPSET)
        # Of an operation that it does not know the converter only tells.
        required("onnx.checker", "onnx").check_model(converted)
    except MissingPackageError:
        raise
    except Exception as error:  # of any kind
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{model} cannot be converted to ONNX ({reason}). Use another engine or format") from error
    for value, sides in ((converted.graph.input[0], SIDES), (converted.graph.output[0], ENLARGED)):
        *dimensions, _ = value.type.tensor_type.shape.dim
        if len(dimensions) != len(sides):
            raise ValueError(
                f"{model} cannot be converted to ONNX (its {value.name} has {len(dimensions) + 1} axes). Use another "
                "engine or format"
            )
        for dimension, name in zip(dimensions, sides, strict=True):
            dimension.dim_param = name
    target.write_bytes(converted.SerializeToString())
