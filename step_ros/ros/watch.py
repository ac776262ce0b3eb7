"""A dashboard on a terminal, for a node that runs on this machine or another."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.live import Live

from step_ros.ros.listener import Listener
from step_ros.ros.processes.environment import process_environment
from step_ros.ros.processes.orderly_end import OrderlyEnd
from step_ros.ros.watch_screen import line, screen

REFRESH = 0.2
"""Seconds between two pictures on a terminal."""

LINE_EVERY = 2.0
"""Seconds between two lines where the output is no terminal."""

SLICE = 0.05
"""Seconds that are waited for messages at once."""


class Dashboard:
    """What a listener knows, drawn anew on a terminal, or a line now and then where there is none.

    Args:
        whole_screen: takes the terminal for itself, and gives it back as it was; else the last picture stays.
    """

    def __init__(self, *, whole_screen: bool) -> None:
        self._console = Console()
        self._live: Live | None = None
        if sys.stdout.isatty():
            self._live = Live(console=self._console, auto_refresh=False, screen=whole_screen)
        self._next = 0.0
        self._said = ""

    def show(self, listener: Listener) -> None:
        """Bring the picture up to date, if it is time for that."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._live is not None:
            self._live.update(screen(listener, self._console.width), refresh=True)
            self._next = now + REFRESH
        else:
            said = line(listener)
            if said != self._said:
                print(said, flush=True)
            self._said = said
            self._next = now + LINE_EVERY

    def __enter__(self) -> Dashboard:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def watch(node: str, seconds: float = 0.0) -> int:
    """Show what a perception node says until Ctrl-C.

    Args:
        node: its full name, such as ``/perception``.
        seconds: how long to watch; 0 is until stopped.

    Returns:
        The exit code: 1 if no task of the node ever was seen.
    """
    os.environ.update(process_environment(os.environ))
    with OrderlyEnd() as end:
        end.in_order()
        try:
            rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
            listener = Listener(node)
            executor = SingleThreadedExecutor()
            executor.add_node(listener)
            over = time.monotonic() + seconds if seconds else float("inf")
            with Dashboard(whole_screen=True) as dashboard:
                while time.monotonic() < over and not end.asked:
                    executor.spin_once(timeout_sec=SLICE)  # a timeout of nearly nothing would never end
                    dashboard.show(listener)
            return 0 if listener.tasks or end.asked else 1
        finally:
            rclpy.try_shutdown()
