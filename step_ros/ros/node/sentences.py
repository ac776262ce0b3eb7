"""What each cause is called, and what to do about it."""

from __future__ import annotations

from step_ros.perception.freshness import Withholding
from step_ros.perception.ledger import Clock, Decoding, Fate, Ledger, LostUpdate, Overload
from step_ros.ros.node.causes import Kind, Limits, failures, image_rate
from step_ros.ros.node.snapshot import Snapshot

_LOSS_ADVICE = (
    "large images do not fit Fast DDS's default shared memory: start the camera with "
    "FASTRTPS_DEFAULT_PROFILES_FILE=<share/step_ros>/config/fastdds_large_images.xml, or make it publish "
    "reliable, or use image_transport:=compressed"
)
_LOAD_ADVICE = "take a smaller backbone, fewer tasks or another engine, or lower max_update_rate"


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
    if kind is Kind.THINNED:
        stride = "every frame" if now.stride == 1 else f"one frame in {now.stride} steps of the window"
        return (
            f"{stride} is encoded, and {new[Overload.THINNED_OUT]} were not: the machine is too slow for "
            f"all, and labels are coarser; {_LOAD_ADVICE}"
        )
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
