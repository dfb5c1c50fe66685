"""What a preparation kept and what it had to leave out, said in words."""

import sys


class Tally:
    """Count examples while a set is prepared; name what is skipped at once, and the numbers at the end.

    Args:
        name: of the set.
    """

    def __init__(self, name: str):
        self.name, self.kept, self.skipped = name, 0, 0

    def keep(self):
        """Count an example."""
        self.kept += 1

    def skip(self, reason: object):
        """Name what is left out, and why, on stderr."""
        self.skipped += 1
        print(f"warning: skipped {reason}", file=sys.stderr)

    def report(self):
        """Print the counts."""
        print(f"{self.name}: {self.kept} prepared, {self.skipped} skipped", file=sys.stderr)
