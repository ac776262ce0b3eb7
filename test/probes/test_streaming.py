"""Streaming heads against the plain module, on every frame of random streams."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.perception import TokenWindow
from step_ros.probes import Head, HeadConfig, ProbeConfig, StepProbe, StreamingHeads
from step_ros.probes.normalization import NORMALIZATIONS

RESET = 0


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Heads this small are faster on one core."""
    with torch_threads(1):
        yield


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def make_heads(
    classes: tuple[int, ...] = (4,),
    *,
    frames: int = 4,
    patches: int = 5,
    dim: int = 24,
    num_heads: int = 3,
    normalization: str = "layer_norm",
    logit_scale: float = 1.0,
) -> dict[str, Head]:
    """A head for each number of classes, with no parameter left at zero; scores grow with `logit_scale`."""
    identity = BackboneIdentity("owner/tiny", (32, 32), patches, dim, "ab" * 32)
    heads = {}
    for index, count in enumerate(classes):
        config = HeadConfig(
            task=f"task_{index}",
            labels=tuple(f"label_{label}" for label in range(count)),
            clip=ClipSpec(frames, 1.0),
            probe=ProbeConfig(dim, num_heads, normalization=normalization),
            backbone=identity,
            temperature=1.0 + index,
        )
        head = Head(config).eval()
        with torch.no_grad():
            head.probe.in_proj.bias.normal_()
            head.probe.out_proj.bias.normal_()
            head.probe.in_proj.weight[: 2 * dim].mul_(logit_scale**0.5)
            head.probe.in_proj.bias[: 2 * dim].mul_(logit_scale**0.5)
        if normalization == "channel":
            head.normalization.fit(torch.randn(dim), torch.rand(dim) + 0.5)
        heads[config.task] = head
    return heads


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


@torch.no_grad()
def in_double(head: Head, window: Tensor) -> Tensor:
    """The plain module's logits (K,) of a window (T, P, D), in double precision."""
    logits: Tensor = copy.deepcopy(head).double()(window[None].double())[0]
    return logits


@st.composite
def sizes(draw: st.DrawFn) -> dict[str, int]:
    num_heads = draw(st.integers(1, 3))
    return {
        "frames": draw(st.integers(1, 6)),
        "patches": draw(st.integers(1, 9)),
        "dim": num_heads * draw(st.integers(2, 8)),
        "num_heads": num_heads,
    }


# How far the grid goes on before each frame: 1 leaves no gap; RESET comes between frames.
streams = st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3, 7, RESET]), min_size=1, max_size=30)
tasks = st.lists(st.integers(2, 12), min_size=1, max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    size=sizes(),
    classes=tasks,
    steps=streams,
    normalization=st.sampled_from(NORMALIZATIONS),
    scale=st.sampled_from([0.1, 1.0, 10.0, 100.0]),
    held=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_stream_equals_batch_on_every_frame(
    size: dict[str, int],
    classes: tuple[int, ...],
    steps: list[int],
    normalization: str,
    scale: float,
    held: float,
    seed: int,
) -> None:
    """The algebra, in double precision: filling, full, held, after long gaps and resets, several tasks."""
    torch.manual_seed(seed)
    heads = make_heads(classes, **size, normalization=normalization, logit_scale=scale)
    heads = {task: head.double() for task, head in heads.items()}
    frames, patches, dim = size["frames"], size["patches"], size["dim"]
    window = TokenWindow(ClipSpec(frames, 1.0), patches, dim, max_held=round(held * (frames - 1)))
    streaming = StreamingHeads(heads, longest_gap=window.max_held)
    assert streaming.streaming_tasks == tuple(heads)
    index = 0
    for step in steps:
        if step == RESET:
            window.reset()
            streaming.reset()
            continue
        index += step
        tokens = torch.randn(patches, dim, dtype=torch.float64)
        window.put(index, tokens)
        streaming.push(index, tokens)
        shown, logits = window.tokens(), streaming.logits()
        if shown is None:
            continue
        assert logits is not None and list(logits) == list(heads)
        for task, head in heads.items():
            assert relative_error(logits[task], in_double(head, shown)) < 1e-9


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
@settings(max_examples=15, deadline=None)
@given(size=sizes(), classes=tasks, normalization=st.sampled_from(NORMALIZATIONS), seed=st.integers(0, 999))
def test_float32_is_as_exact_as_the_plain_module(
    scale: float, size: dict[str, int], classes: tuple[int, ...], normalization: str, seed: int
) -> None:
    """1e-5 of the largest logit, or the plain module's own rounding where that is more."""
    torch.manual_seed(seed)
    heads = make_heads(classes, **size, normalization=normalization, logit_scale=scale)
    streaming = StreamingHeads(heads)
    stream = torch.randn(2 * size["frames"] + 3, size["patches"], size["dim"])
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
        logits = streaming.logits()
        assert (logits is None) == (index + 1 < size["frames"])
        if logits is None:
            continue
        window = stream[index + 1 - size["frames"] : index + 1]
        for task, head in heads.items():
            expected = in_double(head, window)
            with torch.no_grad():
                own = relative_error(head(window[None])[0], expected)
            assert relative_error(logits[task], expected) <= max(1e-5, 4 * own)


@pytest.mark.parametrize("patches", [16, 128, 200])
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    frames=st.sampled_from([1, 5, 8]), num_heads=st.integers(1, 3), classes=tasks, seed=st.integers(0, 999)
)
def test_fast_mode_keeps_the_answer(
    patches: int, frames: int, num_heads: int, classes: tuple[int, ...], seed: int
) -> None:
    """On both sides of the size from which on it uses bfloat16; attention heads of 32 channels."""
    torch.manual_seed(seed)
    size = {"frames": frames, "patches": patches, "dim": 32 * num_heads, "num_heads": num_heads}
    heads = make_heads(classes, **size, logit_scale=3.0)
    streaming = StreamingHeads(heads, mode="fast")
    stream = torch.randn(2 * size["frames"] + 3, size["patches"], size["dim"])
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
        logits = streaming.logits()
        if logits is None:
            continue
        for task, head in heads.items():
            expected = in_double(head, stream[index + 1 - size["frames"] : index + 1])
            assert relative_error(logits[task], expected) <= 2e-3
            best = expected.argmax()
            tie = 4e-3 * expected.abs().max()
            assert expected[best] - expected[logits[task].argmax()] <= tie


