"""What the node says about itself on /diagnostics."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from step_ros.perception.ledger import DROPPED, Inference, Ledger, LostUpdate

ENOUGH_RECEIVED = 0.8
"""Below this share of the published images, something between camera and node loses them."""

UNRELATED_CLOCKS_MS = 60_000.0
"""Labels that seem later, or earlier, than this are due to stamps of another clock."""

_LOSS_ADVICE = (
    "large images do not fit Fast DDS's default shared memory: start the camera with "
    "FASTRTPS_DEFAULT_PROFILES_FILE=<share/step_ros>/config/fastdds_large_images.xml, or make it publish "
    "reliable, or use image_transport:=compressed"
)


@dataclass(frozen=True)
class Snapshot:
    """The node at one moment; counts are from its start on."""

    seconds: float
    """Of a clock that never jumps."""
    frames: Ledger
    """What became of every image that was received."""
    lost: int
    """Images that were published and not received."""
    updates: int
    """How often labels went out."""
    lost_updates: Mapping[LostUpdate, int]
    """Updates that were lost, by cause."""
    notices: Mapping[str, int]
    """What was put up with: frames without a stamp, jumps of time."""
    last_image_age: float
    """Seconds since the last image; since the start if there was none."""
    publishers: int
    """Of the image topic."""
    latency_ms: tuple[float, float]
    """From arrival to labels: median and 99th percentile; NaN while there are none."""
    stamp_latency_ms: tuple[float, float]
    """From the image's stamp to labels, likewise."""
    last_error: str
    """The newest error's message."""
    labels: str
    """``waiting``, ``fresh`` or ``stale``; see `Freshness`."""
    stale_reason: str
    """Why labels are stale; empty while they are not."""
    misdated: str
    """What is wrong with the images' stamps; empty if nothing is."""
    engine_trouble: str
    """What is wrong with what runs the backbone; empty if nothing is."""
    qos_trouble: str
    """Who does not hear whom; empty if everybody hears everybody."""


