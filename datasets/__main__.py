"""`python -m msrgan.datasets`: the same as `msrgan datasets`."""

import sys

from msrgan.apps import cli

if __name__ == "__main__":
    sys.exit(cli.main(["datasets", *sys.argv[1:]]))
