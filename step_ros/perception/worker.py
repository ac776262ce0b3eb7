"""Perception in a thread of its own: a camera never waits, and under load the right thing gives way."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from weakref import WeakKeyDictionary

import numpy as np

from step_ros.frames import Frame, Sampled
from step_ros.perception.perceiver import Perceiver
from step_ros.perception.prediction import Perception

_LOG = logging.getLogger(__name__)
_LATENCIES_KEPT = 1000


@dataclass(frozen=True)
class Latency:
    """From `submit` of a window's newest frame to its perception, waiting for the grid included."""

    count: int
    """Over how many perceptions, the latest 1000 at most."""
    p50_ms: float
    """Median, in milliseconds; NaN while there are none."""
    p99_ms: float
    """99th percentile, in milliseconds; NaN while there are none."""


class PerceptionWorker:
    """Runs a perceiver in a thread.

    When frames come faster than they can be encoded, first the update rate gives way (all waiting frames are
    encoded before the heads run once), and then, when more than `queue_size` selected frames wait, the oldest
    of them is dropped: the newest frame wins.

    The perceiver belongs to the worker from here on. Nothing that goes wrong in inference or in
    `on_perception` ends the thread: it is logged and counted, its message is in `errors`, and the next frame
    is taken.

    Args:
        perceiver: the pipeline.
        on_perception: called with each perception, in the worker's thread. It may call `reset` and `close`;
            it must not call `flush`, nor wait for another thread that calls any of them.
        queue_size: how many selected frames may wait, at least 1.

    Raises:
        ValueError: `queue_size` is below 1.
    """

    def __init__(
        self, perceiver: Perceiver, on_perception: Callable[[Perception], None], *, queue_size: int = 2
    ) -> None:
        if queue_size < 1:
            raise ValueError(f"queue_size must be at least 1, got {queue_size}")
        self._perceiver = perceiver
        self._on_perception = on_perception
        self._queue_size = queue_size
        # Guards everything below and the perceiver's sampler. The perceiver's window and networks are used
        # by the worker's thread only, so no lock is held during inference.
        self._changed = threading.Condition()
        self._waiting: deque[Sampled] = deque()
        self._arrival_ns: WeakKeyDictionary[Frame, int] = WeakKeyDictionary()
        self._fates: Counter[str] = Counter()
        self._encoding = 0
        self._busy = False
        self._reset_asked = False
        self._closed = False
        self._errors: dict[str, str] = {}
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._thread = threading.Thread(target=self._run, name="perception", daemon=True)
        self._thread.start()

    def submit(self, frame: Frame) -> None:
        """Hand over the next frame, from any thread, without waiting for inference.

        After `close` the frame is ignored.
        """
        with self._changed:
            if self._closed:
                return
            sampled = self._perceiver.select(frame)
            self._fates["received"] += 1
            self._arrival_ns[frame] = time.monotonic_ns()
            if sampled is None:
                return
            self._waiting.append(sampled)
            if len(self._waiting) > self._queue_size:
                self._waiting.popleft()
                self._fates["dropped_overload"] += 1
            self._changed.notify_all()

    def reset(self) -> None:
        """Forget all frames; once this returns, no perception of an earlier frame is delivered.

        Waits for the update in progress, if there is one. The counts go on: frames that had not been encoded
        count as skipped_by_sampling. After `close` there is nothing to reset.
        """
        with self._changed:
            if threading.current_thread() is self._thread:
                self._reset_now()
                return
            # The window is the worker thread's; asking it also keeps a busy worker from starving the caller.
            self._reset_asked = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._reset_asked or self._closed)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do; return False if that took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or not (self._waiting or self._busy or self._reset_asked), timeout
            )

    def close(self) -> None:
        """End the thread after the update in progress; frames that still wait stay so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> PerceptionWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def counts(self) -> dict[str, int]:
        """What became of the frames, at one moment.

        received = encoded + inference_error + skipped_by_sampling + duplicate_stamp + late_frame +
        dropped_overload + pending + waiting. Beside these, ``head_error`` and ``callback_error`` count the
        updates that were lost in a head or in `on_perception`.
        """
        with self._changed:
            sampling = self._perceiver.counts
            fates = self._fates
            return {
                "received": fates["received"],
                "encoded": fates["encoded"],
                "inference_error": fates["inference_error"],
                "skipped_by_sampling": sampling["skipped_by_sampling"] + fates["dropped_by_reset"],
                "duplicate_stamp": sampling["duplicate_stamp"],
                "late_frame": sampling["late_frame"],
                "dropped_overload": fates["dropped_overload"],
                "pending": sampling["pending"],
                "waiting": len(self._waiting) + self._encoding,
                "head_error": fates["head_error"],
                "callback_error": fates["callback_error"],
            }

    @property
    def restarts(self) -> Counter[str]:
        """How often time jumped: stamp_jumped_back, stamp_jumped_ahead."""
        with self._changed:
            return self._perceiver.restarts

    @property
    def errors(self) -> dict[str, str]:
        """The last message of each kind of error so far: inference_error, head_error, callback_error."""
        with self._changed:
            return dict(self._errors)

    @property
    def latency(self) -> Latency:
        """Percentiles over the latest 1000 perceptions."""
        with self._changed:
            latencies = list(self._latencies_ms)
        if not latencies:
            return Latency(0, float("nan"), float("nan"))
        p50, p99 = np.percentile(latencies, (50, 99))
        return Latency(len(latencies), float(p50), float(p99))

    def _run(self) -> None:
        while self._next_turn():
            newest = self._encode_waiting()
            if newest is not None:
                self._update(newest)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next_turn(self) -> bool:
        """Wait for frames, resetting when asked to; return False once closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._reset_asked or self._closed)
                if self._closed:
                    return False
                if not self._reset_asked:
                    self._busy = True
                    return True
                self._reset_now()
                self._reset_asked = False
                self._changed.notify_all()

    def _encode_waiting(self) -> Sampled | None:
        """Encode the frames that wait now, not those that come meanwhile; return the newest encoded."""
        newest = None
        with self._changed:
            turns = len(self._waiting)
        for _ in range(turns):
            with self._changed:
                sampled = self._waiting.popleft()
                self._encoding = 1
            try:
                self._perceiver.encode(sampled)
            except Exception as error:
                fate = "inference_error"
                self._note(fate, error)
            else:
                fate = "encoded"
                newest = sampled
            with self._changed:
                self._encoding = 0
                self._fates[fate] += 1
        return newest

    def _update(self, newest: Sampled) -> None:
        """Run the heads and deliver what they say."""
        try:
            perception = self._perceiver.perceive()
        except Exception as error:
            self._note("head_error", error)
            return
        if perception is None:
            return
        with self._changed:
            waited_ns = time.monotonic_ns() - self._arrival_ns[newest.frame]
            self._latencies_ms.append(waited_ns / 1e6)
        try:
            self._on_perception(perception)
        except Exception as error:
            self._note("callback_error", error)

    def _note(self, kind: str, error: Exception) -> None:
        message = f"{type(error).__name__}: {error}"
        with self._changed:
            if self._errors.get(kind) != message:  # one that comes with every frame must not flood the log
                _LOG.error("%s: %s", kind, message, exc_info=error)
            self._errors[kind] = message
            if kind != "inference_error":  # that one is a frame's fate, counted as the frame is
                self._fates[kind] += 1

    def _reset_now(self) -> None:
        """In the worker's thread, with the lock held."""
        self._fates["dropped_by_reset"] += len(self._waiting)
        self._waiting.clear()
        self._perceiver.reset()
