"""SavedModel: a copy of an exported model."""

import json
import shutil
from pathlib import Path

from msrgan.models.card import METADATA
from msrgan.models.formats.source import Source


def write(source: Source, target: Path) -> None:
    """Copy the folder of a model, with its card."""
    shutil.copytree(source.folder, target, dirs_exist_ok=True)
    (target / METADATA).write_text(json.dumps(source.card, indent=1) + "\n")
