"""What is wrong with a TIFF: tifffile raises anything, or only logs it and goes on with pixels of zero."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from msrgan.io.source import UnreadableImageError, reason


class Faults(logging.Handler):
    """Collect the errors that tifffile only logs, thread by thread, whatever the level of its logger."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self._logger = logging.getLogger("tifffile")
        self._local = threading.local()
        self._watchers = 0
        self._settings = None

    def emit(self, record: logging.LogRecord) -> None:
        """Note an error of the thread that is decoding."""
        getattr(self._local, "messages", []).append(record.getMessage())

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Give the list that the errors of this thread appear in, and keep them from being printed meanwhile."""
        logger = self._logger
        with self.lock:
            if not self._watchers:
                self._settings = logger.level, logger.propagate
                logger.addHandler(self)
                logger.setLevel(logging.ERROR)
                logger.propagate = False
            self._watchers += 1
        self._local.messages = []
        try:
            yield self._local.messages
        finally:
            with self.lock:
                self._watchers -= 1
                if not self._watchers:
                    logger.removeHandler(self)
                    level, logger.propagate = self._settings
                    logger.setLevel(level)


FAULTS = Faults()


@contextlib.contextmanager
def watched(name: object) -> Iterator[None]:
    """Turn all that goes wrong with a file into one line that names it.

    Raises:
        UnreadableImageError: something did.
    """
    try:
        with FAULTS.watched() as messages:
            yield
        if messages:
            raise ValueError("damaged or truncated TIFF")
    except UnreadableImageError:
        raise
    except Exception as error:  # the decoders raise anything from struct.error to IndexError on damaged files
        raise UnreadableImageError(f"{name}: cannot be read as an image ({reason(error)})") from error
