"""Proposes, from class names, which classes are each other played backwards."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

# Each line: what is said of an action, and what is said of the same film backwards. Longer phrases win.
_OPPOSITES = """
open / close, shut
pick up, pick, take, fetch, lift, grab, get / put down, put, place, lay down, lay, set down, drop
put on / take off
fasten, buckle / unfasten, unbuckle
enter, get in / exit, leave, get out
insert, plug in, push in / remove, unplug, pull out
into, in / out of, out, from
onto, on / off
to, toward, near, closer to / away from, away
attach, assemble, connect, mount / detach, disassemble, disconnect, dismount
tighten, screw in, screw, wind / loosen, unscrew, unwind
lock, fold, wrap, load, cover / unlock, unfold, unwrap, unload, uncover
stack, zip, roll / unstack, unzip, unroll
switch on, turn on, activate / switch off, turn off, deactivate
push / pull
left / right
forward, ahead / backward
up, upward / down, downward
stand up, rise / sit down
knock over, knock, tip over / place upright, set upright, stand upright
fill / empty
clockwise / counterclockwise, anticlockwise
raise, increase / lower, decrease
arrive, approach / depart
"""


def _stem(word: str) -> str:
    """One form for a verb's forms: opening, opens and open; putting and put."""
    if word.endswith("ing") and len(word) > 5:
        word = word[:-3]
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    if len(word) > 2 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _words(label: str) -> list[str]:
    """The words of opening_bottle, PickUpDrill or "lay down leg"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)
    return [_stem(word) for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def _phrases() -> dict[tuple[str, ...], tuple[int, int]]:
    """Phrase to (line of `_OPPOSITES`, side)."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for number, line in enumerate(_OPPOSITES.strip().splitlines()):
        for side, phrases in enumerate(line.split("/")):
            for phrase in phrases.split(","):
                found.setdefault(tuple(_words(phrase)), (number, side))
    return found


_PHRASES = _phrases()
_LONGEST = max(map(len, _PHRASES))


def propose_pairs(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of labels that say the opposite in every word that has an opposite, and else the same.

    It knows some thirty opposites (open and close, pick up and put down, forward and backward ...). What it
    proposes is for a person to look at; a label that could have two partners gets none.

    Example:
        >>> propose_pairs(["take_from_drawer", "put_into_drawer", "wave"])
        [('take_from_drawer', 'put_into_drawer')]
    """
    by_signature: dict[tuple[tuple[str, ...], tuple[int, ...]], list[str]] = defaultdict(list)
    signatures = {label: _signature(label) for label in labels}
    for label, signature in signatures.items():
        by_signature[signature].append(label)
    pairs = []
    for label in labels:
        words, sides = signatures[label]
        partners = by_signature.get((words, tuple(1 - side for side in sides)), [])
        rivals = by_signature[words, sides]
        if sides and len(partners) == 1 and len(rivals) == 1 and (partners[0], label) not in pairs:
            pairs.append((label, partners[0]))
    return pairs


def _signature(label: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """A label's words with opposites replaced by their line's number, and the side of each."""
    words, kept, sides = _words(label), [], []
    position = 0
    while position < len(words):
        for length in range(min(_LONGEST, len(words) - position), 0, -1):
            found = _PHRASES.get(tuple(words[position : position + length]))
            if found is not None:
                kept.append(f"<{found[0]}>")
                sides.append(found[1])
                position += length
                break
        else:
            kept.append(words[position])
            position += 1
    return tuple(kept), tuple(sides)
