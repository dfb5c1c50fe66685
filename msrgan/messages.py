"""What the library says, one line each: records of the logger `msrgan`, which the commands show.

The library itself only logs: `say` what it does, `warn` of what a user should look at. A command (`command`) shows what
is said on stdout and warnings on stderr. In errors, the library writes the names of arguments in backticks; a command
shows them as its options: `patch_size` becomes --patch-size.
"""

import argparse
import contextlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_LOGGER = logging.getLogger("msrgan")
_warned: set[str] = set()


def say(message: str) -> None:
    """Tell how the work goes on: a line on stdout of a command."""
    _LOGGER.info("%s", message)


def warn(message: str) -> None:
    """Tell what a user should look at: a line on stderr of a command."""
    _LOGGER.warning("%s", message)


def warn_once(message: str) -> None:
    """Warn on the first of the many readings of a file that meet the same fault."""
    if message not in _warned:
        _warned.add(message)
        warn(message)


def hush() -> None:
    """Show warnings and errors only, until the command ends."""
    _LOGGER.setLevel(logging.WARNING)


def few(texts: Sequence[str], shown: int = 5) -> str:
    """List the first few of many, and how many more there are."""
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that results depend on, None of one that is not installed."""
    known = {"python": sys.version.split()[0]}
    for name in ("msrgan", "tensorflow", "keras", "numpy", "scipy", "scikit-image", "tensorflow-datasets"):
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            known[name] = None
    return known


def flags(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the option of a command for each of its arguments: {"patch_size": "--patch-size"}."""
    return {action.dest: action.option_strings[0] for action in parser._actions if action.option_strings}


def with_options(text: str, options: Mapping[str, str]) -> str:
    """Write the arguments in backticks as the options of a command."""
    return re.sub(r"`(\w+)`", lambda match: options.get(match[1], match[0]), text)


def command(
    function: Callable[[], int | None], *, name: str = "msrgan", options: Mapping[str, str] | None = None
) -> int:
    """Run the body of a command: errors that the user can mend become one line on stderr.

    Call it before OpenCV is imported: it silences the messages that image decoders print themselves. SIGTERM, which
    clusters send before they kill, ends it like Ctrl-C.

    Args:
        function: the body; what it returns is the exit code, None being 0.
        name: of the command, for its messages.
        options: from `flags`, for its messages.

    Returns:
        The exit code: 2 for ValueError and OSError (a wrong argument or file), 1 for FloatingPointError (a
        training that diverged), 130 after Ctrl-C. Other exceptions are bugs and pass.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with _shown(name, options or {}), _terminable():
        try:
            return function() or 0
        except KeyboardInterrupt:
            return 130
        except FloatingPointError as error:
            return report(name, error, 1, options)
        except (ValueError, OSError) as error:
            return report(name, error, 2, options)
        except Exception as error:
            if _is_interrupted(error):
                return 130
            reason = _tensorflow_reason(error)
            if reason is None:
                raise
            return report(name, reason, 2, options)


def import_tensorflow() -> None:
    """Import TensorFlow without the messages of its native code; TF_CPP_MIN_LOG_LEVEL=0 brings them back."""
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the connections of workers: an error tells what matters
    # What is logged while the libraries load goes to the file descriptor, whatever the level.
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import tensorflow  # noqa: F401

        logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS warns of every set that is not prepared yet
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def report(name: str, error: object, code: int, options: Mapping[str, str] | None = None) -> int:
    """Print a one-line error on stderr; return the exit code."""
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = with_options(" ".join(str(error).split()), options or {})
    _print(f"{name}: error: {text}", "stderr")
    return code


def _is_interrupted(error: BaseException | None) -> bool:
    """Tell whether an error came of a Ctrl-C: a second one breaks what clears up after the first."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _tensorflow_reason(error: Exception) -> str | None:
    """Return what a user should know of an error that TensorFlow raised, None of a bug."""
    if type(error).__name__ == "DataLossError":  # a checksum in a TFRecord is wrong
        return "a prepared copy is damaged. Delete it (`msrgan datasets` tells where) and prepare again"
    # tf.data wraps the errors of Python functions in its own, with their text inside a traceback's.
    named = r"(?:Value|UnreadableImage|OS|FileNotFound|Permission)Error"
    text = re.search(f"{named}: (.*)", str(error))
    return text.group(1) if type(error).__module__.startswith("tensorflow") and text else None


class _Lines(logging.Handler):
    """Show records as the lines of a command."""

    def __init__(self, name: str, options: Mapping[str, str]):
        super().__init__(logging.INFO)
        self.command, self.options = name, options

    def emit(self, record: logging.LogRecord):
        """Print what is said on stdout, and the rest on stderr, with its level."""
        message = with_options(record.getMessage(), self.options)
        if record.levelno == logging.INFO:
            _print(message, "stdout")
        else:
            _print(f"{self.command}: {record.levelname.lower()}: {message}", "stderr")


@contextlib.contextmanager
def _shown(name: str, options: Mapping[str, str]) -> Iterator[None]:
    """Show the records of the library as lines of a command, in place of an outer command's."""
    handlers, level, propagate = _LOGGER.handlers, _LOGGER.level, _LOGGER.propagate
    _LOGGER.handlers, _LOGGER.propagate = [_Lines(name, options)], False
    _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.handlers, _LOGGER.propagate = handlers, propagate
        _LOGGER.setLevel(level)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, where this thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Bars(contextlib.AbstractContextManager):
    """Progress on a terminal, with rates and remaining times: a bar of all files, and one of the tiles of this file.

    Nothing is shown where stderr is no terminal.

    Args:
        files: how many there are; one has no bar of its own.
        shown: whether to show bars at all.
    """

    def __init__(self, files: int, *, shown: bool = True):
        self._shown = shown
        self._files = self._bar("files", files, "file", shown=shown and files > 1)
        self._tiles = None

    def tiles(self, done: int, total: int) -> None:
        """Show how far this file is."""
        if self._tiles is None:
            self._tiles = self._bar("tiles", total, "tile", shown=self._shown)
        self._tiles.update(done - self._tiles.n)

    def next_file(self) -> None:
        """Show that a file is over."""
        if self._tiles is not None:
            self._tiles.close()
            self._tiles = None
        self._files.update()

    def __exit__(self, *error: object) -> None:
        """Take the bars away."""
        for bar in (self._tiles, self._files):
            if bar is not None:
                bar.close()

    @staticmethod
    def _bar(title: str, total: int, unit: str, *, shown: bool) -> Any:
        from tqdm import tqdm

        hidden = None if shown else True  # None: where there is no terminal
        return tqdm(desc=title, total=total, unit=unit, leave=False, dynamic_ncols=True, disable=hidden)


def _print(line: str, stream: str) -> None:
    """Print a line; a pipe whose reader is gone (`| head -1`) does not end the work, nor a letter it cannot show."""
    file = getattr(sys, stream)
    encoding = file.encoding or "utf-8"
    try:
        with _without_bars():
            print(line.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=True)
    except BrokenPipeError:
        setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115  for what follows


def _without_bars() -> contextlib.AbstractContextManager:
    """Take bars away while a line is printed where they are."""
    tqdm = sys.modules.get("tqdm")
    return tqdm.tqdm.external_write_mode() if tqdm else contextlib.nullcontext()
