"""What keeps labels from going out, or may soon, and what speaks for each cause?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from step_ros.perception.freshness import Withholding
from step_ros.perception.ledger import Clock, Decoding, Inference, LostUpdate, Overload
from step_ros.ros.node.snapshot import Snapshot

ENOUGH_RECEIVED = 0.8
"""Below this share of the published images, something between camera and node loses them."""

UNRELATED_CLOCKS_MS = 60_000.0
"""Images that arrive that long after their stamp, or before it, are stamped by another clock."""

SAME_CLOCK_MS = 10.0
"""Images that arrive less than that before their stamp come from clocks that agree."""

HANGING_SECONDS = 0.5
"""A step of inference that takes longer is why labels stop; honest ones take tens of milliseconds."""


class Level(IntEnum):
    """How bad it is, in the numbers of DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class Kind(Enum):
    """The causes, what brings others about before those; the value is the name that people read."""

    STUCK = "stuck"
    ENGINE = "engine"
    HANGING = "hanging"
    NO_IMAGE = "no_image"
    LOST = "lost_before_receipt"
    STAMPS = "stamps"
    OWN_DELAY = "own_delay"
    DECODING = "decoding"
    CLOCK = "clock"
    INFERENCE = "inference"
    OVERLOAD = "overload"
    THINNED = "thinned_out"
    GAPS = "gaps"
    LATE = "late"
    IMAGE_QOS = "image_qos"
    LABEL_QOS = "label_qos"
    CALLBACK = "callback"


BROUGHT_ABOUT = {
    Kind.ENGINE: (Kind.INFERENCE, Kind.OVERLOAD, Kind.THINNED, Kind.OWN_DELAY),
    Kind.HANGING: (Kind.OVERLOAD, Kind.THINNED, Kind.OWN_DELAY),
}
"""What else a cause accounts for: the labels that these keep away are its own."""


@dataclass(frozen=True)
class Limits:
    """From when on something is wrong."""

    image_timeout_s: float
    """Seconds without an image."""
    latency_warning_ms: float
    """Of the 99th percentile from an image's stamp to its labels."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a cause, in a stretch of time."""

    count: int
    """Of images, updates or errors."""
    missing: float = 0.0
    """Updates of the labels that it accounts for."""
    stamp_ns: int | None = None
    """Of the newest image that it is about; None if it is about none."""


@dataclass(frozen=True)
class Cause:
    """Something that is wrong now."""

    kind: Kind
    """What it is."""
    level: Level
    """How bad it is by itself, whether labels go out or not."""
    sentence: str
    """What was found, and what to do."""
    start_s: float
    """When it began; seconds of the snapshots' clock."""
    end_s: float
    """When the newest evidence of it came."""
    evidence: Evidence
    """Of the counts, all that has not expired; of the missing updates, those of the last second or so."""


def counted(before: Snapshot, now: Snapshot) -> dict[Kind, Evidence]:
    """What the counts between two snapshots speak for.

    Several images make one update: of a camera's three images a step, each that is lost is a third of one.
    """
    new = now.frames.since(before.frames)
    steps = (now.seconds - before.seconds) / now.step_s
    lost = now.lost - before.lost
    per_step = max(1.0, (new.received + lost) / steps) if steps > 0 else 1.0

    def withheld(*causes: Withholding) -> Evidence:
        count = sum(now.withheld[cause] - before.withheld[cause] for cause in causes)
        stamps_ns = [now.last_withheld[cause].stamp_ns for cause in causes if cause in now.last_withheld]
        return Evidence(count, count, max(stamps_ns) if stamps_ns else None)

    thinned, undecoded = new[Overload.THINNED_OUT], new[Overload.BEFORE_DECODING]
    dropped = new.total(Overload) - thinned
    failed = sum(failures(before, now).values())
    found = {
        Kind.LOST: Evidence(lost, lost / per_step),
        Kind.STAMPS: withheld(Withholding.OLD_STAMP, Withholding.STAMP_AHEAD),
        Kind.OWN_DELAY: withheld(Withholding.OWN_DELAY),
        Kind.DECODING: Evidence(new.total(Decoding), new.total(Decoding) / per_step),
        Kind.CLOCK: Evidence(new.total(Clock), new.total(Clock) / per_step),
        Kind.INFERENCE: Evidence(failed, failed),
        Kind.OVERLOAD: Evidence(dropped, dropped - undecoded + undecoded / per_step),
        Kind.THINNED: Evidence(thinned, thinned),
        Kind.CALLBACK: Evidence(now.callback_errors - before.callback_errors),
    }
    return {kind: evidence for kind, evidence in found.items() if evidence.count > 0}


