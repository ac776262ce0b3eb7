"""The moments probe's streaming form gives the plain module's answer on every frame."""

from __future__ import annotations

import pytest
import torch

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, ProbeConfig, StreamingHeads

from .streams import in_double, make_heads, relative_error


def moments_heads(*classes: int, frames: int = 6, normalization: str = "layer_norm") -> dict[str, Head]:
    torch.manual_seed(0)
    identity = BackboneIdentity("owner/tiny", (48, 64), 12, 24, "ab" * 32)
    probe = ProbeConfig(24, 3, kind="moments", normalization=normalization)
    return {
        f"task_{index}": Head(
            HeadConfig(
                *(f"task_{index}", tuple(map(str, range(count))), ClipSpec(frames, 1.0), probe, identity),
            )
        ).eval()
        for index, count in enumerate(classes)
    }


@pytest.mark.parametrize("frames", [2, 3, 16])
@pytest.mark.parametrize("normalization", ["none", "layer_norm", "channel"])
def test_the_answer_is_the_plain_modules_on_every_frame(frames: int, normalization: str) -> None:
    heads = moments_heads(3, 5, frames=frames, normalization=normalization)
    streaming = StreamingHeads(heads)
    assert streaming.streaming_tasks == tuple(heads)
    stream = torch.randn(50, 12, 24)
    stream[20:25] = stream[20]  # the camera shows one picture for a while
    stream[30] *= 100  # a flash, which must be forgotten once it has left the window
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
        logits = streaming.logits()
        assert (logits is None) == (index + 1 < frames)
        for task, row in (logits or {}).items():
            assert relative_error(row, in_double(heads[task], stream[index + 1 - frames : index + 1])) < 1e-5


def test_what_is_not_a_number_leaves_with_its_frame() -> None:
    heads = moments_heads(4)
    streaming = StreamingHeads(heads)
    stream = torch.randn(14, 12, 24)
    stream[3] = torch.nan
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
        logits = streaming.logits()
        if logits is not None:
            assert bool(torch.isfinite(logits["task_0"]).all()) == (index > 8)


def test_held_positions_and_a_reset() -> None:
    heads = moments_heads(4)
    streaming = StreamingHeads(heads, longest_gap=2)
    stream = torch.randn(20, 12, 24)
    for index in (0, 1, 2, 3, 6, 7):
        streaming.push(index, stream[index])
    logits = streaming.logits()
    assert logits is not None
    held = stream[[2, 3, 3, 3, 6, 7]]
    assert relative_error(logits["task_0"], in_double(heads["task_0"], held)) < 1e-5
    streaming.push(12, stream[12])
    assert streaming.logits() is None


def test_beyond_the_memory_limit_the_plain_module_answers() -> None:
    heads = moments_heads(4)
    streaming = StreamingHeads(heads, memory_limit_mb=0)
    assert streaming.streaming_tasks == () and streaming.memory_bytes == 0
    assert StreamingHeads(heads).memory_bytes == 6 * 12 * 25 * 4
    stream = torch.randn(6, 12, 24)
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert logits is not None
    assert relative_error(logits["task_0"], in_double(heads["task_0"], stream)) < 1e-5


def test_it_answers_beside_step() -> None:
    moments = moments_heads(4)["task_0"]
    step = make_heads((5,), frames=6, patches=12)["task_0"]
    heads = {"task_0": step, "other": moments}
    streaming = StreamingHeads(heads)
    stream = torch.randn(7, 12, 24)
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert logits is not None
    for task, head in heads.items():
        assert relative_error(logits[task], in_double(head, stream[-6:])) < 1e-5
