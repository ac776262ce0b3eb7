"""The form that streams on a GPU, on whatever device there is, against the plain module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from step_ros.probes import Head, StreamingHeads
from step_ros.probes.normalization import NORMALIZATIONS
from step_ros.probes.streaming import partial_attention
from step_ros.probes.streaming.fused_step import FusedStep, fused_dtype, memory_bytes, own_copy

from .streams import in_double, make_heads, relative_error, torch_threads


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Heads this small are faster on one core."""
    with torch_threads(1):
        yield


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 6),
    num_heads=st.integers(1, 3),
    channels=st.integers(2, 8),
    classes=st.lists(st.integers(2, 12), min_size=1, max_size=3).map(tuple),
    normalization=st.sampled_from(NORMALIZATIONS),
    scale=st.sampled_from([1.0, 10.0, 1000.0]),
    reset=st.integers(0, 9),
    asked=st.lists(st.integers(0, 2), min_size=3, max_size=7),
    kind=st.sampled_from(["step", "self_attention"]),
    seed=st.integers(0, 999),
)
def test_every_frame_gives_the_plain_modules_answer(
    frames: int,
    num_heads: int,
    channels: int,
    classes: tuple[int, ...],
    normalization: str,
    scale: float,
    reset: int,
    asked: list[int],
    kind: str,
    seed: int,
) -> None:
    """Whether it is asked after a frame, not at all or twice, and whether it looks ahead before the next."""
    torch.manual_seed(seed)
    size = {"frames": frames, "dim": num_heads * channels, "num_heads": num_heads, "patches": 5}
    heads = make_heads(classes, **size, normalization=normalization, logit_scale=scale, kind=kind)
    heads = {task: head.double() for task, head in heads.items()}
    fused = FusedStep(list(heads.values()), 5, torch.float64)
    stream = torch.randn(2 * frames + 9, 5, size["dim"], dtype=torch.float64)
    for index, tokens in enumerate(stream):
        if index == reset:
            fused.reset()
        fused.push(tokens)
        shown = index + 1 - (reset if index >= reset else 0)
        answers = [fused.logits() for _ in range(asked[index % len(asked)])]
        if index % 3:
            fused.look_ahead()
            answers.append(fused.logits())
        for head, logits in [pair for rows in answers for pair in zip(heads.values(), rows, strict=True)]:
            assert (logits is None) == (shown < frames)
            if logits is not None:
                assert relative_error(logits, in_double(head, stream[index + 1 - frames : index + 1])) < 1e-9


@pytest.mark.parametrize(("mode", "bound"), [("float32", 1e-5), ("fast", 2e-3)])
def test_each_mode_keeps_its_promise(mode: str, bound: float) -> None:
    torch.manual_seed(0)
    heads = list(make_heads((4, 30), frames=8, patches=32, dim=64, num_heads=2, logit_scale=5.0).values())
    dtype = fused_dtype(heads, mode)
    assert dtype == (torch.float32 if mode == "float32" else torch.float16)
    fused = FusedStep(heads, 32, dtype)
    kept = fused._ring.nbytes + fused._window.nbytes + sum(part.nbytes for part in fused._old)
    assert kept == memory_bytes(heads, 32, dtype)
    stream = torch.randn(12, 32, 64)
    for index, tokens in enumerate(stream):
        fused.push(tokens)
        for head, logits in zip(heads, fused.logits(), strict=True):
            if logits is not None:
                expected = in_double(head, stream[index - 7 : index + 1])
                assert relative_error(logits, expected) < bound and logits.argmax() == expected.argmax()


def test_what_could_overflow_float16_stays_wide() -> None:
    torch.manual_seed(0)
    assert fused_dtype(list(make_heads((4,)).values()), "fast") == torch.float16
    unbounded = list(make_heads((4,), normalization="none").values())
    assert fused_dtype(unbounded, "fast") == torch.float32
    large = list(make_heads((4,), logit_scale=1e8).values())
    assert fused_dtype(large, "fast") == torch.float32
    exact = [head.double() for head in make_heads((4,)).values()]
    assert fused_dtype(exact, "fast") == torch.float64


def test_a_function_is_compiled_for_many_sizes() -> None:
    for size in range(2, 14):
        doubled = torch.compile(own_copy(_double), backend="eager", fullgraph=True, dynamic=False)
        assert torch.equal(doubled(torch.ones(size)), torch.full((size,), 2.0))


def _double(given: torch.Tensor) -> torch.Tensor:
    return given * 2


@pytest.mark.needs_cuda
@pytest.mark.parametrize(("mode", "bound"), [("float32", 1e-5), ("fast", 2e-3)])
def test_on_a_gpu_streaming_heads_are_fused_and_captured(mode: str, bound: float) -> None:
    torch.manual_seed(0)
    heads: dict[str, Head] = make_heads((4, 30, 7), frames=8, patches=64, dim=128, num_heads=2)
    streaming = StreamingHeads({task: head.cuda() for task, head in heads.items()}, mode=mode)
    assert streaming.streaming_tasks == tuple(heads) and streaming.memory_bytes > 0
    stream = torch.randn(20, 64, 128, device="cuda")
    answers = []
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
        if index != 12:
            answers.append((index, streaming.logits()))  # launched one after the other, read at the end
        if index != 14:
            streaming.look_ahead()
    for index, logits in answers:
        assert (logits is None) == (index < 7)
        for task, found in (logits or {}).items():
            expected = in_double(heads[task], stream[index - 7 : index + 1])
            assert relative_error(found, expected) < bound


@pytest.mark.needs_cuda
def test_on_a_gpu_a_step_and_an_answer_wait_for_nothing() -> None:
    heads = {task: head.cuda() for task, head in make_heads((4, 30), frames=4).items()}
    streaming = StreamingHeads(heads, mode="fast")
    tokens = torch.randn(12, 5, 24, device="cuda")
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for index in range(12):
            streaming.push(index, tokens[index])
            streaming.probabilities()
            streaming.look_ahead()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.needs_cuda
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_on_a_gpu_a_kernel_is_found_that_gives_denominators(dtype: torch.dtype) -> None:
    sample = torch.zeros(2, 3, 300, 3 * 64, dtype=dtype, device="cuda")
    assert partial_attention.fastest(sample) is not partial_attention.plain
