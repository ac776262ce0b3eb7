"""A dashboard on a terminal, for a node that runs on this machine or another."""

from __future__ import annotations

import os
import sys
import time

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rich.console import Console
from rich.live import Live

from step_ros.ros.processes.environment import process_environment
from step_ros.ros.processes.stop_signals import Stopped, StopSignals
from step_ros.ros.watch_client import WatchClient
from step_ros.ros.watch_screen import line, screen

REFRESH = 0.2
"""Seconds between two pictures on a terminal."""

LINE_EVERY = 2.0
"""Seconds between two lines where the output is no terminal."""

SLICE = 0.05
"""Seconds that are waited for messages at once."""


def watch(node: str, seconds: float = 0.0) -> int:
    """Show what a perception node says until Ctrl-C.

    Args:
        node: its full name, such as ``/perception``.
        seconds: how long to watch; 0 is until stopped.

    Returns:
        The exit code: 1 if no task of the node ever was seen.
    """
    os.environ.update(process_environment(os.environ))
    seen = False
    with StopSignals() as signals:
        try:
            rclpy.init(args=[])
            client = WatchClient(node)
            executor = SingleThreadedExecutor()
            executor.add_node(client)
            signals.running()
            end = time.monotonic() + seconds if seconds else float("inf")
            if sys.stdout.isatty():
                console = Console()
                with Live(
                    screen(client, console.width), console=console, auto_refresh=False, screen=True
                ) as live:
                    while time.monotonic() < end:
                        _spin(executor, REFRESH)
                        live.update(screen(client, console.width), refresh=True)
            else:
                while time.monotonic() < end:
                    _spin(executor, min(LINE_EVERY, max(end - time.monotonic(), 0.0)))
                    print(line(client), flush=True)
            seen = bool(client.tasks)
        except (Stopped, ExternalShutdownException):
            return 0
        finally:
            signals.running()
            rclpy.try_shutdown()
    return 0 if seen else 1


def _spin(executor: SingleThreadedExecutor, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=SLICE)  # a timeout of nearly nothing would never end
