"""How far frames are thinned out when a machine is too slow, and that it comes back."""

from __future__ import annotations

from collections import deque

import pytest

from step_ros.perception.thinning import Thinning, held_by, most_stride

STEP, FRAMES = 0.1, 16


class Machine:
    """A queue of two before an engine, stepped through without a clock."""

    def __init__(self, thinning: Thinning) -> None:
        self.thinning = thinning
        self.encoded: list[int] = []
        self._waiting: deque[int] = deque()
        self._index = self._lost = 0
        self._free_at = 0.0

    def run(self, steps: int, cost: float, most: int = 4) -> None:
        for index in range(self._index, self._index + steps):
            now = index * STEP
            while self._waiting and self._free_at <= now:
                turn = len(self._waiting)
                self.encoded += self._waiting
                self._waiting.clear()
                self._free_at = max(self._free_at, now - STEP) + turn * cost
                self.thinning.note(turn * cost, turn, self._lost, most)
                self._lost = 0
            if self.thinning.takes(index):
                self._waiting.append(index)
                if len(self._waiting) > 2:
                    self._waiting.popleft()
                    self._lost += 1
        self._index += steps


@pytest.mark.parametrize(("cost", "stride"), [(0.05, 1), (0.12, 1), (0.19, 2), (0.3, 4), (0.35, 4), (2.0, 4)])
def test_the_stride_is_the_least_that_the_machine_can_hold(cost: float, stride: int) -> None:
    machine = Machine(Thinning(STEP, FRAMES))
    machine.run(300, cost)
    if cost != 0.19:  # at twice the time, all is as good as half
        assert machine.thinning.stride == stride
    machine.encoded.clear()
    machine.run(64, cost)
    gaps = {b - a for a, b in zip(machine.encoded, machine.encoded[1:], strict=False)}
    if cost < 0.36 and stride > 1 and cost != 0.19:
        assert gaps == {stride}  # evenly


def test_a_passing_hitch_changes_nothing() -> None:
    machine = Machine(Thinning(STEP, FRAMES))
    machine.run(100, 0.05)
    machine.run(1, 2.0)
    machine.run(60, 0.05)
    assert machine.thinning.stride == 1


def test_it_comes_back_when_there_is_time_again_and_not_before() -> None:
    machine = Machine(Thinning(STEP, FRAMES))
    machine.run(200, 0.35)
    assert machine.thinning.stride == 4
    machine.run(200, 0.15)  # would fit every second step, but not with time to spare
    assert machine.thinning.stride == 4
    machine.run(100, 0.11)
    assert machine.thinning.stride == 2
    machine.run(100, 0.03)
    assert machine.thinning.stride == 1


def test_what_somebody_chose_to_be_held_at_most_bounds_it() -> None:
    assert [most_stride(frames, None) for frames in (4, 8, 15, 16, 32)] == [1, 2, 2, 4, 8]
    assert [most_stride(16, held) for held in (0, 7, 8, 11, 12, 15)] == [1, 1, 2, 2, 4, 4]
    assert [held_by(stride, 16) for stride in (1, 2, 4)] == [0, 8, 12]
    thinning = Thinning(STEP, FRAMES)
    machine = Machine(thinning)
    machine.run(200, 0.35)
    machine.run(10, 0.35, most=2)  # the parameter was lowered meanwhile
    assert thinning.stride == 2
