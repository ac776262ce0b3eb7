"""What the node says about a camera on /diagnostics."""

from __future__ import annotations

import math
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from step_ros.bounded_text import MOST_TEXT, bounded
from step_ros.ros.node.causes import Cause, Level, Limits
from step_ros.ros.node.diagnoser import EVIDENCE_PERIODS, Diagnoser
from step_ros.ros.node.snapshot import Snapshot


def status_of(
    level: Level, message: str, values: Mapping[str, str], *, name: str, hardware_id: str
) -> DiagnosticStatus:
    """A status that stays small, whatever a message, a model or a library says."""
    return DiagnosticStatus(
        level=bytes([level]),
        name=name,
        hardware_id=hardware_id,
        message=bounded(message, MOST_TEXT),
        values=[KeyValue(key=key, value=bounded(value, MOST_TEXT)) for key, value in values.items()],
    )


class Diagnostics:
    """Turns snapshots into diagnostic statuses: counts as they are, rates and levels from the last seconds.

    Args:
        name: of the status.
        hardware_id: of the status.
        topic: the image topic.
        period_s: seconds between two statuses.
    """

    def __init__(self, name: str, hardware_id: str, topic: str, period_s: float) -> None:
        self._name = name
        self._hardware_id = hardware_id
        self._diagnoser = Diagnoser(topic, EVIDENCE_PERIODS * period_s)

    def forget(self) -> None:
        """Begin anew: what was before says nothing of what comes."""
        self._diagnoser.forget()

    def status(self, now: Snapshot, facts: Mapping[str, str], limits: Limits) -> DiagnosticStatus:
        """The status after `now`.

        Args:
            now: later than the one before.
            facts: more to show: what runs on what.
            limits: from when on something is wrong.
        """
        diagnosis = self._diagnoser.diagnose(now, limits)
        values = {
            **{name: str(count) for name, count in now.frames.to_json().items()},
            "lost_before_receipt": str(now.lost),
            "updates": str(now.updates),
            "withheld": str(sum(now.withheld.values())),
            **{f"withheld.{cause.value}": str(count) for cause, count in now.withheld.items()},
            **{f"update_error.{cause.value}": str(count) for cause, count in now.lost_updates.items()},
            "callback_errors": str(now.callback_errors),
            "labels": now.labels,
            **{f"restart.{cause}": str(count) for cause, count in now.restarts.items()},
            **{name: str(count) for name, count in now.notices.items()},
            **_rates(self._diagnoser.oldest, now),
            "latency_p50_ms": _number(now.latency.p50_ms),
            "latency_p99_ms": _number(now.latency.p99_ms),
            "latency_max_ms": _number(now.latency.worst_ms),
            "stamp_latency_p50_ms": _number(now.stamp_latency.p50_ms),
            "stamp_latency_p99_ms": _number(now.stamp_latency.p99_ms),
            "stamp_latency_max_ms": _number(now.stamp_latency.worst_ms),
            "last_error": now.last_error,
            "engine_trouble": now.stuck or now.engine_trouble,
            "qos_trouble": "; ".join(filter(None, [now.image_qos, now.label_qos])),
            **_told(diagnosis.causes, now),
            **facts,
        }
        return status_of(
            diagnosis.level, diagnosis.message, values, name=self._name, hardware_id=self._hardware_id
        )


def _told(causes: tuple[Cause, ...], now: Snapshot) -> dict[str, str]:
    """The causes as values: names, and for each how often, since when, and how long ago the last time."""
    words = {}
    for cause in causes:
        evidence = cause.evidence
        stamp = "" if evidence.stamp_ns is None else f", stamped {evidence.stamp_ns / 1e9:.3f}"
        words[f"cause.{cause.kind.value}"] = (
            f"{evidence.count} counted, {evidence.missing:.1f} labels missing now; for "
            f"{now.seconds - cause.start_s:.1f} s, last {now.seconds - cause.end_s:.1f} s ago{stamp}"
        )
    return {"causes": ", ".join(cause.kind.value for cause in causes), **words}


def _rates(before: Snapshot | None, now: Snapshot) -> dict[str, str]:
    """Per second, over the snapshots kept."""
    before = before or now
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


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"
