"""What a preparation kept and what it had to leave out, said in words."""

import sys


class Tally:
    """Name at once what is skipped while a set is prepared, and the numbers at the end.

    Args:
        name: of the set.

    Attributes:
        skipped: number of raw images left out.
        found: number of all raw images, to be set where each makes one example. What is missing at the end was skipped:
            what a copy of the tally counts, which Apache Beam makes, does not come back.
    """

    def __init__(self, name: str):
        self.name, self.skipped, self.found = name, 0, None

    def skip(self, reason: object):
        """Name what is left out, and why, on stderr."""
        self.skipped += 1
        print(f"warning: skipped {reason}", file=sys.stderr)

    def report(self, kept: int):
        """Print the counts."""
        skipped = self.skipped if self.found is None else self.found - kept
        print(f"{self.name}: {kept} examples prepared, {skipped} raw images skipped", file=sys.stderr)


class Tallied:
    """Mixin of TFDS builders: `_tally` counts what a preparation skips, and reports at its end."""

    def _download_and_prepare(self, *args, **kwargs):
        self._tally = Tally(self.name)
        super()._download_and_prepare(*args, **kwargs)
        self._tally.report(self.info.splits.total_num_examples)
