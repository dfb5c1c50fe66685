"""Deliberate faults: put into a copy of the code, one at a time, to see whether a test notices.

python tests/mutants/run.py [PART OF A NAME OR FILE ...]

faults.toml lists them: a file, a text that occurs once in it, what takes its place, and the names of the tests that
should notice. These must pass on the unchanged copy. Then a line tells of each fault:

    noticed      a test fails
    UNNOTICED    all of them pass
    BROKEN       they cannot be run, or meet code without sense (a name or a module that is not there)
    SLOW         they have not ended after LIMIT seconds

Only the first counts as noticed. Exits with 1 if more than one fault in twenty is not.
"""

import argparse
import ast
import importlib
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).with_name("faults.toml")
NOTICED, UNNOTICED, BROKEN, SLOW = "noticed", "UNNOTICED", "BROKEN", "SLOW"
LIMIT = 600  # seconds for the tests of a fault
_SENSELESS = re.compile(
    r"^E +(ImportError|ModuleNotFoundError|NameError|UnboundLocalError|SyntaxError)\b", re.MULTILINE
)


def faults() -> list[dict[str, str]]:
    """Read the table: name, file, old, new, tests."""
    return tomllib.loads(FAULTS.read_text())["fault"]


def mutated(text: str, fault: dict[str, str]) -> str:
    """Put a fault into the text of its file.

    Raises:
        ValueError: what it replaces does not occur there once.
        SyntaxError: the result is no Python.
    """
    if text.count(fault["old"]) != 1 or fault["old"] == fault["new"]:
        raise ValueError(
            f"A fault replaces a text that occurs once in {fault['file']}. Received: {fault['name']}, whose text "
            f"occurs {text.count(fault['old'])} times. Adapt {FAULTS.name}."
        )
    wrong = text.replace(fault["old"], fault["new"])
    ast.parse(wrong)
    return wrong


@cache
def known_tests() -> dict[str, list[str]]:
    """Return the tests of the suite by their names, as pytest takes them: {name: [file::name]}."""
    known = defaultdict(list)
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE):
            known[name].append(f"{file.relative_to(ROOT).as_posix()}::{name}")
    return known


def tests_of(fault: dict[str, str]) -> list[str]:
    """Return the tests that should notice a fault, as pytest takes them.

    Raises:
        ValueError: there is no test of that name.
    """
    missing = [name for name in fault["tests"].split() if name not in known_tests()]
    if missing or not fault["tests"]:
        raise ValueError(f"A fault names tests. Received: {fault['name']} with {missing}. Adapt {FAULTS.name}.")
    return [test for name in fault["tests"].split() for test in known_tests()[name]]


def copy_of_the_code(folder: Path) -> Path:
    """Copy what git tracks into a folder, where `msrgan.datasets` is found as in an installation."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / "msrgan" / "datasets").symlink_to(folder / "datasets", target_is_directory=True)
    return folder


def try_fault(code: Path, fault: dict[str, str]) -> str:
    """Run the tests of a fault on a copy of the code that has it; return what came of it."""
    file = code / fault["file"]
    right = file.read_text()
    file.write_text(mutated(right, fault))
    try:
        return run(code, tests_of(fault), limit=LIMIT)[0]
    finally:
        file.write_text(right)


def run(code: Path, tests: list[str], limit: float | None = None) -> tuple[str, str]:
    """Run tests on a copy of the code; return what came of it, and what pytest printed."""
    output = code / "output.txt"
    process = multiprocessing.get_context("fork").Process(target=_run_pytest, args=(code, tests, output))
    process.start()
    try:
        process.join(limit)
    finally:
        ended = process.exitcode is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
    printed = output.read_text(errors="replace")
    return judged(process.exitcode, printed) if ended else SLOW, printed


def _run_pytest(code, tests, output):
    """Be a process of its own, which imports the copy: what it starts ends with it."""
    os.setsid()
    with open(output, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(code)
    os.environ |= {"PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path.insert(0, str(code))
    sys.dont_write_bytecode = True
    sys.exit(int(pytest.main(["-x", "-q", "-m", "not install", "-p", "no:cacheprovider", *tests])))


def _import_libraries():
    """Import what takes long before it is forked: nothing of this project."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in ("tensorflow", "keras", "skimage.metrics", "scipy.stats", "cv2", "tifffile"):
        importlib.import_module(name)


def judged(status: int, printed: str) -> str:
    """Tell what came of tests from pytest's exit status (0: all pass, 1: some fail) and what it printed."""
    if status == 1 and not _SENSELESS.search(printed):
        return NOTICED
    return UNNOTICED if status == 0 else BROKEN


def main() -> int:
    """Try the faults; return 1 if too many are not noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="try only faults with one of these in name or file")
    parts = parser.parse_args().parts
    named = {f"{fault['name']} {fault['file']}": fault for fault in faults()}
    chosen = [fault for name, fault in named.items() if not parts or any(part in name for part in parts)]
    outcomes = {}
    _import_libraries()
    with tempfile.TemporaryDirectory() as folder:
        code = copy_of_the_code(Path(folder))
        outcome, printed = run(code, sorted({test for fault in chosen for test in tests_of(fault)}))
        if outcome != UNNOTICED:
            raise RuntimeError(f"The tests must pass without a fault:\n{printed}")
        for fault in chosen:
            outcomes[fault["name"]] = try_fault(code, fault)
            print(f"{outcomes[fault['name']]:9}  {fault['name']}", flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    counts = Counter(outcomes.values())
    print(f"{counts[NOTICED]} of {len(chosen)} faults noticed, {(used.ru_utime + used.ru_stime) / 60:.0f} CPU minutes")
    print("".join(f"  {outcome}: {name}\n" for name, outcome in outcomes.items() if outcome != NOTICED), end="")
    return int(20 * (len(chosen) - counts[NOTICED]) > len(chosen))


if __name__ == "__main__":
    sys.exit(main())
