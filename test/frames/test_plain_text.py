"""What may be a label: letters of every script, and nothing that is not seen."""

from __future__ import annotations

import pytest

from step_ros.frames.plain_text import unprintable


@pytest.mark.parametrize(
    "text", ["", "open door", "öffnen", "開ける", "افتح الباب", "$x^2$", "=1+1", "👋🏽", "1 – 2"]
)
def test_plain_texts(text: str) -> None:
    assert unprintable(text) == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("open\0", "control character U+0000"),
        ("open\nshut", "control character U+000A"),
        ("open\x9b31m", "control character U+009B"),
        ("open\u2028", "control character U+2028"),
        ("open\ud800", "control character U+D800"),
        ("open\u202e", "direction mark U+202E"),
        ("\u2066open\u2069", "direction mark U+2066"),
        ("\u200fopen", "direction mark U+200F"),
    ],
)
def test_what_is_not_seen_is_named(text: str, named: str) -> None:
    assert unprintable(text) == f"the {named}"
