"""Networks: one paper a file, plain functions that return a ``keras.Model``.

Importing this package registers every custom layer, so that ``keras.saving.load_model`` finds them.
"""

from msrgan.networks.discriminator import discriminator
from msrgan.networks.folding import fold_batch_norm, unfold
from msrgan.networks.receptive import receptive_radius
from msrgan.networks.rrdb import rrdbnet
from msrgan.networks.span import span
from msrgan.networks.srcnn import srcnn
from msrgan.networks.srresnet import srresnet

__all__ = [
    "discriminator",
    "fold_batch_norm",
    "receptive_radius",
    "rrdbnet",
    "span",
    "srcnn",
    "srresnet",
    "unfold",
]
