"""The card of a model inside the files that others open, as JSON; beside the file where it has no room for it."""

import json
import zipfile
from pathlib import Path
from typing import Any

from msrgan.models.card import METADATA

KEY = "msrgan"


def into_archive(file: Path, card: dict[str, Any]) -> None:
    """Add msrgan.json to a ZIP archive; behind a file that is none, as TensorFlow Lite's own metadata lie."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(METADATA, _text(card))


def into_onnx(file: Path, card: dict[str, Any]) -> None:
    """Set the property `msrgan` of an ONNX model."""
    import onnx

    model = onnx.load(file)
    model.producer_name, model.producer_version = KEY, card["version"]
    onnx.helper.set_model_props(model, {KEY: _text(card)})
    onnx.save(model, file)


def into_openvino(file: Path, card: dict[str, Any]) -> None:
    """Set the runtime information `msrgan` of an OpenVINO model, NAME.xml."""
    from msrgan.models.packages import openvino, openvino_core

    library = openvino()
    model = openvino_core().read_model(file)
    model.set_rt_info(_text(card), [KEY])
    # Beside it first: NAME.bin is open as long as the model is.
    with_card = file.with_name(f"{KEY}-{file.name}")
    library.save_model(model, with_card, compress_to_fp16=False)
    del model
    for suffix in (".xml", ".bin"):
        with_card.with_suffix(suffix).replace(file.with_suffix(suffix))


def beside(file: Path, card: dict[str, Any]) -> None:
    """Write NAME.json beside a file."""
    file.with_suffix(".json").write_text(_text(card) + "\n")


def _text(card: dict[str, Any]) -> str:
    return json.dumps(card, indent=1)
