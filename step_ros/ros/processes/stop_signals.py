"""Ends a process cleanly on SIGINT and SIGTERM, however often and whenever they come."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class Stopped(BaseException):
    """Raised in the main thread by the first signal while the process starts up."""


class StopSignals:
    """While entered, SIGINT and SIGTERM raise `Stopped` once, and nothing at all after `running`.

    To be entered before rclpy is initialised: rclpy's own handlers come on top and shut its context down,
    which ends spinning; without this, they would also raise KeyboardInterrupt again and again in the middle
    of the clean-up, since `ros2 launch` passes on a Ctrl-C that the process has already had.
    """

    def __init__(self) -> None:
        self._raises = True
        self._before: dict[signal.Signals, object] = {}

    def running(self) -> None:
        """From here on a signal only shuts rclpy's context down."""
        self._raises = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raises:
            self._raises = False
            raise Stopped(signal.Signals(number).name)

    def __enter__(self) -> StopSignals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself gave
