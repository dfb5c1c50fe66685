"""Raw folders of the five lineages, in the layouts that their users have on disk: from real images, or drawn.

Real images come from a folder that is not part of the project. Where it is absent, images are drawn. Drawn images show
that a recipe runs, and nothing else.
"""

import csv
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np

from msrgan import io
from msrgan.datasets.atlas import COLOURS
from msrgan.datasets.localisation import LOCALISATIONS
from msrgan.datasets.simulator import simulate


def cyto2017(folder: Path, real: Path):
    """Write `CC_ID.png`: crops of the thesis's repository, or simulated fields."""
    source = real / "cyto2017_msrgan_96px"
    if source.is_dir():
        shutil.copytree(source, folder, dirs_exist_ok=True)
        return
    for k in range(5 * len(LOCALISATIONS)):
        label = k % len(LOCALISATIONS)
        io.write_pixels(folder / f"{label:02d}_{k}.png", simulate(label, [1, k], size=96).image)


def hpa(folder: Path, real: Path):
    """Write four grey PNG files an id and train.csv: tiles of one Human Protein Atlas field, or simulated fields."""
    names = [real / "hpa_if_fields" / "fields_8bit" / f"57_F11_1_{colour}.png" for colour in COLOURS]
    if all(name.is_file() for name in names):
        whole = np.dstack([io.read_pixels(name)[..., 0] for name in names])
        # Binned by two: the published file is sampled finer than it was seen, and compressed.
        whole = cv2.resize(whole, (864, 864), interpolation=cv2.INTER_AREA)
        fields = [whole[y : y + 216, x : x + 216] for y in range(0, 864, 216) for x in range(0, 864, 216)]
        fields = [field for field in fields if np.mean(field > 25) > 0.2]  # in the others there is hardly a cell
    else:
        fields = [simulate(k % len(LOCALISATIONS), [2, k], size=256).image for k in range(12)]
        fields = [np.dstack([field, cv2.blur(field[..., 0], (9, 9))]) for field in fields]  # a fourth channel
    folder.mkdir(parents=True)
    rows = []
    for k, field in enumerate(fields):
        rows.append({"Id": f"field-{k:02d}", "Target": "21 25" if k % 2 else "25"})  # plasma membrane, cytosol
        for channel, colour in enumerate(COLOURS):
            io.write_pixels(folder / "train" / f"field-{k:02d}_{colour}.png", field[..., channel])
    with open(folder / "train.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["Id", "Target"])
        writer.writeheader()
        writer.writerows(rows)


def tissue(folder: Path, real: Path):
    """Write tiles of two slides, Ki67 to train on and H&E held out, in split folders; or drawn slides."""
    source = real / "openslide_he_ki67" / "tiles_512"
    if source.is_dir():
        held_out = iter(("val", "test", "val", "test"))
        for path in sorted(source.glob("*.png")):
            split = "train" if path.name.startswith("ki67") else next(held_out)
            (folder / split).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / split)
        return
    rng = np.random.default_rng(3)
    for k in range(6):
        slide = np.full((512, 512, 3), (235, 200, 220), np.uint8)
        for _ in range(400):
            centre, radius = rng.integers(0, 512, 2).tolist(), int(rng.integers(3, 9))
            cv2.circle(slide, centre, radius, (90 + 10 * k, 60, 130), -1, cv2.LINE_AA)
        io.write_pixels(folder / f"slide{k}.png", slide)


