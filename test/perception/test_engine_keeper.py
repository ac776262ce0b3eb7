"""Engines that throw and hang: the worker goes on, and another engine takes over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from step_ros.backbones import Encoder
from step_ros.backbones.engines import EngineSelection
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.frames import Frame
from step_ros.perception import EngineKeeper, Perceiver, Perception, PerceptionWorker
from step_ros.perception.ledger import Inference, LostUpdate, UnderWay

STEP_NS = 100_000_000
WAIT = 60


class FaultyEngine(EagerEngine):
    """PyTorch, but for what is wrong with it."""

    name = "openvino"  # it takes this one's place

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.error: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.entered = threading.Event()

    def encode_batch(self, frames: torch.Tensor) -> torch.Tensor:
        self.entered.set()
        assert self.hold.wait(WAIT)
        if self.error is not None:
            raise self.error
        return super().encode_batch(frames)


@pytest.fixture
def engine(perceiver: Perceiver) -> Iterator[FaultyEngine]:
    engine = FaultyEngine(perceiver.backbone.encoder)
    perceiver.backbone.engine = EngineSelection(engine)
    yield engine
    engine.hold.set()


@pytest.fixture
def no_build(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No engine can be built on this machine; the names of those that were tried."""
    tried: list[str] = []

    def select(encoder: Encoder, name: str) -> EngineSelection:
        tried.append(name)
        from step_ros.backbones.engines import EngineError

        raise EngineError(f"{name} is not installed")

    monkeypatch.setattr("step_ros.perception.engine_keeper.select_engine", select)
    return tried


def until(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def books_balance(worker: PerceptionWorker) -> bool:
    return worker.account().unaccounted == 0


def test_an_engine_that_keeps_throwing_is_replaced_at_once_and_labels_go_on(
    perceiver: Perceiver, engine: FaultyEngine, no_build: list[str], frame_at: Callable[[int], Frame]
) -> None:
    perceived: list[Perception] = []
    engine.error = RuntimeError("device is lost")
    with PerceptionWorker({"": perceiver}, lambda _, one: perceived.append(one)) as worker:
        for index in range(1, 9):
            worker.submit(frame_at(index * STEP_NS))
            assert worker.flush(WAIT)
            assert books_balance(worker)
        assert worker.account().total(Inference) == 3
    assert perceiver.backbone.engine.name == "eager"
    assert "device is lost" in perceiver.backbone.engine.refused["openvino"]
    assert [one.stamp_ns // STEP_NS for one in perceived] == [7, 8]
    until(lambda: no_build == ["openvino", "onnxruntime"], "the attempts to build another")


def test_an_error_now_and_then_replaces_nothing(
    perceiver: Perceiver, engine: FaultyEngine, frame_at: Callable[[int], Frame]
) -> None:
    with PerceptionWorker({"": perceiver}, lambda *_: None) as worker:
        for index in range(1, 12):
            engine.error = RuntimeError("busy") if index % 3 else None
            worker.submit(frame_at(index * STEP_NS))
            assert worker.flush(WAIT)
    assert perceiver.backbone.engine.engine is engine


def test_an_engine_that_hangs_is_abandoned_with_its_thread(
    perceiver: Perceiver, engine: FaultyEngine, no_build: list[str], frame_at: Callable[[int], Frame]
) -> None:
    perceived: list[Perception] = []
    worker = PerceptionWorker({"": perceiver}, lambda _, one: perceived.append(one), hang_seconds=0.4)
    try:
        engine.hold.clear()
        worker.submit(frame_at(1 * STEP_NS))
        until(lambda: worker.lost_updates()[LostUpdate.HANG], "the watchdog")
        assert "engine did not answer" in worker.errors()[LostUpdate.HANG]
        assert worker.account().total(Inference) == 1 and books_balance(worker)
        until(lambda: perceiver.backbone.engine.name == "eager", "another engine")
        for index in range(2, 7):
            worker.submit(frame_at(index * STEP_NS))
            assert worker.flush(WAIT)
        # What hung answers after all: nobody listens any more, and nothing is written over.
        engine.hold.set()
        worker.submit(frame_at(7 * STEP_NS))
        assert worker.flush(WAIT)
        assert [one.stamp_ns // STEP_NS for one in perceived] == [5, 6, 7]
        assert books_balance(worker) and worker.stuck == ""
    finally:
        engine.hold.set()
        assert worker.close(WAIT)


def test_a_callback_that_hangs_is_abandoned_too_and_the_engine_stays(
    perceiver: Perceiver, engine: FaultyEngine, frame_at: Callable[[int], Frame]
) -> None:
    hold, calls = threading.Event(), []

    def publish(camera: str, perception: Perception) -> None:
        calls.append(perception.stamp_ns // STEP_NS)
        assert len(calls) > 1 or hold.wait(WAIT)

    worker = PerceptionWorker({"": perceiver}, publish, hang_seconds=0.4)
    try:
        for index in range(1, 5):
            worker.submit(frame_at(index * STEP_NS))
            until(lambda: worker.account()[UnderWay.WAITING] == 0, "the frame")
        until(lambda: worker.lost_updates()[LostUpdate.HANG], "the watchdog")
        for index in range(5, 10):
            worker.submit(frame_at(index * STEP_NS))
            assert worker.flush(WAIT)
        assert calls == [4, 8, 9]
        assert perceiver.backbone.engine.engine is engine
    finally:
        hold.set()
        assert worker.close(WAIT)


def test_when_everything_hangs_no_more_threads_are_started(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    hold = threading.Event()
    worker = PerceptionWorker({"": perceiver}, lambda *_: None, hang_seconds=0.2)
    perceiver.backbone.network.register_forward_pre_hook(lambda *_: not hold.wait(WAIT) or None)
    try:
        for index in range(1, 30):
            worker.submit(frame_at(index * STEP_NS))
            if worker.stuck:
                break
            until(lambda: worker.stuck or worker.account()[UnderWay.WAITING] == 0, "the next hang")
        assert "restart the node" in worker.stuck and worker.lost_updates()[LostUpdate.HANG] == 4
        worker.submit(frame_at(100 * STEP_NS))
        assert books_balance(worker)
    finally:
        hold.set()
        worker.close(WAIT)


def test_a_rebuilt_engine_takes_over_and_the_next_time_the_next_one_does(
    perceiver: Perceiver, engine: FaultyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    class Rebuilt(EagerEngine):
        name = "openvino"

    class Slower(EagerEngine):
        name = "onnxruntime"

    def select(encoder: Encoder, name: str) -> EngineSelection:
        built.append(name)
        return EngineSelection({"openvino": Rebuilt, "onnxruntime": Slower}[name](encoder))

    monkeypatch.setattr("step_ros.perception.engine_keeper.select_engine", select)
    keeper = EngineKeeper(perceiver.backbone)
    for expected in ("openvino", "onnxruntime"):
        keeper.hung(3.0)
        until(lambda: not keeper.trouble, "the new engine")
        assert perceiver.backbone.engine.name == built[-1] == expected
    assert keeper.replacements == 2


def test_a_closed_keeper_replaces_nothing(perceiver: Perceiver, engine: FaultyEngine) -> None:
    keeper = EngineKeeper(perceiver.backbone)
    keeper.close()
    keeper.hung(3.0)
    assert perceiver.backbone.engine.engine is engine
