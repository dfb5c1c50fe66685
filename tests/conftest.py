"""Fixtures: folders of small images, and the two training scripts in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("MSRGAN_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def real_data():
    """Folder of real images, which are not part of the project."""
    if not DATA.is_dir():
        pytest.skip(f"no real images in {DATA}; set MSRGAN_DATA")
    return DATA


def spots(seed, size=48, channels=3, dtype=np.uint8):
    """Bright blobs of random place and size on a dark, slightly noisy ground."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    image = rng.normal(0.05, 0.01, (size, size, channels))
    for _ in range(6):
        y, x, radius = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(2, 6)
        blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
        image += blob[..., None] * rng.uniform(0.2, 0.9, channels)
    return (np.clip(image, 0, 1) * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """Two classes, `disc` and `stripes`, of six colour PNG files of 48x48 pixels."""
    folder = tmp_path_factory.mktemp("images")
    for label, name in enumerate(("disc", "stripes")):
        (folder / name).mkdir()
        for k in range(6):
            image = spots(10 * label + k)
            if label:
                image[::4] = 255 - image[::4]
            cv2.imwrite(str(folder / name / f"{k}.png"), image)
    return folder


def script(name, *arguments, env=()):
    """Start a training script as a user would, in a fresh process."""
    command = [sys.executable, str(ROOT / name), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **dict(env)}, **pipes)


def tiny(variant):
    """Sizes of a variant's generator, as small as they get."""
    return variant.sizes | {name: n for name, n in (("filters", 4), ("blocks", 1)) if name in variant.sizes}


def smooth(shape, dtype=np.uint16, seed=0):
    """A smooth image of blobs, so that interpolation restores it in part."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    coarse = tf.image.resize(rng.random((1, 8, 8, shape[2])), shape[:2], method="bicubic")[0].numpy()
    coarse = np.clip(coarse, 0, 1) + 0.02 * rng.random(shape)
    return (coarse * np.iinfo(dtype).max / 20).astype(dtype)
