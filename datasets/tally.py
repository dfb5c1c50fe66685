"""What a preparation kept and what it had to leave out, said in words."""

import itertools
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msrgan.datasets.copies import Copied
from msrgan.messages import few

# Of one kind on stderr, and of all kinds in an error.
SHOWN, IN_ERROR = 5, 3


class Tally:
    """Name what is skipped while a set is prepared: at once the first few of a kind, at the end the numbers.

    Args:
        name: of the set.

    Attributes:
        skipped: number of raw images left out.
        found: number of all raw images, to be set where each makes one example. What is missing at the end was skipped:
            what a copy of the tally in another process counts, as under Apache Beam, does not come back.
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
        reasons = [reason.rstrip(".") for reason in [*self._unread, *self._said()]]
        return f" Skipped: {few(reasons, IN_ERROR)}." if reasons else ""

    def report(self, kept: int, file: Path):
        """Print the counts, and write what was skipped into a file if it was not all said."""
        where = ""
        if any(len(alike) > SHOWN for alike in self._reasons.values()):
            file.write_text("".join(f"{reason}\n" for reason in self._said()), encoding="utf-8")
            where = f", all named in {file.name} beside it"
        skipped = self.skipped if self.found is None else self.found - kept
        print(f"{self.name}: {kept} examples prepared, {skipped} raw images skipped{where}", file=sys.stderr)

    def _said(self):
        return itertools.chain.from_iterable(self._reasons.values())


class Tallied(Copied):
    """Mixin of TFDS builders: `_tally` counts what a preparation skips, and reports at its end."""

    def _download_and_prepare(self, *args, **kwargs):
        self._tally = Tally(self.name)
        super()._download_and_prepare(*args, **kwargs)
        self._tally.report(self.info.splits.total_num_examples, Path(self.data_path) / "skipped.txt")


def _kind(reason):
    """Return the rule that a reason "FILE: RULE" names: its words, without names and numbers."""
    return " ".join(word for word in reason.split(": ", 1)[-1].split() if word.isalpha())
