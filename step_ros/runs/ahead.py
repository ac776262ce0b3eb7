"""Lets an iterator run ahead of who takes from it, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def ahead(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """The same items, up to `depth` of them made in advance; the thread ends with the iteration.

    Args:
        items: iterated in the thread; what it raises is raised here, after the items before it.
        depth: at least 1.
    """
    ready: queue.Queue[object] = queue.Queue(depth)
    stopped = threading.Event()
    errors: list[BaseException] = []

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            errors.append(error)
        finally:
            put(_END)

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            yield item  # type: ignore[misc]  # the queue also holds the end mark, which is no item
    finally:
        stopped.set()
        thread.join()
    if errors:
        raise errors[0]