def failures(before: Snapshot, now: Snapshot) -> dict[Inference | LostUpdate, int]:
    """What inference failed by between two snapshots, and how often; each failure once."""
    found: dict[Inference | LostUpdate, int] = {
        cause: count - before.lost_updates.get(cause, 0) for cause, count in now.lost_updates.items()
    }
    frames = now.frames.since(before.frames)[Inference.INFERENCE_ERROR]
    # Frames that hung, or whose tokens were no numbers, are told by their updates.
    found[Inference.INFERENCE_ERROR] = frames - sum(
        found.get(cause, 0) for cause in (LostUpdate.HANG, LostUpdate.NOT_FINITE)
    )
    return {cause: count for cause, count in found.items() if count > 0}


def present(before: Snapshot, lately: Snapshot, now: Snapshot, limits: Limits) -> dict[Kind, float]:
    """What is wrong at this moment, whatever was before, and for how many seconds it surely has been.

    Args:
        before: the oldest snapshot that counts.
        lately: one of a second ago or so.
        now: the newest.
        limits: see there.
    """
    stale = now.labels == "stale"
    hanging_s = now.step_under_way[1]
    ages, latency = now.age_at_receipt, now.stamp_latency
    # Compared with NaN, nothing is true: without labels of late there is no latency to complain of.
    late = latency.p99_ms > limits.latency_warning_ms
    found = {
        Kind.STUCK: (bool(now.stuck), 0.0),
        Kind.ENGINE: (bool(now.engine_trouble), 0.0),
        Kind.HANGING: (stale and hanging_s > HANGING_SECONDS, hanging_s),
        Kind.NO_IMAGE: (stale and _images_have_stopped(before, lately, now, limits), now.image_silence_s),
        Kind.STAMPS: (ages.p50_ms < -SAME_CLOCK_MS or ages.p50_ms > UNRELATED_CLOCKS_MS, 0.0),
        Kind.LATE: (late and not ages.p50_ms > UNRELATED_CLOCKS_MS, 0.0),
        Kind.IMAGE_QOS: (bool(now.image_qos), 0.0),
        Kind.LABEL_QOS: (bool(now.label_qos), 0.0),
    }
    if found[Kind.NO_IMAGE][0]:
        del found[Kind.IMAGE_QOS]  # why there is none
    return {kind: seconds for kind, (is_so, seconds) in found.items() if is_so}


def _images_have_stopped(before: Snapshot, lately: Snapshot, now: Snapshot, limits: Limits) -> bool:
    """Whether no image comes any more; a slow camera's next one is not late yet."""
    silence_s = now.image_silence_s
    rates = (image_rate(before, now), image_rate(lately, now))
    return silence_s > limits.image_timeout_s and all(not rate > 0 or silence_s * rate > 2 for rate in rates)


def image_rate(before: Snapshot, now: Snapshot) -> float:
    """Images a second that were received between two snapshots; NaN if there is no time between them."""
    seconds = now.seconds - before.seconds
    return (now.frames.received - before.frames.received) / seconds if seconds > 0 else float("nan")


def level_of(kind: Kind, before: Snapshot, now: Snapshot) -> Level:
    """How bad a cause is by itself."""
    new = now.frames.since(before.frames)
    unusable = kind is Kind.DECODING and new.total(Decoding) == new.received
    return Level.ERROR if kind in (Kind.STUCK, Kind.INFERENCE) or unusable else Level.WARN
