"""Heads that come, change and go while the perceiver runs."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame
from step_ros.perception import Perceiver, Perception
from step_ros.probes import Head, HeadError

STEP_NS = 100_000_000


def film(perceiver: Perceiver, frame_at: Callable[[int], Frame], indices: range) -> Perception | None:
    """The last answer."""
    answer = None
    for index in indices:
        answer = perceiver.push(frame_at(index * STEP_NS))
    return answer


def assert_same(one: Perception | None, other: Perception | None) -> None:
    assert one is not None and other is not None and set(one.predictions) == set(other.predictions)
    for task, prediction in one.predictions.items():
        np.testing.assert_allclose(prediction.probabilities, other.predictions[task].probabilities, atol=1e-5)


@pytest.mark.parametrize("meanwhile", [0, 2], ids=["at once", "two frames later"])
def test_a_new_head_answers_from_the_next_frame_on_as_if_it_had_always_been_there(
    perceiver: Perceiver, make_head: Callable[..., Head], frame_at: Callable[[int], Frame], meanwhile: int
) -> None:
    heads = {"atomic_action": perceiver.heads["atomic_action"], "grasp": make_head("grasp")}
    always = Perceiver(perceiver.backbone, heads)
    film(perceiver, frame_at, range(1, 7))
    prepared = perceiver.prepare(heads, kept=perceiver.kept())
    answer = film(perceiver, frame_at, range(7, 7 + meanwhile))
    assert answer is None or set(answer.predictions) == {"atomic_action", "object"}  # those before serve on
    perceiver.adopt(prepared)
    for index in range(7 + meanwhile, 10):
        assert_same(
            film(perceiver, frame_at, range(index, index + 1)), film(always, frame_at, range(1, index + 1))
        )
        always.reset()


def test_a_reset_meanwhile_empties_the_new_heads_window_too(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    film(perceiver, frame_at, range(1, 7))
    prepared = perceiver.prepare(perceiver.heads, kept=perceiver.kept())
    perceiver.reset()
    perceiver.adopt(prepared)
    assert film(perceiver, frame_at, range(7, 10)) is None
    fresh = Perceiver(perceiver.backbone, perceiver.heads)
    assert_same(film(perceiver, frame_at, range(10, 11)), film(fresh, frame_at, range(7, 11)))


def test_heads_that_do_not_fit_change_nothing(
    perceiver: Perceiver, make_head: Callable[..., Head], frame_at: Callable[[int], Frame]
) -> None:
    film(perceiver, frame_at, range(1, 5))
    other = {"grasp": make_head("grasp"), "object": make_head("object", clip=ClipSpec(2, 0.4))}
    with pytest.raises(HeadError, match="must see the same window"):
        perceiver.prepare(other, kept=perceiver.kept())
    answer = film(perceiver, frame_at, range(5, 6))
    assert answer is not None and set(answer.predictions) == {"atomic_action", "object"}


def test_heads_with_another_window_start_with_an_empty_one_and_the_counts_go_on(
    perceiver: Perceiver, make_head: Callable[..., Head], frame_at: Callable[[int], Frame]
) -> None:
    film(perceiver, frame_at, range(1, 7))
    received = perceiver.account().received
    perceiver.adopt(perceiver.prepare({"grasp": make_head("grasp", clip=ClipSpec(2, 0.2))}))
    assert perceiver.clip.num_frames == 2
    assert film(perceiver, frame_at, range(7, 8)) is None
    answer = film(perceiver, frame_at, range(8, 9))
    assert answer is not None and set(answer.predictions) == {"grasp"}
    assert perceiver.account().received == received + 2
    assert perceiver.account().unaccounted == 0


def test_a_window_may_span_another_time(
    backbone: Backbone, make_head: Callable[..., Head], frame_at: Callable[[int], Frame]
) -> None:
    perceiver = Perceiver(backbone, {"grasp": make_head("grasp")})
    perceiver.adopt(perceiver.prepare(perceiver.heads, window_seconds=0.8))
    assert perceiver.clip == ClipSpec(4, 0.8)
    answer = film(perceiver, frame_at, range(2, 9))  # 200 ms to 800 ms, a grid time each 200 ms
    assert answer is not None and answer.stamp_ns - answer.window_start_ns == 600_000_000


def test_how_much_may_be_held_can_change(perceiver: Perceiver, frame_at: Callable[[int], Frame]) -> None:
    film(perceiver, frame_at, range(1, 5))
    perceiver.max_held = 0
    assert film(perceiver, frame_at, range(6, 7)) is None
    perceiver.max_held = None
    answer = film(perceiver, frame_at, range(8, 9))
    assert answer is not None and answer.held_positions == 2
    with pytest.raises(ValueError, match="max_held must be from 0 to T - 1 = 3, got 4"):
        perceiver.max_held = 4


def test_heads_that_are_replaced_leave_no_thread_behind(
    backbone: Backbone, make_head: Callable[..., Head], frame_at: Callable[[int], Frame]
) -> None:
    torch.set_num_threads(2)
    perceiver = Perceiver(backbone, {"grasp": make_head("grasp")})
    film(perceiver, frame_at, range(1, 7))
    before = threading.active_count()
    for _ in range(5):
        perceiver.adopt(perceiver.prepare(perceiver.heads, kept=perceiver.kept()))
    gc.collect()
    end = time.monotonic() + 60
    while threading.active_count() > before:
        assert time.monotonic() < end, [thread.name for thread in threading.enumerate()]
        time.sleep(0.01)
    assert film(perceiver, frame_at, range(7, 8)) is not None
