"""What a window's labels become when it runs backwards."""

from __future__ import annotations

from step_ros.training.windows import Window, partners, reversed_labels, with_backwards


def test_labels_without_partner_stay() -> None:
    partner = partners({"verb": [("open", "close")]})
    assert reversed_labels({"verb": "open", "object": "box"}, partner) == {"verb": "close", "object": "box"}
    assert reversed_labels({"verb": "wave"}, partner) == {"verb": "wave"}


def test_each_window_also_comes_backwards() -> None:
    window = Window("video", "clip.0", 0, {"verb": "open"})
    forwards, backwards = with_backwards([window], partners({"verb": [("open", "close")]}))
    assert forwards == window
    assert backwards == Window("video", "clip.0", 0, {"verb": "close"}, backwards=True)
