"""What a status carries besides its message."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from step_ros.bounded_text import MOST_TEXT
from step_ros.perception.latency import Latency
from step_ros.perception.ledger import ByDesign, Ledger, Overload, Used
from step_ros.ros.node.causes import Level, Limits
from step_ros.ros.node.diagnostics import Diagnostics, status_of
from step_ros.ros.node.snapshot import Snapshot

from .test_diagnoser import GOOD

LIMITS = Limits(image_timeout_s=2.0, latency_warning_ms=200.0)


def later(**changes: Any) -> Snapshot:
    """One good second after the start, but for the changes."""
    frames = Ledger(30, {Used.ENCODED: 10, ByDesign.SKIPPED_BY_SAMPLING: 20})
    return replace(GOOD, **{"seconds": 1.0, "updates": 10, "frames": frames, **changes})


def said(*snapshots: Snapshot) -> DiagnosticStatus:
    diagnostics = Diagnostics("robot/perception: pipeline", "cpu", "/camera/image_raw", 1.0)
    for snapshot in snapshots:
        status = diagnostics.status(snapshot, {"engine": "eager"}, LIMITS)
    return status


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


@pytest.mark.parametrize(
    ("level", "number"),
    [
        (Level.OK, DiagnosticStatus.OK),
        (Level.WARN, DiagnosticStatus.WARN),
        (Level.ERROR, DiagnosticStatus.ERROR),
    ],
)
def test_levels_are_those_of_the_message(level: Level, number: bytes) -> None:
    assert status_of(level, "", {}, name="", hardware_id="").level == number


def test_counts_rates_and_facts_are_values() -> None:
    status = said(GOOD, later(lost=30))
    values = values_of(status)
    assert values["received"] == "30" and values["lost_before_receipt"] == "30"
    assert values["receive_rate_hz"] == "30.0" and values["publish_rate_hz"] == "60.0"
    assert values["update_rate_hz"] == "10.0"
    assert values["latency_p50_ms"] == "30.0" and values["stamp_latency_p99_ms"] == "60.0"
    assert values["latency_max_ms"] == "30.0" and values["stamp_latency_max_ms"] == "60.0"
    assert values["engine"] == "eager" and values["withheld"] == "0"
    assert (status.name, status.hardware_id) == ("robot/perception: pipeline", "cpu")


def test_what_is_not_known_yet_is_empty() -> None:
    values = values_of(said(replace(GOOD, latency=Latency(0, math.nan, math.nan, math.nan))))
    assert values["latency_p50_ms"] == "" and values["receive_rate_hz"] == ""
    assert values["causes"] == ""


def test_causes_are_values_with_their_evidence() -> None:
    dropped = Ledger(30, {Overload.BEFORE_ENCODING: 10, ByDesign.SKIPPED_BY_SAMPLING: 20})
    values = values_of(said(GOOD, later(frames=dropped)))
    assert values["causes"] == "overload"
    assert values["cause.overload"] == ("10 counted, 10.0 labels missing now; for 1.0 s, last 0.0 s ago")


def test_no_text_makes_a_status_large() -> None:
    status = said(GOOD, later(image_error="x" * 2_000_000, label_qos="y" * 2_000_000))
    assert len(status.message) < MOST_TEXT + 50 and "(2000000 characters)" in status.message
    assert all(len(value) < MOST_TEXT + 50 for value in values_of(status).values())
