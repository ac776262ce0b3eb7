"""Proposes, from class names, which classes are each other played backwards.

A wrong pair trains backwards, and a missing one can be added by hand: what is not certain is not proposed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

# In each line: what is said of an action, and what is said of the same film backwards. Longer phrases win.
_VERBS = """
open / close, shut
pick up, pick, take, fetch, lift, grab, get / put down, put, place, lay down, lay, set down
put on / take off
fasten / unfasten
buckle / unbuckle
button / unbutton
enter, get in / exit, leave, get out
insert, plug in, push in / remove, unplug, pull out
attach / detach
assemble / disassemble
connect / disconnect
mount / dismount
tighten / loosen
screw in, screw / unscrew
wind / unwind
lock / unlock
latch / unlatch
hook / unhook
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
stand up, rise / sit down
knock over, knock, tip over / place upright, set upright, stand upright
raise, increase / lower, decrease
arrive, approach / depart
"""
# These turn with one of the verbs, or say the way of a movement.
_PATHS = """
into, in / out of, out, from
onto, on / off of, off
toward, near, closer to / away from, away
"""
# These say the way of a movement, and else where things are: the left drawer, a thumb up, the lamp is on.
_BEARINGS = """
left / right
forward, ahead / backward
up, upward / down, downward
clockwise / counterclockwise, anticlockwise
"""
_MOVEMENTS = """
move go walk run step turn rotate spin twist roll slide swipe shift drag swing tilt lean bend climb fly drive
steer pan zoom scroll look carry transfer travel push pull
"""
# What does not run backwards, or does not happen.
_ONE_WAY = """
pour spill drop throw toss tear break cut pretend fail try attempt almost without not no never
"""
_ARTICLES = {"a", "an", "the"}
_CONJUNCTIONS = {"and", "then"}
_AFTER_A_BEARING = {"to", "while", "with", "from", "using", "by", "in", "on", "at", "and"}
_AFTER_A_ROUTE = {"with", "while", "using", "by"}


class _Kind(Enum):
    VERB = _VERBS
    PATH = _PATHS
    BEARING = _BEARINGS


@dataclass(frozen=True)
class _Part:
    """A phrase of a label."""

    said: str
    meant: str
    """The phrase; of one that has an opposite, what both have in common."""
    side: int | None = None
    """Of one that has an opposite: which of the two it is."""


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
    """The words of opening_bottle, PickUpDrill or "lay down the leg", without articles."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word and word not in _ARTICLES]


def _stems(text: str) -> tuple[str, ...]:
    return tuple(map(_stem, _words(text)))


def _phrases() -> dict[tuple[str, ...], tuple[_Kind, str, int]]:
    """By the stems of a phrase: its kind, its line, and the side that it is on."""
    found: dict[tuple[str, ...], tuple[_Kind, str, int]] = {}
    for kind in _Kind:
        for line in kind.value.strip().splitlines():
            for side, phrases in enumerate(line.split("/")):
                for phrase in phrases.split(","):
                    found.setdefault(_stems(phrase), (kind, line, side))
    return found


_PHRASES = _phrases()
_LONGEST = max(map(len, _PHRASES))
_MOVES = frozenset(_stems(_MOVEMENTS))
_STAYS = frozenset(_stems(_ONE_WAY))


