"""Says that something long is still under way, in the log, where a node's user sees it too."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


@contextmanager
def reported(what: str, *, every_seconds: float = 10.0) -> Iterator[None]:
    """Log the start and the end of a block, and in between how long it has taken.

    Args:
        what: is being done.
        every_seconds: between two reports.
    """
    begin = time.monotonic()
    over = threading.Event()

    def report() -> None:
        while not over.wait(every_seconds):
            _log.info("%s: %.0f s so far", what, time.monotonic() - begin)

    _log.info("%s: begins, and may take minutes", what)
    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _log.info("%s: took %.0f s", what, time.monotonic() - begin)
