"""Write models.md: the cards of the models that ship, with a picture of each.

python docs/models.py
"""

from pathlib import Path

from msrgan import zoo
from msrgan.zoo import text

HEAD = """# Models that ship

These models are part of the package: nothing is downloaded. `msrgan models` lists them, `msrgan models NAME` prints a
card as below, and each is used by its name:

```sh
msrgan upscale coarse/ -o fine/                         # chooses by the kind of each image, and says which
msrgan upscale coarse/ -o fine/ --model fluorescence    # or you choose
msrgan evaluate --model tissue --data held_out/ --out report/
python train_srgan.py --data few/ --variant span --init fluorescence --pretrain-steps 300 --steps 0 --out runs/few
msrgan export fluorescence --format onnx -o cells.onnx
```

```python
model = msrgan.load("fluorescence")
```

**They learnt from other images than yours.** What they add is a guess that fits those images. A model of your own, even
one that goes on from these with a few sharp images of your microscope, is better:
[training.md](training.md#few-images).

Where `--model` is left out, RGB on a bright ground gets `tissue`, what is not RGB `fluorescence`, whatever it shows:
phase contrast too (`fluorescence-x2` with `--scale 2`). RGB with three equal samples counts as grey. RGB on a dark
ground looks like fluorescence in false colours; it is refused, and you choose.

A name is a text without a slash: where a folder of yours is called `tissue`, name it `./tissue`.

How they are made, and from what: [recipes](../recipes/README.md). What was tried:
[results.md](results.md#models-that-ship).

Scores are of images that no training has seen. Recipes were chosen among several by such scores, though, so these may
be a little too good. Where a source is not among those that a model learnt from, all of it was kept out (of Ki67
another field, but of the same slide). *Coarse by* is how sharp images were made coarse. *Gain* is over bicubic
interpolation, with its 95 % interval over the images where there are enough of them. *Brightness kept to* is how far
the mean of an image was from that of its coarse image, at worst.

In the pictures each row is a held-out image. The last row shows one of those that gain least. That of
`mini-vgg19` shows which class it takes for which.
"""


def page() -> str:
    """Return the page."""
    cards = [_below(text.page(zoo.card(name)), f"![{name}](models/{name}.png)") for name in zoo.NAMES]
    return "\n".join([HEAD, *cards])


def _below(card: str, picture: str) -> str:
    """Put a card one heading deeper, and its picture below its first line."""
    title, first, rest = card.split("\n\n", 2)
    return f"#{title}\n\n{first}\n\n{picture}\n\n{rest}\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
