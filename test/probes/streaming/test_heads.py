"""Heads of any kind behind one interface: mixed, short of memory, dealt out to threads, failing, misused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from step_ros.probes import StepProbe, StreamingHeads
from step_ros.probes.streaming.heads import estimated_saving
from step_ros.probes.streaming.step import StreamingStep

from .streams import in_double, make_heads, push_all, relative_error, torch_threads


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Heads this small are faster on one core."""
    with torch_threads(1):
        yield


class MaxPooled(StepProbe):
    """A variant that has no streaming form."""

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.classifier(tokens.amax(dim=(1, 2)))
        return logits


def test_a_probe_that_cannot_stream_answers_all_the_same() -> None:
    torch.manual_seed(0)
    heads = make_heads((4, 6))
    heads["task_0"].probe = MaxPooled(24, 4, 4, 3)
    streaming = StreamingHeads(heads)
    assert streaming.streaming_tasks == ("task_1",)
    stream = torch.randn(7, 5, 24)
    logits = push_all(streaming, stream)
    for task, head in heads.items():
        assert relative_error(logits[task], in_double(head, stream[-4:])) < 1e-5


def test_heads_that_are_cheaper_plain_do_not_stream() -> None:
    torch.manual_seed(0)
    few, many = (make_heads((4,), patches=patches)["task_0"] for patches in (5, 200))
    assert estimated_saving(few) < 1 < estimated_saving(many)
    assert StreamingHeads({"task_0": many}, least_saving=1).streaming_tasks == ("task_0",)
    streaming = StreamingHeads({"task_0": few}, least_saving=1)
    assert streaming.streaming_tasks == () and streaming.memory_bytes == 0
    stream = torch.randn(7, 5, 24)
    assert relative_error(push_all(streaming, stream)["task_0"], in_double(few, stream[-4:])) < 1e-5


def test_heads_of_different_kinds_stream_side_by_side() -> None:
    torch.manual_seed(0)
    heads = make_heads((4,))
    other = make_heads((6, 7), num_heads=2, normalization="none")
    heads["task_1"] = other["task_1"]
    streaming = StreamingHeads(heads)
    assert set(streaming.streaming_tasks) == {"task_0", "task_1"}
    stream = torch.randn(7, 5, 24)
    logits = push_all(streaming, stream)
    for task, head in heads.items():
        assert relative_error(logits[task], in_double(head, stream[-4:])) < 1e-5


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
            assert isinstance(part, StreamingStep)
            for value in (*vars(part).values(), *vars(part._cls_row).values()):
                gather(value)
    assert sum(storages.values()) == streaming.memory_bytes > 0


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_attention_heads_dealt_out_to_threads_add_up(threads: int) -> None:
    torch.manual_seed(0)
    heads = make_heads((4, 30))
    stream = torch.randn(9, 5, 24)
    with torch_threads(threads):
        logits = push_all(StreamingHeads(heads), stream)
        assert torch.get_num_threads() == threads
    for task, head in heads.items():
        assert relative_error(logits[task], in_double(head, stream[-4:])) < 1e-5


def test_probabilities_are_the_heads_own() -> None:
    torch.manual_seed(0)
    heads = make_heads((4, 3))
    streaming = StreamingHeads(heads)
    assert streaming.probabilities() is None
    stream = torch.randn(4, 5, 24)
    push_all(streaming, stream)
    probabilities = streaming.probabilities()
    assert probabilities is not None
    for task, head in heads.items():
        with torch.no_grad():
            torch.testing.assert_close(probabilities[task], head.probabilities(stream[None])[0])


def test_half_precision_tokens_are_widened() -> None:
    torch.manual_seed(0)
    heads = make_heads()
    stream = torch.randn(4, 5, 24).half()
    logits = push_all(StreamingHeads(heads), stream)
    assert relative_error(logits["task_0"], in_double(heads["task_0"], stream)) < 1e-5


def test_a_failure_on_the_way_leaves_an_empty_window(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    heads = make_heads()
    streaming = StreamingHeads(heads)
    stream = torch.randn(12, 5, 24)
    push_all(streaming, stream[:5])

    def fail(tokens: Tensor) -> Tensor:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(heads["task_0"].normalization, "forward", fail)
        with pytest.raises(MemoryError):
            streaming.push(5, stream[5])
    assert streaming.logits() is None
    for index in range(6, 10):
        streaming.push(index, stream[index])
    logits = streaming.logits()
    assert logits is not None
    assert relative_error(logits["task_0"], in_double(heads["task_0"], stream[6:10])) < 1e-5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: StreamingHeads({}), "heads must be given"),
        (lambda: StreamingHeads({**make_heads(frames=4), "x": make_heads(frames=5)["task_0"]}), "'x': 5"),
        (lambda: StreamingHeads(make_heads(), mode="int8"), "unknown mode 'int8'; known are float32, fast"),
        (lambda: StreamingHeads(make_heads(), memory_limit_mb=-1), "memory_limit_mb must not be negative"),
        (lambda: StreamingHeads(make_heads(), memory_limit_mb=float("nan")), "got nan"),
        (lambda: StreamingHeads(make_heads(), longest_gap=4), "from 0 to T - 1 = 3, got 4"),
    ],
)
def test_impossible_options_are_named(build: Callable[[], StreamingHeads], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_tokens_of_another_shape_and_going_back_are_refused() -> None:
    streaming = StreamingHeads(make_heads())
    with pytest.raises(ValueError, match=r"tokens must be \(P, D\) = \(5, 24\), got \(6, 24\)"):
        streaming.push(0, torch.zeros(6, 24))
    streaming.push(3, torch.zeros(5, 24))
    with pytest.raises(ValueError, match="grid index 3 is not after 3; reset to go back"):
        streaming.push(3, torch.zeros(5, 24))
    streaming.reset()
    streaming.push(1, torch.zeros(5, 24))
