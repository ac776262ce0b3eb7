"""Proposes, from class names, which classes are each other played backwards."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

# Each line: what is said of an action, and what is said of the same film backwards. Longer phrases win.
_OPPOSITES = """
open / close, shut
pick up, pick, take, fetch, lift, grab, get / put down, put, place, lay down, lay, set down, drop
put on / take off
fasten / unfasten
buckle / unbuckle
enter, get in / exit, leave, get out
insert, plug in, push in / remove, unplug, pull out
into, in / out of, out, from
onto, on / off
toward, near, closer to / away from, away
attach / detach
assemble / disassemble
connect / disconnect
mount / dismount
tighten / loosen
screw in, screw / unscrew
wind / unwind
lock / unlock
fold / unfold
wrap / unwrap
load / unload
cover / uncover
hang, hang up / unhang
stack / unstack
zip / unzip
roll / unroll
tie / untie
pack / unpack
switch on, turn on / switch off, turn off
activate / deactivate
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
    """One form for a verb's forms: opening, opens and open; putting and put; a number is no verb."""
    if any(character.isdigit() for character in word):
        return word
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
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def _phrases() -> dict[tuple[str, ...], tuple[int, int]]:
    """Phrase to (line of `_OPPOSITES`, side)."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for number, line in enumerate(_OPPOSITES.strip().splitlines()):
        for side, phrases in enumerate(line.split("/")):
            for phrase in phrases.split(","):
                found.setdefault(tuple(map(_stem, _words(phrase))), (number, side))
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
    position = {label: i for i, label in enumerate(labels)}
    pairs = []
    for label in labels:
        words, sides = signatures[label]
        partners = by_signature.get((words, tuple(1 - side for side in sides)), [])
        rivals = by_signature[words, sides]
        if sides and len(partners) == 1 and len(rivals) == 1 and position[label] < position[partners[0]]:
            pairs.append((label, partners[0]))
    return pairs


def opposites(first: str, second: str) -> list[tuple[str, str]]:
    """Why two labels are a pair: the phrases of the first, each with its opposite in the second."""
    said = ([phrase for phrase, found in _split(label) if found is not None] for label in (first, second))
    return list(zip(*said, strict=False))


def _signature(label: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """A label's words with opposites replaced by their line's number, and the side of each."""
    kept, sides = [], []
    for said, found in _split(label):
        kept.append(said if found is None else f"<{found[0]}>")
        sides += [] if found is None else [found[1]]
    return tuple(kept), tuple(sides)


def _split(label: str) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """What a label says, phrase by phrase, and where the phrase is in `_OPPOSITES`."""
    words = _words(label)
    stems, position = tuple(map(_stem, words)), 0
    while position < len(words):
        lengths = range(min(_LONGEST, len(words) - position), 0, -1)
        length = next((n for n in lengths if stems[position : position + n] in _PHRASES), 1)
        found = _PHRASES.get(stems[position : position + length])
        part = (stems if found is None else words)[position : position + length]
        yield " ".join(part), found
        position += length