def oct_(folder: Path, real: Path):
    """Write the OCT2017 tree: quarters of B-scans of three patients, one of them held out; or drawn B-scans."""
    source = real / "oct_kermany_sample"
    if source.is_dir():
        for path in sorted(source.glob("*.jpeg")):
            kind, patient, _ = path.stem.split("-")
            # All three as sparse as the sparsest, without the white of their margins.
            scan = cv2.resize(io.read_pixels(path)[..., 0], (224, 224), interpolation=cv2.INTER_AREA)[16:208]
            for k, half in enumerate(np.hsplit(scan, 2)):
                # One patient is held out. The builder wants two, for validation and test: the halves of its scan.
                split, side = (("val", "a"), ("test", "b"))[k] if kind == "NORMAL" else ("train", "")
                for j, quarter in enumerate(np.vsplit(half, 2)):
                    io.write_pixels(folder / split / kind / f"{kind}-{patient}{side}-{2 * k + j}.jpeg", quarter)
        return
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[:248, :384]
    for kind, bump in (("NORMAL", 0), ("CNV", 25), ("DME", 12), ("DRUSEN", 6)):
        for patient in range(4):
            surface = 90 + 10 * np.sin(columns / 60 + patient) - bump * np.exp(-(((columns - 190) / 40) ** 2))
            depth = rows - surface
            layers = np.where((depth > 0) & (depth < 70), 0.3 + 0.3 * np.sin(depth / 4) ** 2 + depth / 200, 0.06)
            scan = np.clip(255 * layers * rng.gamma(4, 1 / 4, layers.shape), 0, 255).astype(np.uint8)
            split = "test" if patient == 3 else "train"
            io.write_pixels(folder / split / kind / f"{kind}-{1000 + patient}-1.jpeg", scan)


def brain_tumor(folder: Path, real: Path):
    """Write MATLAB 7.3 files as figshare has them, from its slices as JPEG, or from drawn slices.

    The JPEG slices name no patient and have no mask. The patients are invented, two slices each; the masks are ellipses
    in the boxes of the tumours.
    """
    table = real / "brain_tumor_figshare_jpg" / "labels.csv"
    folder.mkdir(parents=True)
    if table.is_file():
        with open(table, newline="") as file:
            rows = [row for row in csv.DictReader(file) if (table.parent / row["file"]).is_file()][::3]
        for k, row in enumerate(rows):
            box = [float(row[name]) for name in ("x_center", "y_center", "box_width", "box_height")]
            slice_ = io.read_pixels(table.parent / row["file"])[..., 0].astype(np.int16) * 8
            _write_mat(folder / f"{row['mat_number']}.mat", slice_, box, int(row["cjdata_label"]), f"{k // 2:06d}")
        return
    rng = np.random.default_rng(5)
    for k in range(24):
        slice_ = np.zeros((512, 512), np.int16)
        cv2.ellipse(slice_, (256, 256), (190, 230), 0, 0, 360, 700, -1)
        x, y = rng.uniform(0.35, 0.65, 2)
        cv2.circle(slice_, (int(512 * x), int(512 * y)), 30, 1500, -1)
        slice_ = cv2.blur(slice_, (5, 5)) + rng.normal(0, 15, slice_.shape).clip(0).astype(np.int16)
        _write_mat(folder / f"{k + 1}.mat", slice_, (x, y, 0.12, 0.12), 1 + k % 3, f"{k // 2:06d}")


WRITERS = {"cyto2017": cyto2017, "hpa": hpa, "tissue": tissue, "oct": oct_, "brain_tumor": brain_tumor}


def _write_mat(path, image, box, label, patient):
    x, y, width, height = np.array(box) * image.shape[0]
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    mask = ((columns - x) / (width / 2)) ** 2 + ((rows - y) / (height / 2)) ** 2 < 1
    angles = np.linspace(0, 2 * np.pi, 30)
    border = np.stack([x + width / 2 * np.cos(angles), y + height / 2 * np.sin(angles)], axis=1)
    with h5py.File(path, "w", userblock_size=512) as file:
        struct = file.create_group("cjdata")
        struct["PID"] = np.array([[ord(c)] for c in patient], np.uint16)
        struct["label"] = np.array([[float(label)]])
        # MATLAB stores columns first.
        struct["image"], struct["tumorMask"] = image.T, mask.T.astype(np.uint8)
        struct["tumorBorder"] = border.reshape(1, -1)
