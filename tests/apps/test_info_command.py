import subprocess
import sys

import numpy as np
import tifffile

from msrgan import io
from msrgan.apps import cli


def stack(path):
    known = {"axes": "CZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 0.5}
    known |= {"Channel": {"Name": ["DAPI", "GFP"]}}
    pixels = np.zeros((2, 3, 40, 50), np.uint16)
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=known)


def test_info_tells_what_is_in_a_file_and_what_would_be_made_of_it(tmp_path, capsys):
    stack(tmp_path / "a.ome.tif")
    assert cli.main(["info", str(tmp_path / "a.ome.tif")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/a.ome.tif",
        "  format      ome-tiff",
        "  pixels      CZYX 2x3x40x50 uint16, 24 kB",
        "  pixel size  y 0.2, x 0.1, z 0.5 µm",
        "  channel 0   DAPI",
        "  channel 1   GFP",
        "  upscale     a.ome.tif, ome-tiff: CZYX 2x3x160x200 uint16, 388 kB, pixel size y 0.05, x 0.025, z 0.5 µm",
    ]


def test_info_follows_its_options(tmp_path, capsys):
    stack(tmp_path / "a.ome.tif")
    assert cli.main(["info", str(tmp_path / "a.ome.tif"), "--scale", "2", "--format", "ome-zarr-0.5"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    # 2x3x80x100 pixels of 2 bytes are 96 kB, the levels below them a third more.
    assert last.startswith("  upscale     a.ome.zarr, ome-zarr-0.5: CZYX 2x3x80x100 uint16, 132 kB, pixel size y 0.1,")


def test_a_bad_file_does_not_stop_the_others(tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n half")
    io.write_pixels(tmp_path / "good.png", np.eye(9, dtype=np.uint8))
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((3, 8, 9), np.uint8), photometric="minisblack", metadata=None)
    assert cli.main(["info", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "good.png" in shown.out
    first, second = shown.err.splitlines()
    assert "bad.png" in first
    assert "Say what they are: --axes ZYX for a stack, CYX for channels" in second
    assert cli.main(["info", str(tmp_path / "pages.tif"), "--axes", "ZYX"]) == 0
    assert "  pixels      ZYX 3x8x9 uint8, 216 bytes" in capsys.readouterr().out.splitlines()
    assert cli.main(["info", str(tmp_path / "none")]) == 2


def test_info_needs_no_tensorflow(tmp_path):
    stack(tmp_path / "a.ome.tif")
    script = (
        "import sys; from msrgan.apps.cli import main; code = main(sys.argv[1:])\n"
        "print(sorted({'tensorflow', 'keras', 'zarr', 'dask', 'bioio'} & set(sys.modules)), code)"
    )
    command = [sys.executable, "-c", script, "info", str(tmp_path / "a.ome.tif")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert done.stderr == ""
