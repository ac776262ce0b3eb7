"""An iterator that runs ahead keeps its order, its errors, and no thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from step_ros.runs.ahead import ahead


def test_keeps_order_and_ends() -> None:
    assert list(ahead(iter(range(100)), 3)) == list(range(100))


def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    items = ahead(failing(), 4)
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)


def test_leaving_early_ends_the_thread() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 0

    items = ahead(endless(), 2)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]
