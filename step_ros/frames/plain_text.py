"""Is a text plain enough to be a label? What nobody sees in it changes what others read, or ends it."""

from __future__ import annotations

import unicodedata

_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks by which a text is shown in another order than it has (Unicode Standard Annex 9)."""


def unprintable(text: str) -> str:
    """What a text holds that no label may, for a message; nothing if it is plain.

    Refused are control characters, NUL and line breaks among them, halves of characters, and marks that turn
    the direction of writing. Letters of whatever script are plain.

    Example:
        >>> unprintable("open" + chr(0))
        'the control character U+0000'
        >>> unprintable("öffnen")
        ''
    """
    if text.isascii() and text.isprintable():  # nearly all, and quickly
        return ""
    for character in text:
        if character in _BIDIRECTIONAL:
            return f"the direction mark U+{ord(character):04X}"
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            return f"the control character U+{ord(character):04X}"
    return ""