def propose_pairs(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of labels that say the opposite where they say which way things go, and else the same.

    It knows some forty opposites (open and close, pick up and put down, forward and backward ...), and that
    what goes from here to there goes backwards from there to here. A label of two actions, of what does not
    run backwards (pouring, dropping), or with two possible partners gets none. What is proposed is for a
    person to look at.

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
        meant, sides = signatures[label]
        partners = by_signature.get((meant, tuple(1 - side for side in sides)), [])
        rivals = by_signature[meant, sides]
        if sides and len(partners) == 1 and len(rivals) == 1 and position[label] < position[partners[0]]:
            pairs.append((label, partners[0]))
    return pairs


def opposites(first: str, second: str) -> list[tuple[str, str]]:
    """Why two labels are a pair: the phrases of the first, each with its opposite in the second."""
    said = ([part.said for part in _parts(label) if part.side is not None] for label in (first, second))
    return list(zip(*said, strict=False))


def _signature(label: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """What a label means but for the way things go, and which way they go."""
    parts = _parts(label)
    return tuple(part.meant for part in parts), tuple(part.side for part in parts if part.side is not None)


def _parts(label: str) -> list[_Part]:
    """What a label says, phrase by phrase."""
    words = _words(label)
    stems = tuple(map(_stem, words))
    route = _route(words, stems)
    phrases = list(_phrases_of(stems, route))
    verbs = [(start, end) for start, end in phrases if _kind(stems[start:end]) is _Kind.VERB]
    in_turn = any(words[start - 1] in _CONJUNCTIONS for start, _ in verbs[1:])
    if in_turn or _STAYS.intersection(stems):
        return [_Part(word, word) for word in words]
    verb = verbs[0] if verbs else (0, 0)
    verb_moves = verb[1] - verb[0] == 1 and stems[verb[0]] in _MOVES
    moves = verb_moves or bool(_MOVES.intersection(stems[: verb[0]] + stems[verb[1] :]))
    parts = []
    for start, end in phrases:
        if route is not None and start == route.start:
            parts.append(route.part)
            continue
        said = " ".join(words[start:end])
        kind, line, side = _PHRASES.get(stems[start:end], (None, said, 0))
        turns = {
            _Kind.VERB: (start, end) == verb and (route is None or verb_moves),
            _Kind.PATH: moves or verb[1] > 0,
            _Kind.BEARING: moves and _is_no_adjective(words, stems, end),
            None: False,
        }[kind]
        parts.append(_Part(said, line, side) if turns else _Part(said, said))
    return parts


def _kind(phrase: tuple[str, ...]) -> _Kind | None:
    return _PHRASES[phrase][0] if phrase in _PHRASES else None


def _is_no_adjective(words: Sequence[str], stems: tuple[str, ...], end: int) -> bool:
    """Whether the bearing before `end` is a way to go: not that of the left drawer."""
    return end == len(words) or words[end] in _AFTER_A_BEARING or _kind(stems[end : end + 1]) is _Kind.BEARING


@dataclass(frozen=True)
class _Route:
    """From here to there: which words of a label say so."""

    start: int
    end: int
    part: _Part


def _route(words: Sequence[str], stems: tuple[str, ...]) -> _Route | None:
    """The first `from here to there`, or `left to right` without `from`, of a label."""
    for to in (i for i, word in enumerate(words) if word == "to"):
        if "from" in words[:to]:
            start = words.index("from")
            here = start + 1
            end = next((i for i in range(to + 1, len(words)) if words[i] in _AFTER_A_ROUTE), len(words))
        else:
            start, here, end = to - 1, to - 1, to + 2
            if not all(_kind(stems[i : i + 1]) is _Kind.BEARING for i in (to - 1, to + 1)):
                continue
        ends = [" ".join(words[here:to]), " ".join(words[to + 1 : end])]
        if all(ends) and ends[0] != ends[1]:
            between = sorted(ends)
            part = _Part(" ".join(words[start:end]), " and ".join(between), between.index(ends[0]))
            return _Route(start, end, part)
    return None


def _phrases_of(stems: tuple[str, ...], route: _Route | None) -> Iterator[tuple[int, int]]:
    """Where each phrase begins and ends: the route, the longest that has an opposite, or a word."""
    start = 0
    while start < len(stems):
        if route is not None and start == route.start:
            end = route.end
        else:
            before = len(stems) if route is None or start > route.start else route.start
            lengths = range(min(_LONGEST, before - start), 0, -1)
            end = start + next((n for n in lengths if stems[start : start + n] in _PHRASES), 1)
        yield start, end
        start = end
