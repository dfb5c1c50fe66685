"""Tissue: large images, screenshots of slides or whole slides, cut into tiles."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils

from msrgan import messages
from msrgan.datasets.beam import Example
from msrgan.datasets.builder import Builder
from msrgan.datasets.records import Record
from msrgan.datasets.splits import check_all_named, named_by
from msrgan.datasets.tally import Tally
from msrgan.datasets.tissue.slides import list_sources, tiles

# What two prepared copies differ by.
CUT = ("tile", "stride", "background", "level", "bits")


@dataclasses.dataclass(eq=False)
class TissueConfig(tfds.core.BuilderConfig):
    """How tiles are cut; see `Tissue`."""

    tile: int = 192
    stride: int = 192
    background: float = 0.8
    level: int = 0
    bits: int = 8

    @property
    def options(self) -> dict[str, float]:
        """Return how tiles are cut."""
        return {name: getattr(self, name) for name in CUT}


class Tissue(Builder):
    """Tiles of tissue from your own large images, screenshots or whole slides, split by source.

    Args:
        config: "192" or "840" for the tiles of the lineage, or a `TissueConfig`.
        tile: side of a tile in pixels.
        stride: pixels from one tile to the next. 0 is the tile's side, so that no pixel is stored twice (training
            crops at random places anyway), or the stride of a `config`: 36, as the lineage made many tiles of few
            screenshots. For whole slides 36 is no choice: at 840 every pixel would be stored 544 times.
        background: leave out a tile if more than this fraction of it is background, which is bright and colourless
            glass, see `slides.background_fraction`; 1 keeps every tile.
        level: of whole slides, 0 the largest.
        bits: 8 or 16. With 16, 8-bit sources are kept by value.
        beam: "on" to prepare the set through Apache Beam.

    Raises:
        ValueError: if an option is out of its range.
    """

    HOMEPAGE = "http://bio-atlas.psu.edu/human/index.php"
    LICENCE = "That of your own images; for the Bio-Atlas see its site."
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        TissueConfig(name="disjoint", description="Tiles of 192x192 pixels that do not overlap."),
        TissueConfig(name="192", stride=36, description="The lineage's tiles of 192x192 pixels, every 36 pixels."),
        TissueConfig(
            name="840", tile=840, stride=36, description="The lineage's tiles of 840x840 pixels, every 36 pixels."
        ),
    ]
    OPTIONS = {"tile": 192, "stride": 0, "background": 0.8, "level": 0, "bits": 8, "beam": "off"}
    NEEDS = (
        "sources that hold tiles",
        "A split by source, which is an image or a folder of one slide, needs three, or folders train, val and test.",
    )

    def configuration(self, config: Any) -> TissueConfig:
        """Return the configuration of the options, one with a name if there is one."""
        if isinstance(config, TissueConfig):
            return config
        return _configuration(config, **{name: self.options[name] for name in CUT})

    def features(self) -> dict[str, Any]:
        """Return what an example has besides its id and its group."""
        cut = self.builder_config
        return {
            # Grey and colour sources keep their channels: who uses them decides over the whole set.
            "image": tfds.features.Image(
                shape=(cut.tile, cut.tile, None), dtype=np.uint8 if cut.bits == 8 else np.uint16
            ),
        }

    def records(self, folder: Path, tally: Tally) -> list[Record]:
        """List the sources that hold a tile: each is opened as far as its first."""
        sources = [_source(path, folder) for path in list_sources(folder, skip=tally.skip)]
        usable = []
        for source in tqdm_utils.tqdm(sources, desc="Opening sources", unit=" sources", leave=False):
            try:
                dtype = self._first_tile(source).dtype
            except ValueError as error:
                tally.skip(error)
                continue
            if dtype.itemsize * 8 > self.builder_config.bits:
                raise ValueError(
                    f"{source.paths[0]} has 16-bit pixels, this copy of tissue has not. Use tissue:bits=16."
                )
            usable.append(source)
        unused = {source.split for source in sources} - check_all_named(usable)
        for name in sorted(unused & {"validation", "test"}):
            messages.warn(f"no image in the {name} folder of {folder} can be used: {name} is held out of train")
        return usable

    def reader(self) -> Callable[[Record], Iterator[Example]]:
        """Return the function that cuts a source into tiles."""
        return partial(_read, cut=self._cut, dtype=self._dtype)

    def _first_tile(self, source):
        (path,) = source.paths
        first = next(self._cut(path), None)
        if first is None:
            raise ValueError(f"{path}: all of its tiles are background")
        channels = first[-1].shape[-1]
        if channels > 4:
            raise ValueError(f"{path}: a tile has 1 to 4 channels. Received: {channels}")
        return first[-1]

    @property
    def _cut(self):
        options = self.builder_config.options
        return partial(tiles, **{name: options[name] for name in CUT if name != "bits"})


def _read(source, *, cut, dtype):
    (path,) = source.paths
    try:
        for top, left, tile in cut(path):
            name = f"{source.id}_y{top:04d}_x{left:04d}"
            deeper = tile.astype(dtype) if np.can_cast(tile.dtype, dtype) else tile
            yield name, {"id": name, "image": deeper, "group": source.group}
    except ValueError as error:
        raise ValueError(f"{error}; the tiles above are kept") from error


def _configuration(name, tile, stride, background, level, bits):
    """Return the configuration of these options, one with a name if there is one."""
    if min(tile, 1 + stride, 1 + level) < 1 or bits not in (8, 16) or not 0 <= background <= 1:
        raise ValueError(
            "tissue takes tile >= 1, stride >= 0 (0: the tile), level >= 0, background from 0 to 1 and bits 8 or 16. "
            f"Received: tile={tile}, stride={stride}, level={level}, background={background:g}, bits={bits}."
        )
    known = {config.name: config for config in Tissue.BUILDER_CONFIGS}
    if name:
        if name not in known or tile not in (known[name].tile, Tissue.OPTIONS["tile"]):
            raise ValueError(
                f"A configuration of tissue is one of {', '.join(known)} and has its own tile. "
                f"Received: tissue/{name}:tile={tile}. Use tissue:tile={tile}."
            )
        tile, stride = known[name].tile, stride or known[name].stride
    options = {"tile": tile, "stride": stride or tile, "background": background, "level": level, "bits": bits}
    same = next((config for config in known.values() if config.options == options), None)
    made = "tile{tile}_stride{stride}_background{background:g}_level{level}_{bits}bit".format(**options)
    description = f"Tiles of {tile}x{tile} pixels, every {options['stride']} pixels."
    return same or TissueConfig(name=made, description=description, **options)


def _source(path, folder):
    parts = path.relative_to(folder).parts
    split = named_by(path, folder)
    # One folder a slide, else one file; but `images` is the one beside `labels`, no slide.
    start = int(split is not None)
    start += parts[start].lower() == "images"
    return Record("/".join(parts), "/".join(parts[: start + 1]), (path,), split=split)