class Diagnostics:
    """Turns snapshots into diagnostic statuses: counts as they are, rates and levels from the last seconds.

    Args:
        name: of the status.
        hardware_id: of the status.
        topic: the image topic.
    """

    def __init__(self, name: str, hardware_id: str, topic: str) -> None:
        self._name = name
        self._hardware_id = hardware_id
        self._topic = topic
        self._recent: deque[Snapshot] = deque(maxlen=6)

    def status(
        self, now: Snapshot, facts: Mapping[str, str], *, image_timeout: float, latency_warning_ms: float
    ) -> DiagnosticStatus:
        """The status after `now`.

        Args:
            now: later than the one before.
            facts: more to show: what runs on what.
            image_timeout: seconds without an image after which that is what is wrong.
            latency_warning_ms: a 99th percentile from stamp to labels above it is a warning.
        """
        before = self._recent[0] if self._recent else now
        self._recent.append(now)
        level, message = self._judge(before, now, image_timeout, latency_warning_ms)
        values = {
            **{name: str(count) for name, count in now.frames.to_json().items()},
            "lost_before_receipt": str(now.lost),
            "updates": str(now.updates),
            **{f"update_error.{cause.value}": str(count) for cause, count in now.lost_updates.items()},
            "labels": now.labels,
            **{name: str(count) for name, count in now.notices.items()},
            **_rates(before, now),
            "latency_p50_ms": _number(now.latency_ms[0]),
            "latency_p99_ms": _number(now.latency_ms[1]),
            "stamp_latency_p50_ms": _number(now.stamp_latency_ms[0]),
            "stamp_latency_p99_ms": _number(now.stamp_latency_ms[1]),
            "last_error": now.last_error,
            "engine_trouble": now.engine_trouble,
            "qos_trouble": now.qos_trouble,
            **facts,
        }
        return DiagnosticStatus(
            level=level,
            name=self._name,
            hardware_id=self._hardware_id,
            message=message,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )

    def _judge(
        self, before: Snapshot, now: Snapshot, image_timeout: float, latency_warning_ms: float
    ) -> tuple[bytes, str]:
        """The level, and why; the worst thing is what is said."""
        new = now.frames.since(before.frames)
        dropped = new.total(*DROPPED)
        failed = [
            cause.value
            for cause, count in now.lost_updates.items()
            if count > before.lost_updates.get(cause, 0)
        ]
        failed += [fate.word for fate in Inference if new[fate]]
        if now.labels == "stale":
            why = self._why_stale(now, new, failed, image_timeout)
            return DiagnosticStatus.ERROR, f"no labels go out: {why}"
        if failed:
            return DiagnosticStatus.ERROR, f"inference fails ({', '.join(failed)}): {now.last_error}"
        if dropped and dropped == new.received:
            return DiagnosticStatus.ERROR, f"no frame is usable: {_listed(new)}. Last: {now.last_error}"

        warnings = [now.engine_trouble] if now.engine_trouble else []
        lost = now.lost - before.lost
        share = new.received / (new.received + lost) if lost else 1.0
        if share < ENOUGH_RECEIVED:
            warnings.append(f"only {share:.0%} of the images on {self._topic} arrive: {_LOSS_ADVICE}")
        if dropped:
            warnings.append(f"frames dropped: {_listed(new)}")
        p50, p99 = now.stamp_latency_ms
        if abs(p50) > UNRELATED_CLOCKS_MS:
            warnings.append(
                f"stamps are {p50 / 1000:.0f} s behind this node's clock: for a recording, set use_sim_time "
                "and play it with /clock; for a camera, synchronise the clocks"
            )
        elif p50 < 0:  # by less than what would make labels stale
            warnings.append(f"stamps are {-p50:.0f} ms ahead of this node's clock: synchronise the clocks")
        elif p99 > latency_warning_ms:
            warnings.append(f"labels are late: p99 is {p99:.0f} ms, more than {latency_warning_ms:.0f} ms")
        if now.notices.get("incompatible_qos", 0) > before.notices.get("incompatible_qos", 0):
            warnings.append(now.qos_trouble)
        if warnings:
            return DiagnosticStatus.WARN, "; ".join(warnings)
        if now.labels == "waiting":
            return DiagnosticStatus.OK, "filling the first window"
        return DiagnosticStatus.OK, "labels are going out"

    def _why_stale(self, now: Snapshot, new: Ledger, failed: Sequence[str], image_timeout: float) -> str:
        """The cause that comes first on the way from the camera to the labels."""
        if now.last_image_age > image_timeout:
            missing = _why_no_image(self._topic, now)
            return f"{missing}; {now.qos_trouble}" if now.qos_trouble else missing
        if now.misdated:
            return now.misdated
        if now.engine_trouble:
            return now.engine_trouble
        if failed:
            return f"inference fails: {now.last_error}"
        if new.total(*DROPPED):
            return f"frames cannot be used: {_listed(new)}. Last: {now.last_error or 'none failed'}"
        return f"{now.stale_reason}, though images come: the window has gaps, or began anew and is filling"


def _why_no_image(topic: str, now: Snapshot) -> str:
    missing = f"no image on {topic} for {now.last_image_age:.1f} s"
    if now.publishers:
        kind = "they are silent, or offer another QoS"
        return f"{missing}, though it has {now.publishers} publisher(s): {kind}"
    return f"{missing}, and it has no publisher: remap `image` to the camera's topic, or start the camera"


def _rates(before: Snapshot, now: Snapshot) -> dict[str, str]:
    """Per second, over the snapshots kept."""
    seconds = now.seconds - before.seconds
    counts = {
        "receive_rate_hz": (before.frames.received, now.frames.received),
        "publish_rate_hz": (before.frames.received + before.lost, now.frames.received + now.lost),
        "update_rate_hz": (before.updates, now.updates),
    }
    return {
        name: _number((end - start) / seconds if seconds > 0 else math.nan)
        for name, (start, end) in counts.items()
    }


def _listed(frames: Ledger) -> str:
    """What was dropped, and why."""
    fates = [fate for group in DROPPED for fate in group if frames[fate]]
    return ", ".join(f"{frames[fate]} {fate.word}" for fate in fates)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"
