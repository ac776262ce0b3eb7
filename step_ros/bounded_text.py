"""How much of a text that came from elsewhere is repeated?"""

from __future__ import annotations

MOST_CHARACTERS = 200
"""Of a name: an encoding, a format, a frame_id. Honest ones are much shorter."""

MOST_TEXT = 2000
"""Of a sentence or a list: what is wrong, what runs on what."""


def bounded(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text, or its first `most` characters with a word on how long it is: ``"aaa… (200000 characters)"``.

    A message may hold megabytes of text, which nobody's diagnostics, log or labels shall carry.
    """
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
