"""What streaming heads keep: stated, bounded, and given up for plain heads beyond the limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from step_ros.probes import StreamingHeads

from .streams import in_double, make_heads, push_all, relative_error, torch_threads


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Heads this small are faster on one core."""
    with torch_threads(1):
        yield


@pytest.mark.parametrize("streamed", [0, 1, 2, 3])
def test_memory_stays_below_its_limit_and_the_answers_stay_the_same(streamed: int) -> None:
    torch.manual_seed(0)
    heads = make_heads((4, 4, 4))
    one = StreamingHeads({"task_0": heads["task_0"]}).memory_bytes
    limit = (streamed + 0.5) * one
    streaming = StreamingHeads(heads, memory_limit_mb=limit / 2**20)
    assert streaming.streaming_tasks == tuple(heads)[:streamed]
    assert streaming.memory_bytes <= limit
    stream = torch.randn(9, 5, 24)
    logits = push_all(streaming, stream)
    for task, head in heads.items():
        assert relative_error(logits[task], in_double(head, stream[-4:])) < 1e-5


def test_the_memory_stated_is_the_memory_allocated() -> None:
    streaming = StreamingHeads(make_heads((4, 30), frames=8, patches=130), mode="fast")
    storages = {}

    def gather(thing: object) -> None:
        if isinstance(thing, Tensor):
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()

    for parts in streaming._streams.values():
        for part in parts:
            for value in vars(part).values():
                gather(value)
    assert sum(storages.values()) == streaming.memory_bytes > 0
