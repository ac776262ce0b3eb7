"""The time grid, and choosing, live, the frame for each of its times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_ros.frames import ClipSpec, Frame, GridSampler, Sampled

PIXEL = np.zeros((1, 1, 3), np.uint8)
CLIP = ClipSpec(num_frames=8, window_seconds=1.0)  # a step of 125 ms
STEP = CLIP.step_ns
MS = 1_000_000

STAMPS = st.lists(
    # Cameras: small steps forwards, exact grid times, repetitions, a little back, and jumps of seconds.
    st.integers(-3, 200).map(lambda ms: ms * MS)
    | st.sampled_from([0, STEP, 2 * STEP, CLIP.window_ns, -CLIP.window_ns, 10 * STEP, -40 * STEP]),
    max_size=80,
).map(lambda steps: [int(stamp) for stamp in np.cumsum([0, *steps])])


def camera(
    rate: float, seconds: float, *, jitter_ms: float = 0, dropped: float = 0, seed: int = 0
) -> list[int]:
    """Stamps in nanoseconds of a camera that starts at an odd time."""
    random = np.random.default_rng(seed)
    stamps = 37_123_457 + np.arange(0, seconds, 1 / rate) * 1e9
    stamps += random.uniform(-jitter_ms, jitter_ms, len(stamps)) * MS
    return [int(stamp) for stamp in stamps[random.random(len(stamps)) >= dropped]]


def push_all(sampler: GridSampler, stamps: Iterable[int]) -> list[Sampled]:
    pushed = [sampler.push(Frame(stamp, PIXEL)) for stamp in stamps]
    return [sampled for sampled in pushed if sampled is not None]


def chosen(sampled: Iterable[Sampled]) -> dict[int, int]:
    return {one.grid_index: one.frame.stamp_ns for one in sampled}


def batch_choice(stamps: list[int]) -> dict[int, int]:
    """Straight from the definition, over a whole recording: the newest at or before, less than a step old."""
    choice = {}
    for index in range(CLIP.grid_index(min(stamps)), CLIP.grid_index(max(stamps)) + 1):
        time = index * STEP
        fitting = [stamp for stamp in stamps if time - STEP < stamp <= time]
        if fitting:
            choice[index] = max(fitting)
    return choice


@given(st.integers(1, 64), st.floats(0.01, 60), st.integers(-(10**19), 10**19))
def test_a_stamp_belongs_to_the_first_grid_time_at_or_after_it(
    num_frames: int, window_seconds: float, stamp_ns: int
) -> None:
    clip = ClipSpec(num_frames, window_seconds)
    index = clip.grid_index(stamp_ns)
    assert clip.grid_time_ns(index - 1) < stamp_ns <= clip.grid_time_ns(index)


def test_a_window_is_its_steps() -> None:
    clip = ClipSpec(num_frames=16, window_seconds=2.0)
    assert clip.step_ns == 125_000_000
    assert clip.window_ns == 2_000_000_000
    assert ClipSpec(3, 1).window_ns == 999_999_999  # whole nanoseconds a step


@pytest.mark.parametrize(
    ("num_frames", "window_seconds", "found"),
    [
        (0, 1.0, "num_frames must be an integer of at least 1, got 0"),
        (2.0, 1.0, "got 2.0"),
        (True, 1.0, "got True"),
        (8, 0.0, "got 0.0"),
        (8, -1.0, "got -1.0"),
        (8, float("nan"), "got nan"),
        (8, float("inf"), "got inf"),
        (8, "2", "got '2'"),
        (8, 1e-9, "got 1e-09"),
    ],
)
def test_a_bad_clip_is_named(num_frames: Any, window_seconds: Any, found: str) -> None:
    with pytest.raises(ValueError) as error:
        ClipSpec(num_frames, window_seconds)
    assert found in str(error.value)


@pytest.mark.parametrize("rate", [5, 8, 15, 29.97, 30, 60])
@pytest.mark.parametrize(("jitter_ms", "dropped"), [(0, 0), (4, 0), (0, 0.3), (4, 0.3)])
def test_a_camera_of_any_rate_gets_the_newest_frame_at_or_before_each_grid_time(
    rate: float, jitter_ms: float, dropped: float
) -> None:
    stamps = camera(rate, 10, jitter_ms=jitter_ms, dropped=dropped)
    sampler = GridSampler(CLIP)
    live, whole = chosen(push_all(sampler, stamps)), batch_choice(stamps)
    if sampler.pending:
        whole.popitem()  # its grid time has not passed yet
    assert live == whole
    assert not any(sampler.restarts.values())


def test_15_hz_and_60_hz_give_the_same_windows_up_to_the_cameras_period() -> None:
    slow = chosen(push_all(GridSampler(CLIP), camera(15, 10)))
    fast = chosen(push_all(GridSampler(CLIP), camera(60, 10)))
    shared = range(1, 80)  # the last cell is open at the one rate and may be finished at the other
    assert set(shared) <= slow.keys() and set(shared) <= fast.keys()
    for index in shared:
        assert 0 <= fast[index] - slow[index] < 1e9 / 15


def test_a_drop_longer_than_a_step_leaves_its_grid_time_empty() -> None:
    stamps = [stamp for stamp in camera(30, 4) if not 1.0e9 < stamp < 1.4e9]
    indices = list(chosen(push_all(GridSampler(CLIP), stamps)))
    missing = set(range(indices[0], indices[-1] + 1)) - set(indices)
    assert missing == {9, 10, 11}  # 1125, 1250 and 1375 ms


def test_a_frame_is_returned_once_a_later_one_opens_the_next_cell() -> None:
    sampler = GridSampler(CLIP)
    assert push_all(sampler, [10 * MS, 50 * MS, 120 * MS]) == []
    assert sampler.pending == 1
    (sampled,) = push_all(sampler, [130 * MS])
    assert (sampled.grid_index, sampled.frame.stamp_ns) == (1, 120 * MS)
    assert sampler.counts["skipped_by_sampling"] == 2


def test_a_frame_exactly_on_its_grid_time_is_returned_at_once() -> None:
    sampler = GridSampler(CLIP)
    (sampled,) = push_all(sampler, [100 * MS, STEP])
    assert (sampled.grid_index, sampled.frame.stamp_ns) == (1, STEP)
    assert sampler.pending == 0
    assert [one.grid_index for one in push_all(sampler, [2 * STEP, 3 * STEP])] == [2, 3]


def test_two_frames_final_at_once_are_returned_one_after_the_other() -> None:
    sampler = GridSampler(CLIP)
    (first,) = push_all(sampler, [100 * MS, 2 * STEP])
    assert (first.grid_index, sampler.pending) == (1, 1)
    (second,) = push_all(sampler, [2 * STEP + 1])
    assert (second.grid_index, second.frame.stamp_ns) == (2, 2 * STEP)


def test_duplicates_and_late_frames_are_dropped_and_counted() -> None:
    sampler = GridSampler(CLIP)
    push_all(sampler, [5 * STEP + 1, 5 * STEP + 1, 4 * STEP, 5 * STEP + 1 - CLIP.window_ns])
    assert sampler.counts == {"skipped_by_sampling": 0, "duplicate_stamp": 1, "late_frame": 2}
    assert not any(sampler.restarts.values())
    assert sampler.pending == 1


@pytest.mark.parametrize(
    ("jump_ns", "reason"),
    [(-CLIP.window_ns - 1, "stamp_jumped_back"), (CLIP.window_ns + 1, "stamp_jumped_ahead")],
)
def test_a_jump_of_more_than_a_window_starts_a_new_generation(jump_ns: int, reason: str) -> None:
    sampler = GridSampler(CLIP)
    before = 100 * STEP + 1
    (last,) = push_all(sampler, [before, before + jump_ns])
    assert (last.generation, last.frame.stamp_ns) == (0, before)
    assert sampler.restarts == {"stamp_jumped_back": 0, "stamp_jumped_ahead": 0, reason: 1}
    (first,) = push_all(sampler, [before + jump_ns + STEP])
    assert (first.generation, first.frame.stamp_ns) == (1, before + jump_ns)


def test_a_jump_of_a_window_is_none() -> None:
    sampler = GridSampler(CLIP)
    push_all(sampler, [0, CLIP.window_ns, 0])
    assert not any(sampler.restarts.values())
    assert sampler.counts["late_frame"] == 1


def test_a_recording_in_a_loop_gives_the_same_choice_in_each_round() -> None:
    sampler = GridSampler(CLIP)
    stamps = camera(30, 3)
    rounds: dict[int, dict[int, int]] = {}
    for one in push_all(sampler, stamps * 3 + [stamps[0]]):
        rounds.setdefault(one.generation, {})[one.grid_index] = one.frame.stamp_ns
    assert rounds[0] == rounds[1] == rounds[2] == batch_choice(stamps)
    assert sampler.restarts["stamp_jumped_back"] == 3


def test_reset_forgets_the_frames_but_not_the_counts() -> None:
    sampler = GridSampler(CLIP)
    push_all(sampler, [STEP + 1, STEP + 1])
    sampler.reset()
    assert sampler.pending == 0
    assert sampler.counts == {"skipped_by_sampling": 1, "duplicate_stamp": 1, "late_frame": 0}
    (sampled,) = push_all(sampler, [STEP])  # neither late nor a jump
    assert sampled.generation == 1
    assert not any(sampler.restarts.values())


@given(STAMPS)
def test_every_frame_ends_in_one_place(stamps: list[int]) -> None:
    sampler = GridSampler(CLIP)
    frames = [Frame(stamp, PIXEL) for stamp in stamps]
    sampled = []
    for received, frame in enumerate(frames, 1):
        one = sampler.push(frame)
        sampled += [one] if one else []
        assert received == len(sampled) + sum(sampler.counts.values()) + sampler.pending
        assert sampler.pending in (0, 1)
    assert len({id(one.frame) for one in sampled}) == len(sampled)
    assert sum(sampler.restarts.values()) >= (sampled[-1].generation if sampled else 0)


@given(STAMPS)
def test_the_frame_chosen_is_the_newest_at_or_before_its_grid_time(stamps: list[int]) -> None:
    sampler = GridSampler(CLIP)
    generations: dict[int, list[int]] = {}
    newest, generation, sampled = None, 0, []
    for stamp in stamps:
        if newest is not None and abs(stamp - newest) > CLIP.window_ns:
            generation += 1
        elif newest is not None and stamp <= newest:
            sampler.push(Frame(stamp, PIXEL))  # a duplicate or late: it may change nothing
            continue
        newest = stamp
        generations.setdefault(generation, []).append(stamp)
        one = sampler.push(Frame(stamp, PIXEL))
        sampled += [one] if one else []
    for number, accepted in generations.items():
        live = chosen(one for one in sampled if one.generation == number)
        whole = batch_choice(accepted)
        if number == generation and sampler.pending:
            whole.popitem()
        assert live == whole
