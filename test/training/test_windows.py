"""What a window's labels become when it runs backwards."""

from __future__ import annotations

from step_ros.training.datasets import TaskLabels
from step_ros.training.windows import Teaching, Window, reversed_labels, with_backwards

PARTNER = Teaching({"verb": TaskLabels(["open", "close"], [("open", "close")])}).partner


def test_labels_without_partner_stay() -> None:
    assert reversed_labels({"verb": "open", "object": "box"}, PARTNER) == {"verb": "close", "object": "box"}
    assert reversed_labels({"verb": "wave"}, PARTNER) == {"verb": "wave"}


def test_each_window_also_comes_backwards() -> None:
    window = Window("video", "clip.0", 0, {"verb": "open"})
    forwards, backwards = with_backwards([window], PARTNER)
    assert forwards == window
    assert backwards == Window("video", "clip.0", 0, {"verb": "close"}, backwards=True)
