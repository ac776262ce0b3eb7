"""Texts that came from elsewhere, cut."""

from __future__ import annotations

from step_ros.bounded_text import bounded


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert bounded("a" * 200_000, 3) == "aaa… (200000 characters)"


def test_a_short_one_is_left_alone() -> None:
    assert bounded("rgb8; jpeg compressed bgr8") == "rgb8; jpeg compressed bgr8"
    assert bounded("abc", 3) == "abc"