def test_float32_over_a_long_stream() -> None:
    """Three hundred frames, twenty times round the ring: nothing builds up."""
    torch.manual_seed(0)
    heads = make_heads((5, 3), frames=15, patches=6)
    streaming = StreamingHeads(heads)
    stream = torch.randn(300, 6, 24)
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert logits is not None
    for task, head in heads.items():
        assert relative_error(logits[task], in_double(head, stream[-15:])) < 1e-5


def test_a_burst_of_extreme_frames_passes_through_the_plain_module_and_leaves_no_trace() -> None:
    """Tokens so large that the temporal embeddings alone spread scores beyond float32's range."""
    torch.manual_seed(0)
    heads = make_heads((4,), normalization="none")
    head = heads["task_0"]
    calls: list[int] = []
    handle = head.register_forward_hook(lambda module, arguments, output: calls.append(1))
    streaming = StreamingHeads(heads)
    stream = torch.randn(20, 5, 24)
    stream[8] *= 1e4
    plain = []
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
        calls.clear()
        logits = streaming.logits()
        plain.append(bool(calls))
        if logits is not None:
            expected = in_double(head, stream[index - 3 : index + 1])
            assert relative_error(logits["task_0"], expected) < 1e-5
    handle.remove()
    assert [index for index, was_plain in enumerate(plain) if was_plain] == [8, 9, 10, 11]


def test_one_task_beyond_range_leaves_the_others_streaming() -> None:
    torch.manual_seed(0)
    heads = make_heads((4, 4))
    with torch.no_grad():
        heads["task_1"].probe.position.mul_(1e4)
    streaming = StreamingHeads(heads)
    stream = torch.randn(6, 5, 24)
    called: list[str] = []
    for task, head in heads.items():
        head.register_forward_hook(lambda module, arguments, output, task=task: called.append(task))
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert called == ["task_1"]
    assert logits is not None
    for task, head in heads.items():
        with torch.no_grad():
            torch.testing.assert_close(logits[task], head(stream[None, -4:])[0], rtol=1e-5, atol=1e-5)


def test_without_temporal_embeddings_the_stream_is_order_blind() -> None:
    """The order-blind self-attention probe is the special case with all temporal embeddings zero."""
    torch.manual_seed(0)
    heads = make_heads()
    with torch.no_grad():
        heads["task_0"].probe.position.zero_()
    stream = torch.randn(4, 5, 24)
    answers = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        streaming = StreamingHeads(heads)
        for index, frame in enumerate(order):
            streaming.push(index, stream[frame])
        logits = streaming.logits()
        assert logits is not None
        answers.append(logits["task_0"])
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(answers[0], answers[2], rtol=1e-5, atol=1e-6)
    assert relative_error(answers[0], in_double(heads["task_0"], stream)) < 1e-5


def push_all(streaming: StreamingHeads, stream: Tensor) -> dict[str, Tensor]:
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert logits is not None
    return logits


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
