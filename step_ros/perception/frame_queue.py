"""One camera's frames that wait for a worker: which go on, and which overload drops."""

from __future__ import annotations

import time
from collections import Counter, deque
from weakref import WeakKeyDictionary

from step_ros.frames import Frame, Sampled
from step_ros.perception.latency import Latencies
from step_ros.perception.ledger import ByDesign, Inference, Ledger, LostUpdate, Overload, UnderWay
from step_ros.perception.perceiver import Perceiver
from step_ros.perception.prepared_heads import PreparedHeads
from step_ros.perception.rate_limit import is_due
from step_ros.perception.thinning import Thinning


class FrameQueue:
    """A perceiver with the frames that wait for it; whoever owns it holds a lock around every call.

    Args:
        perceiver: the camera's own.
        queue_size: how many selected frames may wait.
        thinning: which of them may, under overload.
    """

    def __init__(self, perceiver: Perceiver, queue_size: int, thinning: Thinning) -> None:
        self.perceiver = perceiver
        self.waiting: deque[Sampled] = deque()
        self.encoding = 0
        """Frames that are in the backbone now."""
        self.lost_updates: Counter[LostUpdate] = Counter()
        self.errors: dict[Inference | LostUpdate, str] = {}
        """The last message of each kind of error."""
        self.last_update_ns: int | None = None
        """Stamp of the newest perception."""
        self.overloads = 0
        """Frames that were too many, since somebody last looked."""
        self._queue_size = queue_size
        self._thinning = thinning
        self._arrival_ns: WeakKeyDictionary[Frame, int] = WeakKeyDictionary()
        self.latencies = Latencies()
        """From `submit` of a window's newest frame to its perception, waiting for the grid included."""

    def submit(self, frame: Frame) -> bool:
        """Take the next frame; returns whether there is something to encode now."""
        sampled = self.perceiver.select(frame)
        self._arrival_ns[frame] = time.monotonic_ns()
        if sampled is None:
            return False
        if not self._thinning.takes(sampled.grid_index):
            self.ledger.settle(Overload.THINNED_OUT)
            return False
        self.waiting.append(sampled)
        if len(self.waiting) > self._queue_size:
            self.waiting.popleft()
            self.ledger.settle(Overload.BEFORE_ENCODING)
            self.overloads += 1
        return True

    def forget(self) -> None:
        """Drop what waits and empty the window."""
        self.ledger.settle(ByDesign.SKIPPED_BY_SAMPLING, len(self.waiting))
        self.waiting.clear()
        self.last_update_ns = None
        self.perceiver.reset()

    def adopt(self, prepared: PreparedHeads) -> None:
        """Answer with other heads; what waits for another window than theirs is dropped."""
        if prepared.clip != self.perceiver.clip:
            self.forget()
        self.perceiver.adopt(prepared)

    def is_due(self, stamp_ns: int, max_rate: float) -> bool:
        """Whether an update for that stamp would keep to `max_rate` a second; 0 is no limit."""
        return not max_rate or is_due(stamp_ns, self.last_update_ns, max_rate)

    def note_latency(self, frame: Frame) -> None:
        """A perception whose newest frame is this one has just been made."""
        now_ns = time.monotonic_ns()
        self.latencies.add((now_ns - self._arrival_ns[frame]) / 1e6, now_ns / 1e9)

    @property
    def ledger(self) -> Ledger:
        """Where the fates of frames are settled; see `Perceiver.ledger`."""
        return self.perceiver.ledger

    def account(self) -> Ledger:
        """What became of the camera's frames."""
        account = self.perceiver.account()
        account.settle(UnderWay.WAITING, len(self.waiting) + self.encoding)
        return account
