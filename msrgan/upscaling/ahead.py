"""Compute in one thread what another writes."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

from msrgan.io.image import Band


@contextlib.contextmanager
def ahead(bands: Iterator[Band], waiting: int = 2) -> Iterator[Iterator[Band]]:
    """Compute bands in a thread while others are written, and end it with the block.

    Args:
        bands: what is computed; what it raises is raised where they are used.
        waiting: how many may wait.
    """
    ready: queue.Queue = queue.Queue(waiting)
    stopped = threading.Event()

    def put(entry: tuple[Band | None, BaseException | None]) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                return ready.put(entry, timeout=0.1)

    def compute() -> None:
        try:
            for band in bands:
                put((band, None))
                if stopped.is_set():
                    return
            put((None, None))
        except BaseException as error:
            put((None, error))
        finally:
            getattr(bands, "close", lambda: None)()

    def computed() -> Iterator[Band]:
        while True:
            band, error = ready.get()
            if error is not None:
                raise error
            if band is None:
                return
            yield band

    thread = threading.Thread(target=compute, name="upscaling")
    thread.start()
    try:
        yield computed()
    finally:
        stopped.set()
        thread.join()
