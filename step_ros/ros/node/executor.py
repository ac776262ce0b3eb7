"""What runs the node's callbacks."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.executors import Executor as RclpyExecutor
from rclpy.executors import ExternalShutdownException, ShutdownException, TimeoutException

from step_ros.ros.node.rclpy_releases import REMOVED_WHILE_TAKEN

_MOMENT = 1e-4
"""Seconds."""


class CallbackExecutor(RclpyExecutor):
    """Runs callbacks in a pool of threads, and rests while there are none.

    rclpy's `MultiThreadedExecutor` is given a callback again and again until a thread has begun it, and is so
    busy with that that no thread gets to begin: in many releases it takes a whole core
    (https://github.com/ros2/rclpy/issues/1452). This one asks for the next when the last has begun.

    Args:
        num_threads: how many callbacks may run at the same time.
    """

    def __init__(self, num_threads: int) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="callback")
        # All begin now, not one by one as they are needed: a node has as many threads later as at its start.
        together = threading.Barrier(num_threads)
        list(self._pool.map(lambda _: together.wait(), range(num_threads)))
        self._begun: list[Any] = []

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Let the next callback begin; raises what one that has ended raised, of several one a time."""
        try:
            task, _, _ = self.wait_for_ready_callbacks(timeout_sec)
        except (ExternalShutdownException, ShutdownException, TimeoutException):
            return
        self._pool.submit(task)
        while not (task.executing() or task.done()):
            time.sleep(_MOMENT)
        self._begun.append(task)
        for each in [each for each in self._begun if each.done()]:
            self._begun.remove(each)
            with contextlib.suppress(*REMOVED_WHILE_TAKEN):
                each.result()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Let no further callback begin; see rclpy's."""
        ended = bool(super().shutdown(timeout_sec))
        self._pool.shutdown(wait=False)
        return ended
