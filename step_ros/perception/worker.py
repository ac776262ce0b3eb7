"""Perception in a thread of its own: a camera never waits, and under load the right thing gives way."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from step_ros.frames import Frame, Sampled
from step_ros.perception.engine_keeper import EngineKeeper
from step_ros.perception.frame_queue import FrameQueue
from step_ros.perception.latency import Latency
from step_ros.perception.ledger import Inference, Ledger, LostUpdate, Used
from step_ros.perception.not_finite import NotFiniteError
from step_ros.perception.perceiver import Perceiver
from step_ros.perception.prediction import Perception
from step_ros.perception.prepared_heads import PreparedHeads
from step_ros.perception.thinning import Thinning

_log = logging.getLogger(__name__)

HANG_SECONDS = 10.0
"""A step that takes longer hangs. The slowest honest one is an engine's first pass for a new batch size."""

MOST_ABANDONED = 3
"""Threads that may hang before no further one is started."""

_LAST_MOMENT = 1.0
"""Seconds that an abandoned thread has to end."""

Result = TypeVar("Result")


class _SupersededError(Exception):
    """Raised in a thread whose place another one has taken."""


class PerceptionWorker:
    """Runs the perceivers of one or more cameras in a thread; the cameras' frames share a backbone pass.

    When frames come faster than they can be encoded, first the update rate gives way (all waiting frames are
    encoded before the heads run once), and then, when more than `queue_size` selected frames of a camera
    wait, the oldest of them is dropped: the newest frame wins. Where that would leave less than half of them,
    one in `stride` steps of the grid is taken and the others are not (see `Thinning`). Each camera has a
    queue of its own and one frame in each pass, so that a fast camera does not crowd out a slow one.

    The perceivers belong to the worker from here on. Nothing that goes wrong in inference or in
    `on_perception` ends the thread: it is logged and counted, its message is in `errors`, and the next frame
    is taken. A step that does not end within `hang_seconds` is abandoned with its thread; a new thread
    starts with empty windows and, if it was the engine that hung, with another engine.

    Args:
        perceivers: by camera; they share one backbone.
        on_perception: called with the camera and each of its perceptions, in the worker's thread. It may call
            `reset` and `close`; it must not call `flush`, nor wait for another thread that calls any of them.
        queue_size: how many selected frames of each camera may wait, at least 1.
        keeper: runs the backbone; one of its own by default.
        hang_seconds: see above.

    Raises:
        ValueError: `queue_size` is below 1, or there is no perceiver.
    """

    def __init__(
        self,
        perceivers: Mapping[str, Perceiver],
        on_perception: Callable[[str, Perception], None],
        *,
        queue_size: int = 2,
        keeper: EngineKeeper | None = None,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        if queue_size < 1:
            raise ValueError(f"queue_size must be at least 1, got {queue_size}")
        if not perceivers:
            raise ValueError("a worker needs the perceiver of at least one camera")
        self.max_update_rate = 0.0
        """Most perceptions a second of each camera; 0 is no limit. May be set at any time."""
        self.hang_seconds = hang_seconds
        self._on_perception = on_perception
        self._keeper = keeper or EngineKeeper(next(iter(perceivers.values())).backbone)
        # Guards everything below and the perceivers' samplers. The perceivers' windows and networks are used
        # by the worker's thread only, so no lock is held during inference.
        self._changed = threading.Condition()
        clip = next(iter(perceivers.values())).clip
        self._thinning = Thinning(clip.step_ns / 1e9, clip.num_frames)
        self._streams = {
            camera: FrameQueue(each, queue_size, self._thinning) for camera, each in perceivers.items()
        }
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._busy = False
        self._step: tuple[str, float] | None = None  # what the thread does, and since when
        self._epoch = 0
        self._hangs = 0
        self._abandoned: list[threading.Thread] = []
        self._closed = False
        self._thread = self._start_thread()
        self._over = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._watchdog.start()

    def submit(self, frame: Frame, camera: str = "") -> None:
        """Hand over the next frame of a camera, from any thread, without waiting for inference.

        After `close` the frame is ignored.
        """
        with self._changed:
            if not self._closed and self._streams[camera].submit(frame):
                self._changed.notify_all()

    def call(self, function: Callable[[], Result]) -> Result:
        """Run something short in the worker's thread, between two updates, and return what it returns.

        Whatever it raises is raised here.

        Raises:
            RuntimeError: the worker is closed.
        """
        future: Future[Result] = Future()
        with self._changed:
            if threading.current_thread() is self._thread:
                return function()
            if self._closed:
                raise RuntimeError("the worker is closed")
            # Asking the thread keeps a busy worker from starving the caller.
            self._calls.append((function, future))
            self._changed.notify_all()
            self._changed.wait_for(lambda: future.done() or self._closed)
            if not future.done():
                raise RuntimeError("the worker is closed")
        return future.result()

    def reset(self) -> None:
        """Forget all frames; once this returns, no perception of an earlier frame is delivered.

        Waits for the update in progress, if there is one. The counts go on: frames that had not been encoded
        count as skipped_by_sampling. After `close` there is nothing to reset.
        """

        def forget() -> None:
            for stream in self._streams.values():
                stream.forget()

        try:
            self.call(forget)
        except RuntimeError:
            if not self._closed:
                raise

    def adopt(self, prepared: Mapping[str, PreparedHeads]) -> None:
        """Let other heads answer, by camera, from the next update on.

        Frames that wait for another window than theirs count as skipped_by_sampling.

        Raises:
            RuntimeError: the worker is closed.
        """

        def change_over() -> None:
            for camera, heads in prepared.items():
                stream = self._streams[camera]
                if heads.clip != stream.perceiver.clip:
                    self._thinning.restart(heads.clip.step_ns / 1e9, heads.clip.num_frames)
                stream.adopt(heads)
                stream.perceiver.thin(self._thinning.stride)

        self.call(change_over)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do; return False if that took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or not (self._waits() or self._busy or self._calls), timeout
            )

    def close(self, timeout: float | None = None) -> bool:
        """End the thread after the update in progress; frames that still wait stay so.

        Returns:
            Whether all threads have ended; if not, one still works, or hangs, after `timeout` seconds.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._over.set()
        self._keeper.close()
        if threading.current_thread() is self._thread:
            return False
        self._watchdog.join()
        self._thread.join(timeout)
        for thread in self._abandoned:
            thread.join(_LAST_MOMENT)  # what hung may be on its way out
        return not any(thread.is_alive() for thread in (self._thread, *self._abandoned))

    def __enter__(self) -> PerceptionWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def account(self, camera: str = "") -> Ledger:
        """What became of a camera's frames, at one moment: the books balance."""
        with self._changed:
            return self._streams[camera].account()

    def lost_updates(self, camera: str = "") -> dict[LostUpdate, int]:
        """How many updates were lost in a head, in `on_perception`, in a step that was abandoned, or to NaN.

        A head that fails as it looks ahead counts as well, and loses no update; so does one that alone gives
        NaN, and loses its own task's answer.
        """
        with self._changed:
            lost = self._streams[camera].lost_updates
            return {**{cause: lost[cause] for cause in LostUpdate}, LostUpdate.HANG: self._hangs}

    def restarts(self, camera: str = "") -> Counter[str]:
        """How often time jumped: stamp_jumped_back, stamp_jumped_ahead."""
        with self._changed:
            return self._streams[camera].perceiver.restarts

    def errors(self, camera: str = "") -> dict[Inference | LostUpdate, str]:
        """The last message of each kind of error that has occurred."""
        with self._changed:
            return dict(self._streams[camera].errors)

    def latency(self, camera: str = "") -> Latency:
        """Percentiles of late, from `submit` of a window's newest frame to its perception."""
        with self._changed:
            return self._streams[camera].latencies.now(time.monotonic())

    def forget_latency(self, camera: str = "") -> None:
        """Begin its percentiles anew."""
        with self._changed:
            self._streams[camera].latencies.clear()

    @property
    def step_under_way(self) -> tuple[str, float]:
        """What the thread does now, ``engine``, ``heads`` or ``callback``, and for how many seconds."""
        with self._changed:
            if self._step is None:
                return "", 0.0
            name, since = self._step
            return name, time.monotonic() - since

    @property
    def stride(self) -> int:
        """In so many steps of the time grid one frame is encoded: more than 1 under lasting overload."""
        return self._thinning.stride

    @property
    def stuck(self) -> str:
        """Why nothing is perceived any more, whatever comes; empty otherwise."""
        with self._changed:
            if self._closed or self._thread.is_alive() and self._thread not in self._abandoned:
                return ""
            return f"inference has hung {self._hangs} times; restart the node"

    # ---- in the worker's thread

    def _start_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(self._epoch,), name="perception", daemon=True)
        thread.start()
        return thread

    def _run(self, epoch: int) -> None:
        try:
            while self._next_turn(epoch):
                self._tick(epoch)
        except _SupersededError:
            return

    def _tick(self, epoch: int) -> None:
        """`Perceiver.push` of all cameras at once: what waits is encoded, and the heads say their answers."""
        begun = time.monotonic()
        with self._current(epoch):
            turns = {camera: len(stream.waiting) for camera, stream in self._streams.items()}
        encoded = self._encode_waiting(epoch, turns)
        for camera, newest in encoded.items():
            perception = self._perceive(epoch, camera, newest)
            if perception is not None:
                self._deliver(epoch, camera, perception)
        self._look_ahead(epoch, encoded)
        self._thin(epoch, time.monotonic() - begun, max(turns.values()))
        with self._current(epoch):
            self._busy, self._step = False, None
            self._changed.notify_all()

    @contextmanager
    def _current(self, epoch: int, step: str = "") -> Iterator[None]:
        """With the lock held, as long as this thread is the worker's; what comes next is a step if named."""
        with self._changed:
            if epoch != self._epoch:
                raise _SupersededError
            if step:
                self._step = (step, time.monotonic())
            yield

    def _waits(self) -> bool:
        return any(stream.waiting for stream in self._streams.values())

    def _next_turn(self, epoch: int) -> bool:
        """Wait for frames, and do what is called for meanwhile; return False once closed."""
        with self._current(epoch):
            while True:
                self._changed.wait_for(
                    lambda: self._waits() or self._calls or self._closed or epoch != self._epoch
                )
                if epoch != self._epoch:
                    raise _SupersededError
                if self._closed:
                    return False
                if not self._calls:
                    self._busy = True
                    return True
                function, future = self._calls.popleft()
                try:
                    future.set_result(function())
                except Exception as error:
                    future.set_exception(error)
                self._changed.notify_all()

    def _encode_waiting(self, epoch: int, turns: Mapping[str, int]) -> dict[str, Sampled]:
        """Encode so many frames of each camera, not those that come meanwhile; return each one's newest."""
        newest: dict[str, Sampled] = {}
        for turn in range(max(turns.values())):
            batch: dict[str, Sampled] = {}
            with self._current(epoch):
                for camera, count in turns.items():
                    if turn < count:
                        batch[camera] = self._streams[camera].waiting.popleft()
                        self._streams[camera].encoding = 1
            tokens = self._encode(epoch, batch)
            for camera, sampled in batch.items():
                if self._take(epoch, camera, sampled, tokens.get(camera)):
                    newest[camera] = sampled
        return newest

    def _encode(self, epoch: int, batch: Mapping[str, Sampled]) -> dict[str, Tensor]:
        """Tokens (P, D) by camera, in one pass for all images of one size; without those that failed."""
        by_shape: dict[tuple[int, ...], list[str]] = {}
        for camera, sampled in batch.items():
            by_shape.setdefault(sampled.frame.rgb.shape, []).append(camera)
        tokens: dict[str, Tensor] = {}
        for cameras in by_shape.values():
            images = [batch[camera].frame.rgb for camera in cameras]
            with self._current(epoch, "engine"):
                pass
            try:
                encoded = self._keeper.encode(images[0][None] if len(images) == 1 else np.stack(images))
            except Exception as error:
                with self._current(epoch):
                    for camera in cameras:
                        self._note(camera, Inference.INFERENCE_ERROR, error)
                continue
            # In memory of their own: a camera that pauses must not hold on to the whole batch.
            tokens.update(zip(cameras, encoded if len(cameras) == 1 else map(_own, encoded), strict=True))
        return tokens

    def _take(self, epoch: int, camera: str, sampled: Sampled, tokens: Tensor | None) -> bool:
        """Put tokens into a camera's window, and settle the frame's fate; returns whether it is encoded."""
        stream = self._streams[camera]
        fate: Used | Inference = Inference.INFERENCE_ERROR
        with self._current(epoch, "heads"):
            pass
        if tokens is not None:
            try:
                stream.perceiver.take(sampled, tokens)
                fate = Used.ENCODED
            except Exception as error:
                with self._current(epoch):
                    self._note(camera, Inference.INFERENCE_ERROR, error)
        with self._current(epoch):
            stream.encoding = 0
            stream.ledger.settle(fate)
        return fate is Used.ENCODED

    def _perceive(self, epoch: int, camera: str, newest: Sampled) -> Perception | None:
        """What the heads say, if an update is due and they do."""
        stream = self._streams[camera]
        with self._current(epoch, "heads"):
            if not stream.is_due(newest.frame.stamp_ns, self.max_update_rate):
                return None
        try:
            perception = stream.perceiver.perceive()
        except Exception as error:
            with self._current(epoch):
                self._note(camera, LostUpdate.HEAD_ERROR, error)
            return None
        with self._current(epoch):
            if perception is not None:
                stream.last_update_ns = perception.stamp_ns
                stream.note_latency(newest.frame)
                if perception.not_finite:
                    self._note(camera, LostUpdate.NOT_FINITE, NotFiniteError(perception.not_finite))
        return perception

    def _deliver(self, epoch: int, camera: str, perception: Perception) -> None:
        with self._current(epoch, "callback"):
            pass
        try:
            self._on_perception(camera, perception)
        except Exception as error:
            with self._current(epoch):
                self._note(camera, LostUpdate.CALLBACK_ERROR, error)

    def _look_ahead(self, epoch: int, cameras: Iterable[str]) -> None:
        """Once all have their answers: do what can be done before their next frames come."""
        with self._current(epoch, "heads"):
            pass
        for camera in cameras:
            try:
                self._streams[camera].perceiver.look_ahead()
            except Exception as error:
                with self._current(epoch):
                    self._note(camera, LostUpdate.HEAD_ERROR, error)

    def _thin(self, epoch: int, seconds: float, encoded: int) -> None:
        """Take fewer frames from here on, or more, if the work of this turn says so."""
        with self._current(epoch, "heads"):
            lost = sum(stream.overloads for stream in self._streams.values())
            for stream in self._streams.values():
                stream.overloads = 0
            most = min(stream.perceiver.most_stride for stream in self._streams.values())
            if not self._thinning.note(seconds, encoded, lost, most):
                return
            stride = self._thinning.stride
        for stream in self._streams.values():
            stream.perceiver.thin(stride)
        _log.warning(
            "one frame in %d steps of the window is encoded: that is what this machine can do", stride
        )

    def _note(self, camera: str, kind: Inference | LostUpdate, error: Exception) -> None:
        """With the lock held."""
        stream = self._streams[camera]
        if isinstance(error, NotFiniteError):
            kind = LostUpdate.NOT_FINITE
            if error.frames:
                self._keeper.not_finite(error.frames, str(error))
        message = f"{type(error).__name__}: {error}"
        if stream.errors.get(kind) != message:  # one that comes with every frame must not flood the log
            word = kind.value if isinstance(kind, LostUpdate) else kind.word
            _log.error("%s: %s", word, message, exc_info=error)
        stream.errors[kind] = message
        if isinstance(kind, LostUpdate):  # the other is a frame's fate, settled as the frame is
            stream.lost_updates[kind] += 1

    # ---- in the watchdog's thread

    def _watch(self) -> None:
        while True:
            period = min(0.25, self.hang_seconds / 4)
            before = time.monotonic()
            if self._over.wait(period):
                return
            stalled = time.monotonic() - before - period
            with self._changed:
                if self._step is None:
                    continue
                if stalled > period:  # the whole process stood still, and so did the step
                    self._step = (self._step[0], self._step[1] + stalled)
                seconds = time.monotonic() - self._step[1]
                if seconds > self.hang_seconds and not self._closed:
                    self._abandon(self._step[0], seconds)

    def _abandon(self, step: str, seconds: float) -> None:
        """Let a new thread take the place of one that hangs; with the lock held."""
        self._epoch += 1
        self._hangs += 1
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()] + [self._thread]
        self._busy, self._step = False, None
        message = f"the {step} did not answer within {seconds:.1f} s"
        _log.error("hang: %s; perception goes on in a new thread, with empty windows", message)
        for stream in self._streams.values():
            stream.ledger.settle(Inference.INFERENCE_ERROR, stream.encoding)
            stream.encoding = 0
            stream.errors[LostUpdate.HANG] = message
            stream.perceiver.start_over()
        if step == "engine":
            self._keeper.hung(seconds)
        if len(self._abandoned) <= MOST_ABANDONED:
            self._thread = self._start_thread()
        self._changed.notify_all()


def _own(tokens: Tensor) -> Tensor:
    return tokens.clone()
