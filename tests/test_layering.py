"""Imports point down: no circles, and msrgan knows neither vgg_micro nor a concrete data set."""

import ast

import pytest
from conftest import ROOT

# The rooms of msrgan, from the ground up: a module imports from its own room and from those below.
ROOMS = [
    "options_text",
    "messages",
    "zoo",
    "io",
    "intensity",
    "metrics",
    "losses",
    "degradation",
    "networks",
    "data",
    "models",
    "upscaling",
    "training",
    "evaluation",
    "apps",
]


def modules():
    """Map the dotted name of every module of the project to its file."""
    files = {"train_vgg": ROOT / "train_vgg.py", "train_srgan": ROOT / "train_srgan.py"}
    for package, folder in (
        ("msrgan", "msrgan"),
        ("vgg_micro", "vgg_micro"),
        ("msrgan.datasets", "datasets"),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            files[".".join([package, *parts]).removesuffix(".__init__")] = path
    return files


MODULES = modules()


def imports(name):
    """Return the modules of the project that a module imports, at its top or inside functions."""
    imported = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            imported |= {b for b in below if b in MODULES} or {node.module}
    return {f for f in imported if f in MODULES} - {name}


def room(name):
    """Return the index of the room of a module of msrgan; the package itself opens all of them."""
    return len(ROOMS) if name == "msrgan" else ROOMS.index(name.split(".")[1])


def test_there_are_no_circles():
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            path.append(name)
            for other in imports(name):
                visit(other)
            path.pop()
            done.add(name)

    for name in MODULES:
        visit(name)


@pytest.mark.parametrize(
    "name", sorted(m for m in MODULES if m.startswith("msrgan") and "datasets" not in m.split(".")[:2])
)
def test_msrgan_imports_downwards(name):
    for other in imports(name):
        if name.startswith("msrgan.apps.") and other.startswith("msrgan.datasets"):
            continue
        assert not other.startswith(("vgg_micro", "msrgan.datasets", "train_")), f"{name} imports {other}"
        assert room(other) <= room(name), f"{name} imports {other}, which is above it"


# `python -m msrgan.datasets` is a command, as high as msrgan.apps.cli.
@pytest.mark.parametrize("name", sorted(m for m in MODULES if m.startswith("msrgan.datasets") and "__" not in m))
def test_datasets_know_images_and_files_only(name):
    allowed = ("msrgan.datasets", "msrgan.io", "msrgan.intensity", "msrgan.options_text", "msrgan.messages")
    assert all(other.startswith(allowed) for other in imports(name)), imports(name)


@pytest.mark.parametrize("name", sorted(m for m in MODULES if m.startswith("msrgan.datasets.")))
def test_a_data_set_is_known_by_nobody_but_itself(name):
    """The registry imports builders by their names."""
    sets = {m.removesuffix(".builder") for m in MODULES if m.startswith("msrgan.datasets.") and m.endswith(".builder")}
    sets.discard("msrgan.datasets")
    assert len(sets) == 6
    for other in imports(name):
        assert other.split(".")[:3] == name.split(".")[:3] or ".".join(other.split(".")[:3]) not in sets, other


@pytest.mark.parametrize("name", sorted(m for m in MODULES if m.startswith("vgg_micro")))
def test_vgg_micro_knows_no_data_set_and_no_gan(name):
    rooms = ("networks", "data", "intensity", "io", "messages", "training")
    allowed = ("vgg_micro", *(f"msrgan.{name}" for name in rooms))
    assert all(other.startswith(allowed) for other in imports(name)), imports(name)


def test_modules_stay_small():
    long = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > 260} == {}
