"""What diagnostics say about given situations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from step_ros.perception.ledger import (
    ByDesign,
    Clock,
    Decoding,
    Fate,
    Inference,
    Ledger,
    LostUpdate,
    Overload,
    Used,
)
from step_ros.ros.node.diagnostics import Diagnostics, Snapshot

START = Snapshot(
    seconds=0.0,
    frames=Ledger(),
    lost=0,
    updates=0,
    lost_updates={LostUpdate.HEAD_ERROR: 0},
    notices={"zero_stamp": 0, "incompatible_qos": 0},
    last_image_age=0.01,
    publishers=1,
    latency_ms=(math.nan, math.nan),
    stamp_latency_ms=(math.nan, math.nan),
    last_error="",
    labels="fresh",
    stale_reason="",
    misdated="",
    engine_trouble="",
    qos_trouble="",
)


def later(fates: dict[Fate, int] | None = None, *, received: int = 30, **changes: Any) -> Snapshot:
    """One good second after the start, but for the changes."""
    counts = {Used.ENCODED: 10, ByDesign.SKIPPED_BY_SAMPLING: 20, **(fates or {})}
    usual = {"seconds": 1.0, "updates": 10, "latency_ms": (20.0, 30.0), "stamp_latency_ms": (50.0, 60.0)}
    return replace(START, frames=Ledger(received, counts), **{**usual, **changes})


def status_of(*snapshots: Snapshot) -> DiagnosticStatus:
    diagnostics = Diagnostics("robot/perception: pipeline", "cpu", "/camera/image_raw")
    for snapshot in snapshots:
        status = diagnostics.status(
            snapshot, {"engine": "eager"}, image_timeout=2.0, latency_warning_ms=200.0
        )
    return status


OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
STALE: dict[str, Any] = {"labels": "stale", "stale_reason": "no label for 2 s"}


@pytest.mark.parametrize(
    ("snapshot", "level", "words"),
    [
        (later(), OK, ["labels are going out"]),
        (later(updates=0, labels="waiting"), OK, ["filling the first window"]),
        (later(last_image_age=3.0, **STALE), ERROR, ["/camera/image_raw", "3.0 s", "1 publisher"]),
        (later(last_image_age=3.0, publishers=0, **STALE), ERROR, ["no publisher", "remap"]),
        (
            later(last_image_age=3.0, qos_trouble="RELIABILITY differs", **STALE),
            ERROR,
            ["3.0 s", "RELIABILITY differs"],
        ),
        (later(misdated="images are 9 s old", **STALE), ERROR, ["images are 9 s old"]),
        (later(engine_trouble="openvino is given up", **STALE), ERROR, ["openvino is given up"]),
        (later(engine_trouble="openvino is given up"), WARN, ["openvino is given up"]),
        (later(**STALE), ERROR, ["no labels go out", "no label for 2 s", "gaps"]),
        (
            later(qos_trouble="RELIABILITY differs", notices={"zero_stamp": 0, "incompatible_qos": 1}),
            WARN,
            ["RELIABILITY differs"],
        ),
        (later({Overload.BEFORE_ENCODING: 4, Used.ENCODED: 6}), WARN, ["4 overload"]),
        (later({Clock.LATE_FRAME: 2, Used.ENCODED: 8}), WARN, ["frames dropped: 2 late_frame"]),
        (
            later({Decoding.TRUNCATED_DATA: 5}, received=5, last_error="too short"),
            ERROR,
            ["no frame is usable", "5 truncated_data", "too short"],
        ),
        (
            later({Inference.INFERENCE_ERROR: 1}, last_error="out of memory"),
            ERROR,
            ["inference", "out of memory"],
        ),
        (later(lost_updates={LostUpdate.HEAD_ERROR: 2}, last_error="boom"), ERROR, ["head_error", "boom"]),
        (
            later(lost_updates={LostUpdate.NOT_FINITE: 1}, last_error="the head of door"),
            ERROR,
            ["not_finite", "door"],
        ),
        (later(lost=90), WARN, ["25%", "fastdds_large_images.xml", "compressed"]),
        (later(lost=1), OK, []),
        (later(stamp_latency_ms=(150.0, 350.0)), WARN, ["late", "350 ms", "200 ms"]),
        (later(stamp_latency_ms=(-40.0, -30.0)), WARN, ["40 ms ahead", "synchronise"]),
        (later(stamp_latency_ms=(9e10, 9e10)), WARN, ["use_sim_time"]),
    ],
    ids=[
        "all is well",
        "the first window is filling",
        "a silent camera",
        "no camera",
        "a camera that is not heard",
        "images of long ago",
        "an engine that is being replaced, and nothing runs meanwhile",
        "an engine that is being replaced, and another runs meanwhile",
        "gaps",
        "a subscriber that does not hear",
        "overload",
        "the camera's stamps go backwards",
        "only bad images",
        "the backbone fails",
        "a head fails",
        "a head gives NaN",
        "most images are lost",
        "one image is lost",
        "late labels",
        "the camera's clock is ahead",
        "an old recording",
    ],
)
def test_level_and_message(snapshot: Snapshot, level: bytes, words: list[str]) -> None:
    status = status_of(START, snapshot)
    assert status.level == level
    for word in words:
        assert word in status.message


def test_trouble_that_is_over_is_forgotten_but_stays_counted() -> None:
    bad = later({Overload.BEFORE_ENCODING: 4, Used.ENCODED: 6})
    calm = [
        later(
            {Overload.BEFORE_ENCODING: 4, Used.ENCODED: 20 * second - 4},
            received=20 * second + 20,
            seconds=float(second),
        )
        for second in range(2, 10)
    ]
    status = status_of(START, bad, *calm)
    assert status.level == OK
    assert {pair.key: pair.value for pair in status.values}["dropped.overload"] == "4"


def test_counts_rates_and_facts_are_values() -> None:
    status = status_of(START, later(lost=30))
    values = {pair.key: pair.value for pair in status.values}
    assert values["received"] == "30" and values["lost_before_receipt"] == "30"
    assert values["receive_rate_hz"] == "30.0" and values["publish_rate_hz"] == "60.0"
    assert values["update_rate_hz"] == "10.0"
    assert values["latency_p50_ms"] == "20.0" and values["stamp_latency_p99_ms"] == "60.0"
    assert values["engine"] == "eager" and values["zero_stamp"] == "0"
    assert (status.name, status.hardware_id) == ("robot/perception: pipeline", "cpu")


def test_what_is_not_known_yet_is_empty() -> None:
    values = {pair.key: pair.value for pair in status_of(START).values}
    assert values["latency_p50_ms"] == "" and values["receive_rate_hz"] == ""
