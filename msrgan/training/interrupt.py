"""Ctrl-C and SIGTERM between the calls of a training (of one or several steps), not inside them."""

import contextlib
import signal
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold Ctrl-C (SIGINT) and SIGTERM back until the block has ended, for what must not be cut in two.

    What they do afterwards is what they would have done: raise KeyboardInterrupt, usually. A signal that would end
    the process without Python's doing is not held back, nor is one in another thread than the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda *signal_and_frame: arrived.append(signal_and_frame))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, frame in arrived[:1]:
        before[number](number, frame)
