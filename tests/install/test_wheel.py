"""What an installed wheel holds and does, away from its source."""

import os
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

from msrgan import zoo

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, wheel]
    subprocess.run(command, check=True)
    return folder


def run(installed, *command):
    """Run a program that sees the installed wheel alone, from another folder; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    # The editable installation of the source is looked up after this path.
    done = subprocess.run(command, cwd=installed.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wheel_holds_every_module_and_what_they_read(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    for package, folder in (("msrgan", "msrgan"), ("vgg_micro", "vgg_micro"), ("msrgan/datasets", "datasets")):
        for suffix in ("*.py", "README.md", "CITATIONS.bib", "py.typed"):
            for path in (ROOT / folder).rglob(suffix):
                assert f"{package}/{path.relative_to(ROOT / folder).as_posix()}" in held
    assert {"train_vgg.py", "train_srgan.py", "msrgan/py.typed"} <= held
    # The name belongs to another, well-known package.
    assert not any(name.startswith("datasets/") for name in held)


def test_a_wheel_holds_the_models_that_ship(wheel):
    archive = zipfile.ZipFile(wheel)
    held = {info.filename: info for info in archive.infolist()}
    files = [
        path for path in (ROOT / "msrgan" / "zoo").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(files) > 6 * len(zoo.UPSCALERS)
    for path in files:
        assert archive.read(f"msrgan/{path.relative_to(ROOT / 'msrgan').as_posix()}") == path.read_bytes()
    assert sum(info.file_size for name, info in held.items() if name.startswith("msrgan/zoo/")) < 15e6


def test_an_installed_wheel_enlarges_an_image_without_a_model_of_its_users(installed, tmp_path):
    program = "import sys; from msrgan.apps.cli import main; sys.exit(main(sys.argv[1:]))"
    fine = tmp_path / "fine.png"
    printed = run(installed, sys.executable, "-c", program, "upscale", ROOT / "examples/nuclei.png", "-o", fine)
    assert "model fluorescence" in printed and fine.stat().st_size > 10_000
    assert "tissue" in run(installed, sys.executable, "-c", program, "models")


def test_an_installed_wheel_is_used(installed):
    program = "import msrgan, msrgan.datasets, train_vgg, vgg_micro; print(msrgan.__file__, msrgan.datasets.__file__)"
    paths = run(installed, sys.executable, "-c", program).split()
    assert all(path.startswith(str(installed)) for path in paths)


def test_an_installed_wheel_describes_its_sets(installed):
    program = "import sys; from msrgan.apps.cli import main; sys.exit(main(['datasets', 'brain_tumor']))"
    assert "Cheng" in run(installed, sys.executable, "-c", program)  # whom its citation names
