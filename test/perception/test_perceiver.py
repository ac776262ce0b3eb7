"""The online pipeline: the same numbers as offline, each frame encoded once, every frame accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame
from step_ros.perception import Perceiver
from step_ros.perception.ledger import Clock, Inference, UnderWay, Used
from step_ros.probes import Head, HeadError

STEP_NS = 100_000_000  # the fixture's window: 4 positions, 100 ms apart


def assert_every_frame_is_accounted_for(perceiver: Perceiver) -> None:
    account = perceiver.account()
    assert account.unaccounted == 0, account.to_json()


@contextmanager
def count_passes(backbone: Backbone) -> Iterator[list[int]]:
    """The batch size of each pass of the network."""
    passes: list[int] = []
    handle = backbone.network.register_forward_hook(
        lambda module, arguments, output: passes.append(len(output.last_hidden_state))
    )
    yield passes
    handle.remove()


def test_each_sampled_frame_is_encoded_once_for_all_tasks_and_windows(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    """A 30 Hz camera, 10 grid times a second, two tasks, three seconds: 30 passes of one frame each."""
    with count_passes(perceiver.backbone) as passes:
        perceptions = [perceiver.push(frame_at(round(i * 1e9 / 30))) for i in range(91)]
    assert passes == [1] * 31
    assert perceiver.account()[Used.ENCODED] == 31
    assert sum(perception is not None for perception in perceptions) == 28
    assert_every_frame_is_accounted_for(perceiver)


def test_online_equals_offline(perceiver: Perceiver, frame_at: Callable[[int], Frame]) -> None:
    """Each perception against its window's frames encoded anew in one batch and given to the heads."""
    perceived = 0
    for index in range(1, 9):
        perception = perceiver.push(frame_at(index * STEP_NS))
        if index < 4:
            assert perception is None
            continue
        assert perception is not None
        perceived += 1
        window = [frame_at(i * STEP_NS) for i in range(index - 3, index + 1)]
        tokens = perceiver.backbone.encode(np.stack([frame.rgb for frame in window]))  # T P D
        assert perception.stamp_ns == window[-1].stamp_ns
        assert perception.window_start_ns == window[0].stamp_ns
        assert perception.held_positions == 0
        assert list(perception.predictions) == ["atomic_action", "object"]
        for task, prediction in perception.predictions.items():
            head = perceiver.heads[task]
            expected = head.probabilities(tokens[None])[0].detach().numpy()
            assert (prediction.task, prediction.labels) == (task, head.config.labels)
            assert prediction.probabilities.dtype == np.float32
            np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)
    assert perceived == 5


@pytest.mark.parametrize("rate_hz", [15, 30, 60])
def test_the_camera_rate_does_not_change_when_windows_end(
    rate_hz: int, perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    stamps = [round(i * 1e9 / rate_hz) for i in range(rate_hz * 2)]
    starts = [
        perception.window_start_ns // STEP_NS
        for perception in map(perceiver.push, map(frame_at, stamps))
        if perception is not None
    ]
    assert starts == list(range(starts[0], starts[0] + len(starts)))
    assert starts[0] == 0 and len(starts) >= 16


def test_late_and_repeated_frames_are_counted_and_change_nothing(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    for index in range(1, 5):
        perceiver.push(frame_at(index * STEP_NS))
    assert perceiver.push(frame_at(4 * STEP_NS)) is None
    assert perceiver.push(frame_at(2 * STEP_NS)) is None
    account = perceiver.account()
    assert (account[Clock.DUPLICATE_STAMP], account[Clock.LATE_FRAME]) == (1, 1)
    assert perceiver.push(frame_at(5 * STEP_NS)) is not None
    assert_every_frame_is_accounted_for(perceiver)


def test_a_short_pause_of_the_camera_is_bridged_and_told(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    perceptions = [perceiver.push(frame_at(index * STEP_NS)) for index in (1, 2, 3, 4, 6)]
    assert perceptions[-1] is not None and perceptions[-1].held_positions == 1


@pytest.mark.parametrize("jump_to", [1, 1000], ids=["a bag that loops", "a camera that was away"])
def test_a_jump_in_time_starts_an_empty_window(
    jump_to: int, perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    for index in range(500, 506):
        perceiver.push(frame_at(index * STEP_NS))
    after = [perceiver.push(frame_at((jump_to + i) * STEP_NS)) for i in range(5)]
    assert [perception is not None for perception in after] == [False, False, False, True, True]
    assert perceiver.restarts["stamp_jumped_back" if jump_to == 1 else "stamp_jumped_ahead"] == 1
    assert_every_frame_is_accounted_for(perceiver)


def test_a_loop_gives_the_same_answers_as_the_first_round(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    rounds = [
        [perceiver.push(frame_at(index * STEP_NS)) for index in range(1, 10)],
        [perceiver.push(frame_at(index * STEP_NS)) for index in range(1, 10)],
    ]
    for first, second in zip(*rounds, strict=True):
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            for task, prediction in first.predictions.items():
                np.testing.assert_array_equal(
                    prediction.probabilities, second.predictions[task].probabilities
                )


def test_reset_starts_an_empty_window_and_loses_no_count(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    for index in range(1, 6):
        perceiver.push(frame_at(index * STEP_NS))
    perceiver.push(frame_at(5 * STEP_NS + 1))  # pending
    assert perceiver.account()[UnderWay.PENDING] == 1
    perceiver.reset()
    assert perceiver.perceive() is None
    assert_every_frame_is_accounted_for(perceiver)
    after = [perceiver.push(frame_at(index * STEP_NS)) for index in range(2, 6)]
    assert [perception is not None for perception in after] == [False, False, False, True]
    assert_every_frame_is_accounted_for(perceiver)


def test_a_frame_that_cannot_be_encoded_is_counted_and_held_over(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    def fail(module: torch.nn.Module, arguments: object) -> None:
        raise RuntimeError("out of memory")

    for index in range(1, 5):
        perceiver.push(frame_at(index * STEP_NS))
    handle = perceiver.backbone.network.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        perceiver.push(frame_at(5 * STEP_NS))
    handle.remove()
    perception = perceiver.push(frame_at(6 * STEP_NS))
    assert perception is not None and perception.held_positions == 1
    assert perceiver.account().total(Inference) == 1
    assert_every_frame_is_accounted_for(perceiver)


def test_a_perceiver_without_heads_is_refused(backbone: Backbone) -> None:
    with pytest.raises(HeadError, match="at least one head"):
        Perceiver(backbone, {})


def test_a_head_under_another_tasks_name_is_refused(
    backbone: Backbone, make_head: Callable[..., Head]
) -> None:
    with pytest.raises(HeadError, match="given for task 'object' answers 'atomic_action'"):
        Perceiver(backbone, {"object": make_head("atomic_action")})


def test_heads_of_different_windows_are_refused(backbone: Backbone, make_head: Callable[..., Head]) -> None:
    longer = make_head("object", clip=ClipSpec(num_frames=4, window_seconds=2.0))
    with pytest.raises(HeadError, match=r"(?s)'atomic_action' has .*0\.4.*'object' has .*2\.0"):
        Perceiver(backbone, {"atomic_action": make_head(), "object": longer})


def test_a_head_of_another_backbone_is_refused(backbone: Backbone, make_head: Callable[..., Head]) -> None:
    other = replace(backbone.identity, id="facebook/dinov2-small", sha256="0" * 64)
    with pytest.raises(HeadError, match=f"facebook/dinov2-small .*{backbone.identity.sha256[:12]}"):
        Perceiver(backbone, {"atomic_action": make_head(backbone=other)})
