"""TensorFlow: the exported model as it is, by its signature."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from msrgan.models.engines.base import Engine


class TensorFlow(Engine):
    """The signature of a SavedModel."""

    name = "tensorflow"

    def __init__(self, path: Path, metadata: dict[str, Any], precision: str = "float32"):
        """Load a SavedModel.

        Raises:
            ValueError: it cannot be loaded, or its signature is another than its card says.
        """
        super().__init__(path, metadata, precision)
        try:
            # Kept: a signature alone has weak references to its variables.
            self._model = tf.saved_model.load(str(path))
            self._signature = self._model.signatures["serving_default"]
            inputs, outputs = self._signature.structured_input_signature[1], self._signature.structured_outputs
        except MemoryError:
            raise
        except Exception as error:  # of any kind: TensorFlow checks little of what it reads
            raise ValueError(f"{path} is a damaged model ({type(error).__name__}). Export it again") from error
        channels = metadata["channels"]
        image = tf.TensorSpec((None, None, None, channels), tf.float32)
        if set(inputs) != {"image"} or not inputs["image"].is_compatible_with(image) or "upscaled" not in outputs:
            raise ValueError(
                f"{path}: a model of {channels} channels makes upscaled of image, float32 {image.shape}. "
                f"Received: {', '.join(outputs)} of {', '.join(map(str, inputs.values()))}. Export the model again"
            )

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarge a batch."""
        return self._signature(image=tf.convert_to_tensor(batch))["upscaled"].numpy()
