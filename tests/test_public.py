"""What the library promises to those who read its signatures and docstrings."""

import ast
import doctest

import pytest
from conftest import ROOT

import msrgan

FILES = sorted(path for folder in ("msrgan", "vgg_micro", "datasets") for path in (ROOT / folder).rglob("*.py"))
FILES += [ROOT / "train_vgg.py", ROOT / "train_srgan.py"]


def public_functions(body, inside=""):
    """Yield (name, node) of the public functions and methods among statements; constructors are public."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            yield inside + node.name, node


def untyped(name, node):
    """Return the arguments of a function that have no type, "return" among them."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    own = arguments[1:] if "." in name and not static else arguments
    result = [] if node.returns or node.name == "__init__" else ["return"]
    return [argument.arg for argument in own if argument.annotation is None] + result


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_public_functions_are_typed(path):
    tree = ast.parse(path.read_text())
    lacking = {name: missing for name, node in public_functions(tree.body) if (missing := untyped(name, node))}
    assert lacking == {}


@pytest.mark.parametrize("name", sorted(set(msrgan.__all__) - {"__version__", "VARIANTS"}))
def test_examples_of_public_names_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(msrgan, name), name, globs={})
    assert example.examples
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(example)
    assert results.failed == 0
