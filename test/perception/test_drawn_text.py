"""Text is drawn as it is written, by OpenCV where it can and by outlines of our own where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from step_ros.perception import drawn_text
from step_ros.perception.drawn_text import CAPITAL_HEIGHT, put_text, text_width


@pytest.fixture(params=["as OpenCV has it", "as OpenCV 4 has it"])
def which(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "as OpenCV 4 has it":
        monkeypatch.setattr(drawn_text, "_HAS_OUTLINES", False)


def drawn(text: str, scale: float = 1.0) -> np.ndarray:
    picture = np.zeros((60, 400, 3), dtype=np.uint8)
    put_text(picture, text, (5, 40), scale, (255, 255, 255), 1)
    return picture


@pytest.mark.parametrize("text", ["öffnen", "открыть", "άνοιγμα"])
def test_letters_beyond_ascii_are_no_question_marks(which: None, text: str) -> None:
    picture = drawn(text)
    assert picture.any()
    for marks in ("".join(letter if letter.isascii() else sign for letter in text) for sign in ("?", "??")):
        assert (picture != drawn(marks)).any()
    assert len({drawn(letter).tobytes() for letter in set(text)}) == len(set(text)), "letters look alike"


@pytest.mark.parametrize("text", ["open drawer", "Öffnen"])
@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_it_is_as_large_as_is_said(which: None, text: str, scale: float) -> None:
    picture = drawn(text, scale).any(axis=2)
    right = int(np.flatnonzero(picture.any(axis=0))[-1])
    assert right == pytest.approx(5 + text_width(text, scale, 1), abs=6)
    capital = np.flatnonzero(drawn("I", scale).any(axis=(1, 2)))
    assert len(capital) == pytest.approx(CAPITAL_HEIGHT * scale, abs=5)
