"""OpenVINO's own format, IR: a graph, NAME.xml, and its weights, NAME.bin."""

from pathlib import Path

from msrgan.models.packages import openvino, openvino_core


def write(model: Path, target: Path) -> None:
    """Convert an exported model; batch, H and W stay free, weights float32.

    Args:
        model: its folder, whose operations and files were checked.
        target: NAME.xml. NAME.bin is written beside it.

    Raises:
        ValueError: OpenVINO is not installed, or cannot convert the model.
        OSError: the files cannot be written.
    """
    library = openvino()
    try:
        # Not by openvino.convert_model, which would report how it went.
        network = openvino_core().read_model(model)
    except RuntimeError as error:  # whatever it cannot do
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{model} cannot be converted to OpenVINO ({reason}). Use another engine or format") from error
    library.save_model(network, target, compress_to_fp16=False)
