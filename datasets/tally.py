"""What a preparation kept and what it had to leave out, said in words."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msrgan import messages
from msrgan.io.atomic import atomic
from msrgan.messages import few

# Of one kind in warnings, and of all kinds in an error.
SHOWN, IN_ERROR = 5, 3


class Tally:
    """Name what is skipped while a set is prepared: at once the first few of a kind, at the end the numbers.

    Args:
        name: of the set.

    Attributes:
        skipped: number of raw images left out.
        total: number of all raw images, to be set where each makes one example: what is missing at the end was skipped.
    """

    def __init__(self, name: str):
        self.name, self.skipped, self.total = name, 0, None
        self._reasons, self._unread = defaultdict(list), []

    def skip(self, reason: object, *, count: int = 1) -> None:
        """Warn of what is left out, and why; of many for the same reason, of the first few.

        Args:
            reason: "FILE: RULE", or a sentence that says it of many images at once.
            count: how many raw images it speaks of.
        """
        self.skipped += count
        alike = self._reasons[_kind(str(reason))]
        alike.append(str(reason))
        if len(alike) <= SHOWN:
            messages.warn(f"skipped {reason}")

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

    def report(self, kept: int, file: Path) -> None:
        """Say the counts, and write what was skipped into a file if it was not all said."""
        where = ""
        if any(len(alike) > SHOWN for alike in self._reasons.values()):
            text = "".join(f"{reason}\n" for reason in self._said())
            with atomic(file) as temporary:
                temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
            where = f", all named in {file.name} beside it"
        skipped = self.skipped if self.total is None else self.total - kept
        messages.say(f"{self.name}: {kept} examples prepared, {skipped} raw images skipped{where}")

    def _said(self):
        return itertools.chain.from_iterable(self._reasons.values())


def _kind(reason):
    """Return the rule that a reason "FILE: RULE" names: its words, without names and numbers."""
    return " ".join(word for word in reason.split(": ", 1)[-1].split() if word.isalpha())
