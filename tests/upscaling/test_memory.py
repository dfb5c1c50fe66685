"""The memory of the command does not grow with the image: `make test-memory`, small."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.long
def test_a_plane_four_times_as_large_takes_as_much_memory():
    # The result of the larger one, 256 MiB, would show if it were held.
    program = ROOT / "benchmarks" / "upscaling_memory.py"
    command = [sys.executable, program, "--sides", "2048", "4096", "--cases", "tiled:ome.tif"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("MiB") == 2
