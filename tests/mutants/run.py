"""Deliberate faults: put into a copy of the code, one at a time, to see whether a test notices.

python tests/mutants/run.py [PART OF A NAME ...]

faults.toml lists them: a file, a text that occurs once in it, what takes its place, and the tests that should notice.
Prints a line for each fault, and at the end those that went unnoticed; exits with their number.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).with_name("faults.toml")


def faults() -> list[dict[str, str]]:
    """Read the table: name, file, old, new, tests."""
    return tomllib.loads(FAULTS.read_text())["fault"]


def mutated(text: str, fault: dict[str, str]) -> str:
    """Put a fault into the text of its file.

    Raises:
        ValueError: what it replaces does not occur there once.
    """
    if text.count(fault["old"]) != 1 or fault["old"] == fault["new"]:
        raise ValueError(
            f"A fault replaces a text that occurs once in {fault['file']}. Received: {fault['name']}, whose text "
            f"occurs {text.count(fault['old'])} times. Adapt {FAULTS.name}."
        )
    return text.replace(fault["old"], fault["new"])


def copy_of_the_code(folder: Path) -> Path:
    """Copy what git tracks into a folder, where `msrgan.datasets` is found as in an installation."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / "msrgan" / "datasets").symlink_to(folder / "datasets", target_is_directory=True)
    return folder


def is_noticed(code: Path, fault: dict[str, str]) -> bool:
    """Run the tests of a fault on a copy of the code that has it."""
    file = code / fault["file"]
    right = file.read_text()
    file.write_text(mutated(right, fault))
    try:
        return not passes(code, fault["tests"])
    finally:
        file.write_text(right)


def passes(code: Path, tests: str) -> bool:
    """Tell whether tests pass on a copy of the code.

    Raises:
        RuntimeError: they could not be run.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    environment = {**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=code, env=environment, capture_output=True, text=True)
    broken = done.returncode == 2 and "error during collection" in done.stdout  # the code cannot even be imported
    if done.returncode > 1 and not broken:
        raise RuntimeError(f"pytest {tests} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def main() -> int:
    """Try the faults; return how many went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="try only faults with one of these in their names")
    parts = parser.parse_args().parts
    chosen = [fault for fault in faults() if not parts or any(part in fault["name"] for part in parts)]
    unnoticed = []
    with tempfile.TemporaryDirectory() as folder:
        code = copy_of_the_code(Path(folder))
        failing = [tests for tests in dict.fromkeys(fault["tests"] for fault in chosen) if not passes(code, tests)]
        if failing:
            raise RuntimeError(f"These tests fail without a fault: {'; '.join(failing)}")
        for fault in chosen:
            noticed = is_noticed(code, fault)
            print(f"{'noticed  ' if noticed else 'UNNOTICED'}  {fault['name']}", flush=True)
            unnoticed += [] if noticed else [fault["name"]]
    print(f"{len(unnoticed)} of {len(chosen)} faults went unnoticed" + "".join(f"\n  {name}" for name in unnoticed))
    return min(len(unnoticed), 255)


if __name__ == "__main__":
    sys.exit(main())
