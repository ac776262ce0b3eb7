"""The worker: order, overload, errors and resets, all with real threads and none with a clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from step_ros.frames import Frame
from step_ros.perception import Perceiver, Perception, PerceptionWorker
from step_ros.perception.ledger import Inference, LostUpdate, Overload, UnderWay, Used
from step_ros.probes import StreamingHeads

STEP_NS = 100_000_000  # the fixture's window: 4 positions, 100 ms apart
WAIT = 60  # seconds: how long a thread may take before a test counts as hung


class Gate:
    """Holds the backbone up before each pass while it is shut."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._open = threading.Event()
        self._open.set()
        self.entered = threading.Semaphore(0)
        self.error: Exception | None = None
        network.register_forward_pre_hook(self._pass)

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def wait_for_entry(self) -> None:
        assert self.entered.acquire(timeout=WAIT)

    def _pass(self, module: torch.nn.Module, arguments: object) -> None:
        self.entered.release()
        assert self._open.wait(WAIT)
        if self.error is not None:
            raise self.error


@pytest.fixture
def gate(perceiver: Perceiver) -> Iterator[Gate]:
    gate = Gate(perceiver.backbone.network)
    yield gate
    gate.open()


def assert_every_frame_is_accounted_for(worker: PerceptionWorker) -> None:
    account = worker.account()
    assert account.unaccounted == 0, account.to_json()


def fates(worker: PerceptionWorker) -> tuple[int, int, int]:
    """How many frames wait, were too many, and are encoded."""
    account = worker.account()
    return account[UnderWay.WAITING], account[Overload.BEFORE_ENCODING], account[Used.ENCODED]


def into(perceived: list[Perception]) -> Callable[[str, Perception], None]:
    """A callback that keeps every perception."""
    return lambda camera, perception: perceived.append(perception)


def until_called(worker: PerceptionWorker) -> None:
    """Wait until another thread has asked for something to be run between two updates."""
    end = time.monotonic() + WAIT
    while not worker._calls:
        assert time.monotonic() < end
        time.sleep(0.001)


def submit_and_wait(worker: PerceptionWorker, frame: Frame) -> None:
    worker.submit(frame)
    assert worker.flush(WAIT)


def test_it_perceives_what_a_perceiver_does(perceiver: Perceiver, frame_at: Callable[[int], Frame]) -> None:
    direct = Perceiver(perceiver.backbone, perceiver.heads)
    stamps = [round(i * 1e9 / 30) for i in range(40)]
    expected = [perception for perception in (direct.push(frame_at(s)) for s in stamps) if perception]
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived)) as worker:
        for stamp in stamps:
            submit_and_wait(worker, frame_at(stamp))
        assert_every_frame_is_accounted_for(worker)
        account = worker.account()
    assert [p.stamp_ns for p in perceived] == [p.stamp_ns for p in expected]
    for one, other in zip(perceived, expected, strict=True):
        for task, prediction in one.predictions.items():
            assert prediction.probabilities.tolist() == other.predictions[task].probabilities.tolist()
    assert account.to_json() == direct.account().to_json()
    assert account.received == 40 and account.total(Overload, UnderWay) == 0


def test_perceptions_come_from_the_workers_thread(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    threads: list[threading.Thread] = []
    with PerceptionWorker({"": perceiver}, lambda *_: threads.append(threading.current_thread())) as worker:
        for index in range(1, 6):
            submit_and_wait(worker, frame_at(index * STEP_NS))
    assert len(threads) == 2 and threading.main_thread() not in threads


def test_under_load_the_oldest_waiting_frames_go_and_submit_does_not_wait(
    perceiver: Perceiver, gate: Gate, frame_at: Callable[[int], Frame]
) -> None:
    """The first frame is stuck in the backbone; of the next five, two may wait."""
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived), queue_size=2) as worker:
        gate.shut()
        worker.submit(frame_at(1 * STEP_NS))
        gate.wait_for_entry()
        for index in range(2, 7):
            worker.submit(frame_at(index * STEP_NS))
            assert_every_frame_is_accounted_for(worker)
        assert fates(worker) == (3, 3, 0)
        gate.open()
        assert worker.flush(WAIT)
        assert fates(worker) == (0, 3, 3)
        assert_every_frame_is_accounted_for(worker)
    # Grid times 1, 5 and 6 of 3 .. 6 would hold more than the window allows.
    assert perceived == []


