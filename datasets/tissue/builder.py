"""Tissue: large images, screenshots of slides or whole slides, cut into tiles."""

import dataclasses
import sys
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils

from msrgan.datasets import beam as beams
from msrgan.datasets.splits import check_filled, named_splits, split_of, three_ways
from msrgan.datasets.tally import Tallied
from msrgan.datasets.tissue.slides import list_sources, tiles


class Source(NamedTuple):
    """One image or slide: its file, its path below the folder, what a split never cuts, the split or None."""

    path: Path
    name: str
    group: str
    split: str | None


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
        """What two prepared copies differ by."""
        return {name: getattr(self, name) for name in ("tile", "stride", "background", "level", "bits")}


class Tissue(Tallied, beams.WithBeam, tfds.core.GeneratorBasedBuilder):
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

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        TissueConfig(name="disjoint", description="Tiles of 192x192 pixels that do not overlap."),
        TissueConfig(name="192", stride=36, description="The lineage's tiles of 192x192 pixels, every 36 pixels."),
        TissueConfig(
            name="840", tile=840, stride=36, description="The lineage's tiles of 840x840 pixels, every 36 pixels."
        ),
    ]
    OPTIONS = {"tile": 192, "stride": 0, "background": 0.8, "level": 0, "bits": 8, "beam": "off"}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Put large images or screenshots (PNG, JPEG, BMP, TIFF) into the manual directory, at any depth;
    with `pip install 'msrgan[slides]'` also whole slides (.svs, .ndpi, .scn, pyramidal .tif). Every
    file is a source of its own; files that show the same slide go into one folder, which is then one
    source. Folders train, val and test at the top are the splits; without, 15 % of the sources each are
    held out for validation and test, which needs three sources or more. The lineage's images are 25
    screenshots of the Bio-Atlas, http://bio-atlas.psu.edu/human/index.php; free slides:
    https://openslide.cs.cmu.edu/download/openslide-testdata.
    """

    def __init__(self, *, config=None, tile=192, stride=0, background=0.8, level=0, bits=8, **kwargs):
        if not isinstance(config, TissueConfig):
            config = _configuration(config, tile, stride, background, level, bits)
        super().__init__(config=config, **kwargs)

    def _info(self):
        cut = self.builder_config
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                f"Tiles of {cut.tile}x{cut.tile} pixels, every {cut.stride} pixels, from large images of tissue. A "
                f"tile is left out if more than {cut.background:g} of it is background: bright and colourless, that "
                "is every channel at 0.8 of the full scale or more and at most 0.1 of it apart. Splits are made of "
                "whole sources before they are cut: tiles of one source overlap and look alike.\n\n"
                "Options: tile and stride in pixels (stride 0: the tile's side, or that of the configuration); "
                "background, the fraction above which a tile is left out (1 keeps all); level of whole slides, 0 the "
                "largest; bits, 8 or 16; beam, on to prepare through Apache Beam."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    # Grey and colour sources keep their channels: who uses them decides over the whole set.
                    "image": tfds.features.Image(
                        shape=(cut.tile, cut.tile, None), dtype=np.uint8 if cut.bits == 8 else np.uint16
                    ),
                    "group": tfds.features.Text(),
                }
            ),
            homepage="http://bio-atlas.psu.edu/human/index.php",
            license="That of your own images; for the Bio-Atlas see its site.",
            citation="""@misc{bioatlas,
  title={Bio-Atlas},
  author={{Penn State University}},
  howpublished={http://bio-atlas.psu.edu}
}""",
        )

    def _split_generators(self, dl_manager):
        folder = Path(dl_manager.manual_dir)
        sources = _sources(folder)
        usable = self._usable(sources)
        unused = {source.split for source in sources} - named_splits(usable)
        for name in sorted(unused & {"validation", "test"}):
            print(
                f"warning: no image in the {name} folder of {folder} can be used: {name} is held out of train",
                file=sys.stderr,
            )
        splits = three_ways(usable, label=lambda source: None, group=attrgetter("group"), named=attrgetter("split"))
        check_filled(
            splits,
            f"{folder} has too few sources that hold tiles",
            "A split by source, which is an image or a folder of one slide, needs three, or folders train, val and "
            f"test. Received: {len({source.group for source in usable})}. Add images.{self._tally.why()}",
        )
        return {name: self._generate_examples(part) for name, part in splits.items()}

    def _usable(self, sources):
        """Open every source as far as its first tile, so that only those with tiles are split."""
        usable = []
        for source in tqdm_utils.tqdm(sources, desc="Opening sources", unit=" sources", leave=False):
            try:
                first = next(self._cut(source.path), None)
                if first is None:
                    raise ValueError(f"{source.path}: all of its tiles are background")
                channels = first[-1].shape[-1]
                if channels > 4:
                    raise ValueError(f"{source.path}: a tile has 1 to 4 channels. Received: {channels}")
            except ValueError as error:
                self._tally.skip(error)
                continue
            if first[-1].dtype.itemsize * 8 > self.builder_config.bits:
                raise ValueError(f"{source.path} has 16-bit pixels, this copy of tissue has not. Use tissue:bits=16.")
            usable.append(source)
        return usable

    @property
    def _cut(self):
        cut = self.builder_config
        return partial(tiles, tile=cut.tile, stride=cut.stride, background=cut.background, level=cut.level)

    def _generate_examples(self, sources):
        dtype = self.info.features["image"].np_dtype
        make = partial(_examples_of, cut=self._cut, dtype=dtype, skip=self._tally.skip)
        return beams.examples(sources, make, beam=self._beam)


def _examples_of(source, *, cut, dtype, skip):
    try:
        for top, left, tile in cut(source.path):
            name = f"{source.name}_y{top:04d}_x{left:04d}"
            yield name, {"id": name, "image": tile.astype(dtype), "group": source.group}
    except ValueError as error:
        skip(f"{error}; the tiles above are kept")


def _configuration(name, tile, stride, background, level, bits):
    """Make the configuration of these options, or find it among those that have a name."""
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
    return same or TissueConfig(name=made, **options)


def _sources(folder):
    sources = []
    for path in list_sources(folder):
        parts = path.relative_to(folder).parts
        split = split_of(path, folder)
        # One folder a slide, else one file; but `images` is the one beside `labels`, no slide.
        start = int(split is not None)
        start += parts[start].lower() == "images"
        group = parts[: start + 1]
        sources.append(Source(path, "/".join(parts), "/".join(group), split))
    return sources
