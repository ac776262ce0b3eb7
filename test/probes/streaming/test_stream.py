"""Streaming heads against the plain module, on every frame of random and of real streams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, read_bag_frames
from step_ros.perception import TokenWindow
from step_ros.probes import Head, StreamingHeads
from step_ros.probes.normalization import NORMALIZATIONS
from step_ros.shared_files import shared_folder

from .streams import in_double, make_heads, relative_error, torch_threads

RESET = 0
kinds = st.sampled_from(["step", "step", "self_attention"])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Heads this small are faster on one core."""
    with torch_threads(1):
        yield


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
    kind=kinds,
    seed=st.integers(0, 999),
)
def test_stream_equals_batch_on_every_frame(
    size: dict[str, int],
    classes: tuple[int, ...],
    steps: list[int],
    normalization: str,
    scale: float,
    held: float,
    kind: str,
    seed: int,
) -> None:
    """The algebra, in double precision: filling, full, held, after long gaps and resets, several tasks."""
    torch.manual_seed(seed)
    heads = make_heads(classes, **size, normalization=normalization, logit_scale=scale, kind=kind)
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
@given(
    size=sizes(),
    classes=tasks,
    normalization=st.sampled_from(NORMALIZATIONS),
    kind=kinds,
    seed=st.integers(0, 999),
)
@example(  # a row whose sum is far below its reference, with blocks whose factor hardly is a number
    size={"frames": 4, "patches": 4, "dim": 6, "num_heads": 1},
    classes=(10,),
    normalization="channel",
    kind="step",
    seed=56,
)
def test_float32_is_as_exact_as_the_plain_module(
    scale: float, size: dict[str, int], classes: tuple[int, ...], normalization: str, kind: str, seed: int
) -> None:
    """1e-5 of the largest logit, or the plain module's own rounding where that is more."""
    torch.manual_seed(seed)
    heads = make_heads(classes, **size, normalization=normalization, logit_scale=scale, kind=kind)
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
    frames=st.sampled_from([1, 5, 8]),
    num_heads=st.integers(1, 3),
    classes=tasks,
    kind=kinds,
    seed=st.integers(0, 999),
)
def test_fast_mode_keeps_the_answer(
    patches: int, frames: int, num_heads: int, classes: tuple[int, ...], kind: str, seed: int
) -> None:
    """On both sides of the size from which on it uses bfloat16; attention heads of 32 channels."""
    torch.manual_seed(seed)
    size = {"frames": frames, "patches": patches, "dim": 32 * num_heads, "num_heads": num_heads}
    heads = make_heads(classes, **size, logit_scale=3.0, kind=kind)
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


@pytest.mark.parametrize("mode", ["float32", "fast"])
def test_trained_heads_on_a_recorded_scene(mode: str) -> None:
    """The bundled heads, whose scores are far larger than random ones, while the window fills and slides."""
    folder = shared_folder()
    backbone = Backbone.from_pretrained(folder / "models" / "tabletop" / "backbone")
    heads = {
        name: Head.from_pretrained(folder / "models" / "tabletop" / name)
        for name in ("fine_grained_action", "atomic_action", "object")
    }
    streaming = StreamingHeads(heads, mode=mode)
    length = streaming.num_frames
    window: list[torch.Tensor] = []
    frames = read_bag_frames(folder / "bags" / "tabletop")
    for index, frame in enumerate(islice(frames, 0, 8 * (length + 5), 8)):
        window = [*window, backbone.encode(frame.rgb[None])[0]][-length:]
        streaming.push(index, window[-1])
        logits = streaming.logits()
        assert (logits is None) == (index + 1 < length)
        for task, found in (logits or {}).items():
            expected = in_double(heads[task], torch.stack(window))
            assert relative_error(found, expected) < (1e-5 if mode == "float32" else 2e-3)
            assert found.argmax() == expected.argmax()
    assert index == length + 4
