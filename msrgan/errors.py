"""What every command says of errors: quiet logs, one line each, exit codes."""

import logging
import os
import re
import sys
from collections.abc import Callable


def command(function: Callable[[], int | None], *, name: str = "msrgan") -> int:
    """Runs the body of a command: errors that the user can mend become one line on stderr.

    Call it before OpenCV is imported: it silences the messages that image decoders print themselves.

    Args:
        function: the body; what it returns is the exit code, None being 0.
        name: of the command, for the message.

    Returns:
        The exit code: 2 for ValueError and OSError (a wrong argument or file), 1 for FloatingPointError (a
        training that diverged), 130 after Ctrl-C. Other exceptions are bugs and pass.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        return function() or 0
    except KeyboardInterrupt:
        return 130
    except FloatingPointError as error:
        return report(name, error, 1)
    except (ValueError, OSError) as error:
        return report(name, error, 2)
    except Exception as error:
        if type(error).__name__ == "DataLossError":  # TensorFlow's: a checksum in a TFRecord is wrong
            return report(
                name, "a prepared copy is damaged. Delete it (`msrgan datasets` tells where) and prepare again", 2
            )
        # tf.data wraps the errors of Python functions in its own, with their text inside a traceback's.
        named = r"(?:Value|UnreadableImage|OS|FileNotFound|Permission)Error"
        found = re.search(f"{named}: (.*)", str(error))
        if not type(error).__module__.startswith("tensorflow") or not found:
            raise
        return report(name, found.group(1), 2)


def warn(message: str, *, name: str = "msrgan") -> None:
    """Prints a one-line warning on stderr."""
    print(f"{name}: warning: {message}", file=sys.stderr)


def report(name: str, error: object, code: int) -> int:
    """Prints a one-line error on stderr; returns the exit code."""
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    print(f"{name}: error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
