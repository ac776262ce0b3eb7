"""Ends a process in order and in time on SIGINT and SIGTERM, however often and whenever they come."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import NoReturn

PATIENCE = 1.5
"""Seconds from the first signal on that an end in order may take; then the process ends as it is."""


class OrderlyEnd:
    """While entered, SIGINT and SIGTERM ask the process to end, with exit code 0.

    To be entered before anything slow is imported. At first a signal ends the process at once: raised as an
    exception, it would be swallowed by some import, or told as the failure of what is being imported. After
    `in_order` a signal sets `asked` and nothing else, and whoever looks at that ends the process by `leave`.
    One that does not, since it waits for a lock or a driver, is ended after `patience`. `ros2 launch` passes
    on a Ctrl-C that the process has already had: signals after the first change nothing.

    rclpy is then to be initialised without handlers of its own: they would end all communication before the
    last words.

    Args:
        patience: seconds that the end may take; None for one that has something to write, however long.
    """

    def __init__(self, patience: float | None = PATIENCE) -> None:
        self.asked = False
        """Whether a signal has come."""
        self._patience = patience
        self._in_order = False
        # Unlike an Event, it may be used by a handler that interrupts its other user.
        self._first: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._before: dict[signal.Signals, object] = {}

    def in_order(self) -> None:
        """From here on a signal only sets `asked`."""
        if self._patience is not None:
            threading.Thread(target=self._insist, args=(self._patience,), name="end", daemon=True).start()
        self._in_order = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._in_order:
            os._exit(0)
        if not self.asked:
            self.asked = True
            self._first.put(None)

    def _insist(self, patience: float) -> None:
        self._first.get()
        time.sleep(patience)
        os._exit(0)

    def __enter__(self) -> OrderlyEnd:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself gave


def leave(code: int) -> NoReturn:
    """End the process with what it has written, and without Python's teardown.

    That waits for threads, an engine's build among them, and takes seconds once torch is loaded.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
