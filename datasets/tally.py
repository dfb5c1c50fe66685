"""What a preparation kept and what it had to leave out, said in words."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from msrgan.datasets.copies import Copied

# Of one kind on stderr, and of all kinds in an error.
SHOWN, IN_ERROR = 5, 3


class Tally:
    """Name at once what is skipped while a set is prepared, the first few of a kind, and the numbers at the end.

    Args:
        name: of the set.

    Attributes:
        skipped: number of raw images left out.
        found: number of all raw images, to be set where each makes one example. What is missing at the end was skipped:
            what a copy of the tally counts, which Apache Beam makes, does not come back.
    """

    def __init__(self, name: str):
        self.name, self.skipped, self.found = name, 0, None
        self._reasons, self._unread = defaultdict(list), []

    def skip(self, reason: object):
        """Name what is left out, and why, on stderr; of many for the same reason, the first few."""
        self.skipped += 1
        alike = self._reasons[_kind(str(reason))]
        alike.append(str(reason))
        if len(alike) <= SHOWN:
            print(f"warning: skipped {reason}", file=sys.stderr)

    def first(self, read: Callable[[Any], Any], items: Iterable[Any]) -> Any:
        """Return what `read` gives for the first item that it can read, or None; only `why` names the others."""
        for item in items:
            try:
                return read(item)
            except ValueError as error:
                self._unread.append(str(error))
        return None

    def why(self) -> str:
        """Say of the first few what was left out, and why: the end of an error message, empty if nothing was."""
        reasons = sum(self._reasons.values(), self._unread)
        first = "; ".join(reason.rstrip(".") for reason in reasons[:IN_ERROR])
        more = f"; and {len(reasons) - IN_ERROR} more" if len(reasons) > IN_ERROR else ""
        return f" Skipped: {first}{more}." if reasons else ""

    def report(self, kept: int):
        """Print the counts."""
        for first, *others in self._reasons.values():
            if len(others) >= SHOWN:
                print(f"warning: skipped {len(others) + 1 - SHOWN} more like {first}", file=sys.stderr)
        skipped = self.skipped if self.found is None else self.found - kept
        print(f"{self.name}: {kept} examples prepared, {skipped} raw images skipped", file=sys.stderr)


class Tallied(Copied):
    """Mixin of TFDS builders: `_tally` counts what a preparation skips, and reports at its end."""

    def _download_and_prepare(self, *args, **kwargs):
        self._tally = Tally(self.name)
        super()._download_and_prepare(*args, **kwargs)
        self._tally.report(self.info.splits.total_num_examples)


def _kind(reason):
    """Return the rule that a reason names: its words, without files and numbers."""
    return " ".join(word for word in reason.split() if word.isalpha())
