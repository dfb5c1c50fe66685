"""How the pixels of a result came to be: what is written into its file."""

from msrgan.io.provenance import software
from msrgan.models import Upscaler


def provenance(model: Upscaler, name: str | None = None) -> dict[str, str]:
    """Say what enlarged an image, by what program, and that the result is no measurement.

    Args:
        model: that did.
        name: of the model, such as its folder; by default its own, or what it says of itself.
    """
    fingerprint = model.metadata.get("fingerprint")
    return {
        "software": software(),
        "model": name or model.metadata.get("name") or repr(model),
        **({"fingerprint": fingerprint} if fingerprint else {}),
        **({"engine": model.engine, "precision": model.precision} if model.engine else {}),
        "scale": str(model.scale),
        "note": "computationally generated: not a measurement",
    }
