"""What keeps labels from going out, or may soon? Each cause, what speaks for it, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from step_ros.perception.freshness import Withholding
from step_ros.perception.ledger import Clock, Decoding, Fate, Inference, Ledger, LostUpdate, Overload
from step_ros.ros.node.snapshot import Snapshot

ENOUGH_RECEIVED = 0.8
"""Below this share of the published images, something between camera and node loses them."""

UNRELATED_CLOCKS_MS = 60_000.0
"""Images that arrive that long after their stamp, or before it, are stamped by another clock."""

SAME_CLOCK_MS = 10.0
"""Images that arrive less than that before their stamp come from clocks that agree."""

HANGING_SECONDS = 0.5
"""A step of inference that takes longer is why labels stop; honest ones take tens of milliseconds."""

_LOSS_ADVICE = (
    "large images do not fit Fast DDS's default shared memory: start the camera with "
    "FASTRTPS_DEFAULT_PROFILES_FILE=<share/step_ros>/config/fastdds_large_images.xml, or make it publish "
    "reliable, or use image_transport:=compressed"
)
_LOAD_ADVICE = "take a smaller backbone, fewer tasks or another engine, or lower max_update_rate"


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
    GAPS = "gaps"
    LATE = "late"
    IMAGE_QOS = "image_qos"
    LABEL_QOS = "label_qos"
    CALLBACK = "callback"


BROUGHT_ABOUT = {
    Kind.ENGINE: (Kind.INFERENCE, Kind.OVERLOAD, Kind.OWN_DELAY),
    Kind.HANGING: (Kind.OVERLOAD, Kind.OWN_DELAY),
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

    waited, late = new[Overload.BEFORE_ENCODING], new[Overload.BEFORE_DECODING]
    failed = sum(failures(before, now).values())
    found = {
        Kind.LOST: Evidence(lost, lost / per_step),
        Kind.STAMPS: withheld(Withholding.OLD_STAMP, Withholding.STAMP_AHEAD),
        Kind.OWN_DELAY: withheld(Withholding.OWN_DELAY),
        Kind.DECODING: Evidence(new.total(Decoding), new.total(Decoding) / per_step),
        Kind.CLOCK: Evidence(new.total(Clock), new.total(Clock) / per_step),
        Kind.INFERENCE: Evidence(failed, failed),
        Kind.OVERLOAD: Evidence(waited + late, waited + late / per_step),
        Kind.CALLBACK: Evidence(now.callback_errors - before.callback_errors),
    }
    return {kind: evidence for kind, evidence in found.items() if evidence.count > 0}


def failures(before: Snapshot, now: Snapshot) -> dict[Inference | LostUpdate, int]:
    """What inference failed by between two snapshots, and how often; each failure once."""
    lost = {cause: count - before.lost_updates.get(cause, 0) for cause, count in now.lost_updates.items()}
    frames = now.frames.since(before.frames)[Inference.INFERENCE_ERROR]
    # Frames that hung, or whose tokens were no numbers, are told by their updates.
    frames -= lost.get(LostUpdate.HANG, 0) + lost.get(LostUpdate.NOT_FINITE, 0)
    found: dict[Inference | LostUpdate, int] = {**lost, Inference.INFERENCE_ERROR: frames}
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


def sentence_of(kind: Kind, topic: str, before: Snapshot, now: Snapshot, limits: Limits) -> str:
    """What was found between two snapshots, and what to do.

    Args:
        kind: something that is so.
        topic: of the images.
        before: the oldest snapshot that counts.
        now: the newest.
        limits: see there.
    """
    new = now.frames.since(before.frames)
    if kind is Kind.STUCK:
        return now.stuck
    if kind is Kind.ENGINE:
        return now.engine_trouble
    if kind is Kind.HANGING:
        step, seconds = now.step_under_way
        return f"the {step} has not answered for {seconds:.1f} s"
    if kind is Kind.NO_IMAGE:
        return _no_image(topic, now)
    if kind is Kind.LOST:
        share = new.received / max(1, new.received + now.lost - before.lost)
        return f"only {share:.0%} of the images on {topic} arrive: {_LOSS_ADVICE}"
    if kind is Kind.STAMPS:
        return _stamps(before, now)
    if kind is Kind.OWN_DELAY:
        held = now.last_withheld[Withholding.OWN_DELAY]
        return (
            f"labels take {held.delay_s:.1f} s in this node, so their images are older than the "
            f"{held.max_age_s:g} s allowed: {_LOAD_ADVICE}"
        )
    if kind is Kind.DECODING:
        return f"frames cannot be used: {_listed(new, Decoding)} of {new.received}. Last: {now.image_error}"
    if kind is Kind.CLOCK:
        return f"frames dropped: {_listed(new, Clock)}: the camera's stamps do not go forward"
    if kind is Kind.INFERENCE:
        failed = failures(before, now)
        words = [cause.value if isinstance(cause, LostUpdate) else cause.word for cause in failed]
        messages = filter(None, (now.errors.get(cause, "") for cause in failed))
        return f"inference fails ({', '.join(words)}): {'; '.join(messages)}"
    if kind is Kind.OVERLOAD:
        return f"frames dropped: {_listed(new, Overload)}: the machine is too slow; {_LOAD_ADVICE}"
    if kind is Kind.GAPS:
        return _gaps(before, now)
    if kind is Kind.LATE:
        return (
            f"labels are late: p99 is {now.stamp_latency.p99_ms:.0f} ms, more than "
            f"{limits.latency_warning_ms:.0f} ms; images arrive {now.age_at_receipt.p50_ms:.0f} ms after "
            f"their stamp, and labels take {now.latency.p50_ms:.0f} ms from there (medians)"
        )
    if kind is Kind.CALLBACK:
        return f"callbacks failed, {now.callback_errors - before.callback_errors}: {now.callback_error}"
    return now.image_qos if kind is Kind.IMAGE_QOS else now.label_qos


def _no_image(topic: str, now: Snapshot) -> str:
    missing = f"no image on {topic} for {now.image_silence_s:.1f} s"
    if not now.publishers:
        if now.other_publishers:
            return f"{missing}: {now.other_publishers}"
        return f"{missing}, and it has no publisher: remap `image` to the camera's topic, or start the camera"
    if now.image_qos:
        return f"{missing}: {now.image_qos}"
    silent = "they are silent, or nothing of theirs gets through"
    return f"{missing}, though it has {now.publishers} publisher(s): {silent}"


def _stamps(before: Snapshot, now: Snapshot) -> str:
    synchronise = "synchronise the clocks"
    recording = f"{synchronise}, or for a recording set use_sim_time and play it with /clock"
    # Of what was withheld in that time, the newest; else of what goes out.
    causes = (Withholding.OLD_STAMP, Withholding.STAMP_AHEAD)
    grown = [cause for cause in causes if now.withheld[cause] > before.withheld[cause]]
    if not grown:
        p50 = now.age_at_receipt.p50_ms
        if p50 < 0:
            return f"stamps are {-p50:.0f} ms ahead of this node's clock: {synchronise}"
        return f"stamps are {p50 / 1000:.0f} s behind this node's clock: {recording}"
    held = max((now.last_withheld[cause] for cause in grown), key=lambda held: held.stamp_ns)
    allowed = f"more than the {held.max_age_s:g} s allowed"
    if held.age_s < 0:
        return f"images are stamped {-held.age_s:.1f} s ahead of this node's clock, {allowed}: {synchronise}"
    late = f"images are {held.age_s:.1f} s old by this node's clock as they arrive"
    if held.age_s <= held.max_age_s:
        allowed = f"and labels take {held.delay_s:.1f} s, together {allowed}"
    return f"{late}, {allowed}: {recording}"


def _gaps(before: Snapshot, now: Snapshot) -> str:
    restarts = sum(now.restarts.values()) - sum(before.restarts.values())
    if restarts > 0:
        return (
            f"stamps have jumped {restarts} time(s), and each time the window began anew: one clock must "
            "stamp all images of a topic"
        )
    return (
        f"images come at {image_rate(before, now):.1f} Hz, but the window has gaps, or began anew and is "
        f"filling: it takes one each {now.step_s:g} s"
    )


def _listed(frames: Ledger, group: type[Fate]) -> str:
    """How many met which fate of a group."""
    return ", ".join(f"{frames[fate]} {fate.word}" for fate in group if frames[fate])