def test_under_load_all_waiting_frames_are_encoded_before_the_heads_run(
    perceiver: Perceiver, gate: Gate, frame_at: Callable[[int], Frame]
) -> None:
    """Three frames wait while one is encoded: then one perception for all three, its window whole."""
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived), queue_size=3) as worker:
        for index in range(1, 4):
            submit_and_wait(worker, frame_at(index * STEP_NS))
            gate.wait_for_entry()
        gate.shut()
        worker.submit(frame_at(4 * STEP_NS))
        gate.wait_for_entry()
        for index in (5, 6, 7):
            worker.submit(frame_at(index * STEP_NS))
        gate.open()
        assert worker.flush(WAIT)
        assert worker.account()[Used.ENCODED] == 7
    assert [p.stamp_ns // STEP_NS for p in perceived] == [4, 7]
    assert [p.held_positions for p in perceived] == [0, 0]


def test_an_error_in_the_backbone_is_counted_and_the_next_frame_is_taken(
    perceiver: Perceiver, gate: Gate, frame_at: Callable[[int], Frame]
) -> None:
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived)) as worker:
        for index in range(1, 8):
            gate.error = RuntimeError("device is lost") if index in (5, 6) else None
            submit_and_wait(worker, frame_at(index * STEP_NS))
            assert_every_frame_is_accounted_for(worker)
        assert worker.account().total(Inference) == 2
        assert worker.account()[Used.ENCODED] == 5
        assert worker.errors() == {Inference.INFERENCE_ERROR: "RuntimeError: device is lost"}
    assert [(p.stamp_ns // STEP_NS, p.held_positions) for p in perceived] == [(4, 0), (7, 2)]


def test_an_error_in_a_head_is_counted_and_the_next_frame_is_taken(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    def fail(module: torch.nn.Module, arguments: object) -> None:
        raise ValueError("no such kernel")

    perceiver = Perceiver(perceiver.backbone, perceiver.heads, heads_memory_mb=0)  # plain heads, to be hooked
    perceived: list[Perception] = []
    handle = perceiver.heads["object"].register_forward_pre_hook(fail)
    with PerceptionWorker({"": perceiver}, into(perceived)) as worker:
        for index in range(1, 6):
            submit_and_wait(worker, frame_at(index * STEP_NS))
        assert perceived == []
        assert worker.lost_updates()[LostUpdate.HEAD_ERROR] == 2 and worker.account()[Used.ENCODED] == 5
        assert worker.errors() == {LostUpdate.HEAD_ERROR: "ValueError: no such kernel"}
        handle.remove()
        submit_and_wait(worker, frame_at(6 * STEP_NS))
        assert_every_frame_is_accounted_for(worker)
    assert len(perceived) == 1


def test_an_error_in_looking_ahead_is_counted_and_the_answer_is_there(
    perceiver: Perceiver, frame_at: Callable[[int], Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the GPU fell off the bus")

    monkeypatch.setattr(StreamingHeads, "look_ahead", fail)
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived)) as worker:
        for index in range(1, 6):
            submit_and_wait(worker, frame_at(index * STEP_NS))
        assert worker.lost_updates()[LostUpdate.HEAD_ERROR] == 5 and worker.account()[Used.ENCODED] == 5
        assert worker.errors() == {LostUpdate.HEAD_ERROR: "RuntimeError: the GPU fell off the bus"}
        assert_every_frame_is_accounted_for(worker)
    assert len(perceived) == 2


def test_an_error_in_the_callback_is_counted_and_the_next_frame_is_taken(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    calls: list[Perception] = []

    def publish(camera: str, perception: Perception) -> None:
        calls.append(perception)
        raise OSError("topic is gone")

    with PerceptionWorker({"": perceiver}, publish) as worker:
        for index in range(1, 7):
            submit_and_wait(worker, frame_at(index * STEP_NS))
        assert worker.lost_updates()[LostUpdate.CALLBACK_ERROR] == len(calls) == 3
        assert worker.errors() == {LostUpdate.CALLBACK_ERROR: "OSError: topic is gone"}
        assert_every_frame_is_accounted_for(worker)


def test_after_a_reset_no_earlier_frame_is_perceived(
    perceiver: Perceiver, gate: Gate, frame_at: Callable[[int], Frame]
) -> None:
    """Reset comes while one frame is in the backbone and two wait."""
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived)) as worker:
        for index in range(1, 5):
            submit_and_wait(worker, frame_at(index * STEP_NS))
            gate.wait_for_entry()
        gate.shut()
        worker.submit(frame_at(5 * STEP_NS))
        gate.wait_for_entry()
        worker.submit(frame_at(6 * STEP_NS))
        worker.submit(frame_at(7 * STEP_NS))
        resetter = threading.Thread(target=worker.reset)
        resetter.start()
        gate.open()
        resetter.join(WAIT)
        assert not resetter.is_alive()
        before = len(perceived)
        assert_every_frame_is_accounted_for(worker)
        for index in range(8, 11):
            submit_and_wait(worker, frame_at(index * STEP_NS))
        assert len(perceived) == before
        submit_and_wait(worker, frame_at(11 * STEP_NS))
        assert_every_frame_is_accounted_for(worker)
        assert worker.account().received == 11
    assert perceived[-1].window_start_ns == 8 * STEP_NS and perceived[-1].held_positions == 0


def test_frames_that_wait_for_another_window_are_none_of_the_new_heads(
    perceiver: Perceiver, gate: Gate, frame_at: Callable[[int], Frame]
) -> None:
    """The window is made longer while one frame is in the backbone and two wait, on the old grid's places."""
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived)) as worker:
        gate.shut()
        worker.submit(frame_at(11 * STEP_NS))
        gate.wait_for_entry()
        worker.submit(frame_at(12 * STEP_NS))
        worker.submit(frame_at(13 * STEP_NS))
        prepared = {"": perceiver.prepare(perceiver.heads, window_seconds=0.8)}
        changer = threading.Thread(target=worker.adopt, args=(prepared,))
        changer.start()
        until_called(worker)
        gate.open()
        changer.join(WAIT)
        assert not changer.is_alive()
        for index in range(14, 24):
            submit_and_wait(worker, frame_at(index * STEP_NS))
        assert worker.errors() == {}
        assert_every_frame_is_accounted_for(worker)
    assert perceived and perceived[0].window_start_ns == 14 * STEP_NS


