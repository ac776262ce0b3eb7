"""Which labels are one label, written in two ways?"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from step_ros.training.datasets.symmetric_pairs import propose_pairs

_LETTERS_TO_SWAP = 4
"""Letters of a word of which two neighbours may have been swapped; in shorter ones they make another word."""
_LETTERS = 5
"""Letters of a word of which one may be missing or wrong; shorter ones differ by a letter for good reason."""
_LONGEST = 40
"""Letters of a word; what is longer is none."""
_RARE = 0.2
"""A word that is like another one is a slip of the pen if it is so much rarer."""
_SWAPPED = 0.5
"""The same of a word in which two letters have changed places, which seldom makes another one."""
_MANY = 50
"""More words alike than that are a numbering, not slips."""


def same_but_for_case(labels: Sequence[str]) -> list[list[str]]:
    """Groups of labels that differ in case, blanks, hyphens and underscores alone."""
    same: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        same[re.sub(r"[\s_-]+", "", label).casefold()].append(label)
    return [group for group in same.values() if len(group) > 1]


def slips(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Pairs of labels (as it is meant, as it is written) of which one looks like a slip of the pen.

    They differ in one word: by two neighbouring letters that changed places, or, where the word is rare, by
    a letter too few, too many or wrong. Not what else tells things apart on purpose: digits, a plural, short
    words, the first letter, or the opposite.

    Args:
        counts: how many clips each label has.
    """
    words = {label: re.split(r"([\W_]+)", label) for label in counts}
    used: Counter[str] = Counter()
    for label, parts in words.items():
        used.update({part: counts[label] for part in parts})
    but_for_a_word: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for label, parts in words.items():
        for i in range(0, len(parts), 2):
            if parts[i].isalpha() and _LETTERS_TO_SWAP <= len(parts[i]) <= _LONGEST:
                but_for_a_word["".join(parts[:i]), "".join(parts[i + 1 :])][parts[i]] = label
    found = set()
    for label_of in but_for_a_word.values():
        for meant, written in _alike(sorted(label_of, key=lambda word: (-used[word], word))):
            if _is_slip(meant, written, used) and not propose_pairs([label_of[meant], label_of[written]]):
                found.add((label_of[meant], label_of[written]))
    return sorted(found)


def _alike(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of words, in their order, that are the same but for one letter, or two with one too many each."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for word in words if len(words) > 1 else ():
        for variant in {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}:
            neighbours[variant].append(word)
    for alike in neighbours.values():
        if len(alike) <= _MANY:
            yield from itertools.combinations(alike, 2)


def _is_slip(meant: str, written: str, used: Mapping[str, int]) -> bool:
    """Whether the rarer of two words that are alike is the other one misspelt."""
    unlike = (i for i, (a, b) in enumerate(zip(meant, written, strict=False)) if a != b)
    start = next(unlike, min(len(meant), len(written)))
    rest, rival = meant[start:], written[start:]
    if rest[:2] == rival[1::-1] and rest[2:] == rival[2:]:
        return used[written] <= max(_SWAPPED * used[meant], 2)
    one_letter = rest[1:] == rival[1:] or rest[1:] == rival or rest == rival[1:]
    long_enough = max(len(meant), len(written)) >= _LETTERS
    plural = "s" in (rest, rival)
    return one_letter and long_enough and not plural and start > 0 and used[written] <= _RARE * used[meant]
