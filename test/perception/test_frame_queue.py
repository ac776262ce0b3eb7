"""Several cameras in one worker: one pass for all, a fair share for each."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from step_ros.frames import Frame
from step_ros.perception import Perceiver, Perception, PerceptionWorker
from step_ros.perception.ledger import Overload, Used

STEP_NS = 100_000_000
WAIT = 60


@pytest.fixture
def perceivers(perceiver: Perceiver) -> dict[str, Perceiver]:
    return {name: Perceiver(perceiver.backbone, perceiver.heads) for name in ("front", "wrist")}


class Passes:
    """The batch sizes of the backbone's passes; holds the first one up until it is let go."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.sizes: list[int] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        network.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, module: torch.nn.Module, arguments: object, given: dict[str, torch.Tensor]) -> None:
        self.sizes.append(len(given["pixel_values"]))
        self.entered.set()
        assert self.go_on.wait(WAIT)


def test_frames_that_wait_share_a_pass_and_each_camera_gets_its_own_answers(
    perceivers: dict[str, Perceiver], frame_at: Callable[[int], Frame]
) -> None:
    alone = Perceiver(perceivers["front"].backbone, perceivers["front"].heads)
    expected = {
        name: [answer for index in range(1, 7) if (answer := alone.push(frame_at(index * STEP_NS + shift)))]
        for name, shift in (("front", 0), ("wrist", 10**12))
    }
    passes = Passes(alone.backbone.network)
    answers: dict[str, list[Perception]] = {name: [] for name in perceivers}
    with PerceptionWorker(perceivers, lambda name, one: answers[name].append(one), queue_size=9) as worker:
        worker.submit(frame_at(1 * STEP_NS), "front")
        passes.entered.wait(WAIT)
        for index in range(1, 7):
            if index > 1:
                worker.submit(frame_at(index * STEP_NS), "front")
            worker.submit(frame_at(index * STEP_NS + 10**12), "wrist")
        passes.go_on.set()
        assert worker.flush(WAIT)
        assert passes.sizes == [1, 2, 2, 2, 2, 2, 1]
        assert {worker.account(name)[Used.ENCODED] for name in perceivers} == {6}
    for name, last in expected.items():
        assert answers[name][-1].stamp_ns == last[-1].stamp_ns
        for task, prediction in answers[name][-1].predictions.items():
            np.testing.assert_allclose(
                prediction.probabilities, last[-1].predictions[task].probabilities, atol=1e-5
            )


def test_a_fast_camera_does_not_crowd_out_a_slow_one(
    perceivers: dict[str, Perceiver], frame_at: Callable[[int], Frame]
) -> None:
    """While one pass is held up, ten frames of the one camera come, and one of the other."""
    passes = Passes(perceivers["front"].backbone.network)
    with PerceptionWorker(perceivers, lambda *_: None, queue_size=2) as worker:
        worker.submit(frame_at(1 * STEP_NS), "front")
        passes.entered.wait(WAIT)
        worker.submit(frame_at(1 * STEP_NS), "wrist")
        for index in range(2, 12):
            worker.submit(frame_at(index * STEP_NS), "front")
        passes.go_on.set()
        assert worker.flush(WAIT)
        assert worker.account("wrist")[Used.ENCODED] == 1 and worker.account("wrist").total(Overload) == 0
        assert worker.account("front")[Used.ENCODED] == 3 and worker.account("front").total(Overload) == 8
    assert passes.sizes == [1, 2, 1]


def test_cameras_of_different_sizes_are_encoded_apart(
    perceivers: dict[str, Perceiver], frame_at: Callable[[int], Frame]
) -> None:
    small = {index: Frame(index * STEP_NS, frame_at(index).rgb[:16, :16].copy()) for index in range(1, 6)}
    answers: list[str] = []
    with PerceptionWorker(perceivers, lambda name, _: answers.append(name), queue_size=9) as worker:
        for index in range(1, 6):
            worker.submit(frame_at(index * STEP_NS), "front")
            worker.submit(small[index], "wrist")
        assert worker.flush(WAIT)
    assert set(answers) == {"front", "wrist"}


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 5), (10.0, 5), (5.0, 3)])
def test_updates_keep_to_the_rate_that_is_asked_for(
    perceivers: dict[str, Perceiver], frame_at: Callable[[int], Frame], rate: float, expected: int
) -> None:
    answers: list[int] = []
    with PerceptionWorker(perceivers, lambda _, one: answers.append(one.stamp_ns)) as worker:
        worker.max_update_rate = rate
        for index in range(1, 9):
            worker.submit(frame_at(index * STEP_NS), "front")
            assert worker.flush(WAIT)
        assert worker.account("front")[Used.ENCODED] == 8
    assert len(answers) == expected
