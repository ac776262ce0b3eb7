"""Threads of which each runs torch on one core: for work that splits into few large independent parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier
from typing import TypeVar

import torch

Result = TypeVar("Result")


class CoreThreads:
    """As many threads as torch uses now.

    By itself torch splits each operation over all cores and waits for the slowest of them at its end. For a
    chain of hundreds of small operations that is a wait every 0.1 ms, which a core that some other process
    is using makes a long one. Here a whole chain stays on a core, and there is one wait at the end of all.
    """

    def __init__(self) -> None:
        self.count = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None
        if self.count > 1:
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="heads")
            started = Barrier(self.count)  # keeps each from taking a second one's turn
            wait([self._pool.submit(_start, started) for _ in range(self.count)])
            torch.set_num_threads(self.count)  # what threads that are started later begin with

    def run(self, parts: Sequence[Callable[[], Result]]) -> list[Result]:
        """Call each part, at the same time where there are threads; their results, in order.

        All have ended when this returns or raises the first part's exception.
        """
        if self._pool is None:
            return [part() for part in parts]
        # The number is each thread's own, but for the part of torch that is MKL, which has one for all.
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            futures = [self._pool.submit(part) for part in parts]
            wait(futures)
        finally:
            torch.set_num_threads(before)
        return [future.result() for future in futures]


def _start(started: Barrier) -> None:
    torch.set_num_threads(1)
    started.wait()
