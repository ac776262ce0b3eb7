"""Latencies of late."""

from __future__ import annotations

import math

from step_ros.perception.latency import RECENT_SECONDS, Latencies


def test_what_is_longer_ago_is_forgotten() -> None:
    latencies = Latencies()
    for second in range(5):
        latencies.add(900.0, float(second))
    for second in range(5, 30):
        latencies.add(50.0, float(second))
    now = latencies.now(29.0)
    assert (now.count, now.p50_ms, now.p99_ms, now.worst_ms) == (RECENT_SECONDS + 1, 50.0, 50.0, 50.0)


def test_the_worst_is_told_though_percentiles_pass_over_it() -> None:
    latencies = Latencies()
    for index in range(200):
        latencies.add(900.0 if index == 50 else 50.0, index / 30)
    now = latencies.now(200 / 30)
    assert (now.p99_ms, now.worst_ms) == (50.0, 900.0)


def test_without_any_there_are_no_percentiles() -> None:
    latencies = Latencies()
    latencies.add(50.0, 0.0)
    assert latencies.now(0.0).count == 1
    assert math.isnan(latencies.now(RECENT_SECONDS + 0.1).p99_ms)
    latencies.add(50.0, 20.0)
    latencies.clear()
    assert latencies.now(20.0).count == 0