def test_reset_is_not_starved_by_a_camera_that_never_stops(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    stop = threading.Event()

    def film(worker: PerceptionWorker) -> None:
        index = 0
        while not stop.is_set():
            index += 1
            worker.submit(frame_at(index * STEP_NS))

    with PerceptionWorker({"": perceiver}, lambda *_: None) as worker:
        camera = threading.Thread(target=film, args=(worker,))
        camera.start()
        for _ in range(20):
            worker.reset()
            assert_every_frame_is_accounted_for(worker)
        stop.set()
        camera.join(WAIT)
        assert worker.flush(WAIT)
        assert_every_frame_is_accounted_for(worker)


def test_the_callback_may_reset_and_close(perceiver: Perceiver, frame_at: Callable[[int], Frame]) -> None:
    perceived: list[Perception] = []

    def on_perception(camera: str, perception: Perception) -> None:
        perceived.append(perception)
        worker.reset() if len(perceived) == 1 else worker.close()

    worker = PerceptionWorker({"": perceiver}, on_perception)
    for index in range(1, 20):
        submit_and_wait(worker, frame_at(index * STEP_NS))
    worker.close()
    assert [p.stamp_ns // STEP_NS for p in perceived] == [4, 8]
    assert_every_frame_is_accounted_for(worker)


def test_frames_from_many_threads_are_all_accounted_for(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    with PerceptionWorker({"": perceiver}, lambda *_: None) as worker:

        def film(offset: int) -> None:
            for index in range(50):
                worker.submit(frame_at(index * STEP_NS // 3 + offset))

        cameras = [threading.Thread(target=film, args=(offset,)) for offset in (0, 1, 1, 7)]
        for camera in cameras:
            camera.start()
        while any(camera.is_alive() for camera in cameras):
            assert_every_frame_is_accounted_for(worker)
        assert worker.flush(WAIT)
        assert worker.account().received == 200
        assert_every_frame_is_accounted_for(worker)


def test_a_looping_recording_goes_on(perceiver: Perceiver, frame_at: Callable[[int], Frame]) -> None:
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, into(perceived)) as worker:
        for _ in range(3):
            for index in range(10, 20):
                submit_and_wait(worker, frame_at(index * STEP_NS))
        assert worker.restarts()["stamp_jumped_back"] == 2
        assert_every_frame_is_accounted_for(worker)
    assert [p.stamp_ns // STEP_NS for p in perceived] == list(range(13, 20)) * 3


def test_a_closed_worker_ignores_frames_and_resets(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    worker = PerceptionWorker({"": perceiver}, lambda *_: None)
    submit_and_wait(worker, frame_at(STEP_NS))
    worker.close()
    worker.close()
    worker.submit(frame_at(2 * STEP_NS))
    worker.reset()
    assert worker.account().received == 1
    assert worker.flush(0)


def test_latency_is_kept_for_each_perception(perceiver: Perceiver, frame_at: Callable[[int], Frame]) -> None:
    with PerceptionWorker({"": perceiver}, lambda *_: None) as worker:
        assert worker.latency().count == 0 and worker.latency().p50_ms != worker.latency().p50_ms
        for index in range(1, 9):
            submit_and_wait(worker, frame_at(index * STEP_NS))
        latency = worker.latency()
    assert latency.count == 5
    assert 0 < latency.p50_ms <= latency.p99_ms


def test_a_queue_must_hold_a_frame(perceiver: Perceiver) -> None:
    with pytest.raises(ValueError, match="queue_size must be at least 1, got 0"):
        PerceptionWorker({"": perceiver}, lambda *_: None, queue_size=0)
