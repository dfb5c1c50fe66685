"""LiteRT, once TensorFlow Lite: one file for telephones, browsers and small computers."""

from pathlib import Path

import tensorflow as tf

from msrgan.models.formats.source import Source


def write(source: Source, target: Path) -> None:
    """Write NAME.tflite, float32, batch, H and W free, with the signature `serving_default` of the SavedModel.

    Raises:
        ValueError: the model has operations that LiteRT lacks.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(source.folder), signature_keys=["serving_default"])
    try:
        content = converter.convert()
    except Exception as error:  # of any kind, with the whole graph in its text
        raise ValueError(f"{source.folder} cannot be converted to LiteRT ({type(error).__name__})") from error
    target.write_bytes(content)
