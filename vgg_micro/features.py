"""Frozen feature extractors for the content loss: images in [-1, 1] -> a list of float32 feature maps.

mini-VGG19 (``micro``) and ImageNet VGG19 (``imagenet``) are interchangeable: each preprocesses by itself.
"""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from msrgan.io.listing import contents
from msrgan.networks.folding import fold_batch_norm
from vgg_micro.network import CONVOLUTIONS

Tensor = Any

# The last activation of each of the five groups, as in the thesis.
_LAYER = re.compile(r"block\d_conv\d(_act)?")
LAST_ACTIVATIONS = tuple(f"block{b}_conv{n}_act" for b, n in enumerate(CONVOLUTIONS, start=1))

# Mean of ImageNet in the order blue, green, red, 0..255: the preprocessing VGG19 was trained with.
_IMAGENET_MEAN = (103.939, 116.779, 123.68)
# arXiv 1609.04802, section 3.2: features / 12.75, so that the content loss is of the order of the MSE.
_IMAGENET_SCALE = 1 / 12.75


class Features:
    """A frozen network as a function: ``features(images) -> list`` of ``(B, H', W', F)`` float32 maps.

    Not a Keras layer: a model that holds one neither trains its weights nor writes them to checkpoints.

    Args:
        model: images -> the feature maps; it is frozen.
        layers: names of the layers whose outputs these are.
        preprocess: maps images in [-1, 1] to what the model was trained on.
        scale: factor of the feature maps.

    Attributes:
        channels: channels of the images that it takes; a grey image is repeated to them.
        layers: names of the layers whose outputs it returns.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[str],
        *,
        preprocess: Callable[[Tensor], Tensor] | None = None,
        scale: float = 1.0,
    ):
        model.trainable = False
        self.channels = model.inputs[0].shape[-1]
        self.layers = tuple(layers)
        self._model, self._preprocess, self._scale = model, preprocess, scale

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the weights."""
        digest = hashlib.sha256()
        for weight in self._model.get_weights():
            digest.update(weight.tobytes())
        return digest.hexdigest()

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of images in [-1, 1], ``(B, H, W, channels)`` or grey ``(B, H, W, 1)``.

        Raises:
            ValueError: the images have other channels.
        """
        channels = images.shape[-1]
        if channels not in (1, self.channels):
            raise ValueError(
                f"Images must have 1 or {self.channels} channels, as the feature extractor was trained with "
                f"{self.channels}. Received: {channels}. Train one on such images, or use no content loss."
            )
        if channels != self.channels:
            images = ops.repeat(images, self.channels, axis=-1)
        if self._preprocess is not None:
            images = self._preprocess(images)
        maps = keras.tree.flatten(self._model(images, training=False))  # one output comes without its list
        return [self._scale * ops.cast(x, "float32") for x in maps]


def micro(path: str | os.PathLike | keras.Model, *, layers: Sequence[str] = LAST_ACTIVATIONS) -> Features:
    """Return the features of a trained mini-VGG19, batch norm folded, for images of any H and W.

    It computes in the dtype policy in force (``keras.config.dtype_policy()``).

    Args:
        path: a ``vgg.keras`` file, the run folder that holds one, or the model itself.
        layers: names of layers; "block5_conv4_act" is after and "block5_conv4" before the activation, batch
            norm included. Default: the last activation of each group.

    Returns:
        A ``Features``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no mini-VGG19, or the network has no layer of that name.
    """
    model = path if isinstance(path, keras.Model) else _load(path)
    shape = (None, None, model.input.shape[-1])
    folded = fold_batch_norm(_trunk(model, layers), shape=shape, dtype=keras.config.dtype_policy())
    return Features(folded, layers)


def imagenet(weights: str | os.PathLike = "imagenet", *, layers: Sequence[str] = ("block5_conv4",)) -> Features:
    """Return features of VGG19 trained on ImageNet, divided by 12.75 (arXiv 1609.04802, section 3.2).

    Args:
        weights: "imagenet" (downloaded once by Keras), or a file of weights for
            ``keras.applications.VGG19(include_top=False)``.
        layers: names of layers; "block5_conv4" is before and "block5_conv4_act" after the activation.

    Returns:
        A ``Features`` for three channels; grey images are repeated.

    Raises:
        FileNotFoundError: the file does not exist, or the weights cannot be downloaded.
        ValueError: the network has no layer of that name.
    """
    trunk = _trunk(_imagenet_vgg19(weights), layers)
    return Features(trunk, layers, preprocess=_imagenet_input, scale=_IMAGENET_SCALE)


def _trunk(model, names):
    """Return the part of a network that leads to the named layers; batch norm is part of its convolution."""
    known = [layer.name for layer in model.layers]
    usable = [name for name in known if _LAYER.fullmatch(name)]
    outputs = []
    for name in names:
        if name not in usable:
            raise ValueError(f"`layers` must name layers of {model.name}. Received: {name!r}. They are: {usable}.")
        outputs.append(model.get_layer(f"{name}_bn" if f"{name}_bn" in known else name).output)
    return keras.Model(model.input, outputs)


def _load(path):
    path = Path(path)
    file = path / "vgg.keras" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"A run of stage 1 holds vgg.keras, a trained mini-VGG19. Received: {path}, {contents(path)}. "
            "Train one first by train_vgg.py, name another run or file (`vgg` builtin is one that ships), or train "
            "without a content loss."
        )
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras raises anything of a file that is not its own, or has layers of others
        raise ValueError(
            f"A feature extractor is read from the vgg.keras of stage 1. Received: {file}, which cannot be read as a "
            f"network ({type(error).__name__}). Name another one."
        ) from error


def _imagenet_vgg19(weights):
    """Return VGG19 without its head, each activation a layer of its own, "blockN_convM_act"."""
    if weights != "imagenet" and not Path(weights).is_file():
        raise FileNotFoundError(
            f"`weights` must name a file of VGG19 weights. Received: {weights}, which is no file. Check the name."
        )
    try:
        vgg = keras.applications.VGG19(include_top=False, weights=str(weights), input_shape=(None, None, 3))
    except Exception as error:  # get_file raises a bare Exception when the download fails
        if weights != "imagenet":
            raise ValueError(
                f"`weights` must name weights of VGG19(include_top=False). Received: {weights} ({error}). Name another."
            ) from error
        raise FileNotFoundError(
            f"The ImageNet weights of VGG19 are downloaded once. Received: {error}. Give a copy of them, "
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 of keras-applications, as `weights`, or use "
            "the features of a mini-VGG19."
        ) from error
    # Activations of ImageNet VGG19 reach tens of thousands: float16 would overflow, bfloat16 does not.
    policy = keras.config.dtype_policy()
    dtype = "float32" if policy.compute_dtype == "float16" else policy

    def linear(layer):
        config = {**layer.get_config(), "dtype": dtype}
        if isinstance(layer, keras.layers.Conv2D):
            config["activation"] = None
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        x = layer(*args, **kwargs)
        if isinstance(layer, keras.layers.Conv2D):
            x = keras.layers.ReLU(dtype=dtype, name=f"{layer.name}_act")(x)
        return x

    copy = keras.models.clone_model(vgg, clone_function=linear, call_function=call)
    copy.set_weights(vgg.get_weights())
    return copy


def _imagenet_input(images):
    """Map [-1, 1] RGB to what VGG19 was trained on: 0..255, blue first, mean subtracted."""
    return ops.flip((images + 1) * 127.5, axis=-1) - ops.convert_to_tensor(_IMAGENET_MEAN, dtype=images.dtype)
