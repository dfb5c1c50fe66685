"""The catalogue: which image sets there are, where they come from, and which are prepared; nothing is written."""

import inspect
import os
import re
import textwrap
from pathlib import Path

import tensorflow_datasets as tfds

from msrgan import options_text
from msrgan.datasets import copies, registry
from msrgan.datasets.builder import RAW_FILES

WIDTH = 100

_FOLDERS = """\
Folders are read where they lie, without being prepared: --data FOLDER
  images      Files at any depth, of all formats that `msrgan upscale` reads. Each plane of a stack
              is an image, and no split cuts a stack. Folders train, val and test are the splits;
              without, 15 % are held out. Classes: one folder each, or names CC_ID.png. Label maps,
              for scores: a folder labels or masks beside a folder images, of the same file names.
  pairs       A folder with lr and hr, and no image beside them: the same fields imaged twice, under
              the same file names. An lr image is exactly 1/scale the size of its hr image, and
              registered to it."""

_MORE = """\
`msrgan datasets NAME` tells all about a set. With --prepare (and --manual-dir, where its raw files
lie) it makes the prepared copy; training does that by itself at the first use of --data NAME,
NAME/CONFIGURATION or NAME:OPTION=VALUE,..."""


def overview(data_dir: str | os.PathLike | None = None) -> str:
    """Describe every registered set in a few lines, and the layouts of plain folders.

    Args:
        data_dir: folder of prepared copies; default `~/tensorflow_datasets`.
    """
    return "\n\n".join([*(_summary(name, data_dir) for name in sorted(registry.BUILDERS)), _FOLDERS, _MORE])


def details(data: str, data_dir: str | os.PathLike | None = None) -> str:
    """Describe one registered set in full: contents, configurations, how to get it, how to cite it.

    Args:
        data: its name; a configuration and options are left aside.
        data_dir: folder of prepared copies; default `~/tensorflow_datasets`.

    Raises:
        ValueError: there is no such set, or it has no such configuration or option.
    """
    name = name_of(data)
    builder = registry.described(name)
    sections = [_summary(name, data_dir)]
    description = builder.info.description.partition(RAW_FILES)[0]
    sections += [textwrap.fill(paragraph, WIDTH) for paragraph in description.strip().split("\n\n")]
    if builder.BUILDER_CONFIGS:
        rows = [_row(config.name, config.description or "") for config in builder.BUILDER_CONFIGS]
        sections.append("\n".join(["Configurations", *rows]))
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        sections.append("How to get it\n" + _indented(builder.MANUAL_DOWNLOAD_INSTRUCTIONS))
    sections.append("How to cite it\n" + _indented(builder.info.citation))
    return "\n\n".join(sections)


def name_of(data: str) -> str:
    """Return the name of a registered set without configuration and options; ValueError if one of these is unknown."""
    if not registry.is_registered(data):
        raise ValueError(f"A registered set is one of {', '.join(sorted(registry.BUILDERS))}. Received: {data}.")
    registry.described(data)
    return options_text.parse(data)[0].partition("/")[0]


def prepared(data: str, data_dir: str | os.PathLike | None = None) -> dict[str, dict[str, int] | None]:
    """List the prepared copies of a registered set.

    Returns:
        The number of examples in each split, or None of a damaged copy, under its folder: "NAME[/CONFIG]/VERSION".
    """
    root, counts = _root(data_dir), {}
    folder = root / name_of(data)
    for path in sorted([*folder.glob("*/dataset_info.json"), *folder.glob("*/*/dataset_info.json")]):
        # What TFDS is writing, or was when it was killed, has another name.
        if not path.parent.name.startswith("incomplete."):
            copy = path.parent.relative_to(root).as_posix()
            try:
                counts[copy] = copies.check(path.parent)
            except ValueError:
                counts[copy] = None
    return counts


def _summary(name, data_dir):
    builder = registry.described(name)
    first, *others = [config.name for config in builder.BUILDER_CONFIGS] or [None]
    rows = [name, textwrap.fill(inspect.getdoc(builder).splitlines()[0], WIDTH, initial_indent="  ")]
    if others:
        rows.append(_row("as", ", ".join([f"{name}/{first} (default)", *(f"{name}/{other}" for other in others)])))
    if builder.OPTIONS:
        rows.append(_row("options", f"{options_text.render(name, builder.OPTIONS)} (the defaults)"))
    manual = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    rows.append(_row("raw files", builder.info.homepage if manual else "none: it is made, not downloaded"))
    rows.append(_row("licence", builder.info.redistribution_info.license))
    titles = re.findall(r"\btitle\s*=\s*{+(.+?)}+", builder.info.citation)
    rows.append(_row("cite", "; ".join(titles)))
    counts = [f"{_root(data_dir) / copy}: {_counts(splits)}" for copy, splits in prepared(name, data_dir).items()]
    rows += [_row("prepared", line) for line in counts or [f"not yet in {_root(data_dir)}"]]
    return "\n".join(rows)


def _root(data_dir):
    return Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()


def _counts(splits):
    if splits is None:
        return "damaged; delete it and prepare it again"
    return ", ".join(f"{split} {splits[split]}" for split in ("train", "validation", "test") if split in splits)


def _row(key, text):
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=f"  {key:<11} ",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _indented(text):
    return textwrap.indent(inspect.cleandoc(text), "  ")
