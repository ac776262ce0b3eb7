"""The process behind `step-ros listen`: signals and exit codes around a live run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions
from rich.console import Console

from step_ros.ros.listener import Listener
from step_ros.ros.live_run import ListenError, ListenOptions, listen
from step_ros.ros.processes.environment import process_environment
from step_ros.ros.processes.orderly_end import OrderlyEnd
from step_ros.ros.watch import Dashboard
from step_ros.runs.metrics_table import metrics_table
from step_ros.runs.recorder import MakeWriter, not_written


def listen_until_stopped(
    node: str,
    out: Path,
    options: ListenOptions,
    also: Mapping[str, MakeWriter],
    seconds: float,
    start_timeout: float,
) -> int:
    """Listen to a node for some time, or until Ctrl-C, and print what it is worth.

    Args:
        node: its full name.
        out: folder to write to.
        options: what is kept.
        also: further files by name, and what writes them.
        seconds: from the moment on at which the node is ready; 0 is until Ctrl-C.
        start_timeout: seconds that it may take until then.

    Returns:
        The exit code: 1 if there was nothing to listen to or the truth cannot be used, 130 if it was stopped
        before there was anything.
    """
    os.environ.update(process_environment(os.environ))
    over: float | None = None

    def is_over(listener: Listener) -> bool:
        nonlocal over
        over = over or time.monotonic() + (seconds or float("inf"))
        return time.monotonic() > over

    with OrderlyEnd(patience=None) as end:
        end.in_order()
        try:
            rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
            with Dashboard(whole_screen=False) as dashboard:
                found = listen(
                    node,
                    out,
                    options,
                    end,
                    until=is_over,
                    start_timeout=start_timeout,
                    on_turn=dashboard.show,
                    also=also,
                )
        except (ListenError, OSError, ValueError, RuntimeError) as error:
            if end.asked:
                return 130
            print(f"step-ros listen: {error}", file=sys.stderr)
            return 1
        finally:
            rclpy.try_shutdown()
    missing = False
    for folder, metrics in found.items():
        Console().print(metrics_table(metrics), f"{folder}", highlight=False)
        if names := not_written(also, folder):
            print(f"step-ros listen: not written to {folder}: {', '.join(names)}", file=sys.stderr)
            missing = True
    return int(missing)
