"""Inputs that are nearly right: what was valid once, with some of it changed."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def cases(usually: int) -> settings:
    """So many examples, or FUZZ_CASES of them; nothing is remembered between runs."""
    return settings(
        max_examples=int(os.environ.get("FUZZ_CASES", usually)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of the seeds with bytes changed, cut out, repeated or put in, or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["set", "cut", "insert", "repeat", "end", "extreme"]))
        if kind == "set" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=12))
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 40))] * draw(st.integers(1, 4))
        elif kind == "end":
            del data[at:]
        elif kind == "extreme":
            data[at : at + 4] = draw(st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]))
    return bytes(data)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-3, 40)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../../etc/passwd", "/", "nan", "a/b", "hf/owner/name", "\0"])
)

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@st.composite
def changed(draw: st.DrawFn, content: dict[str, Any]) -> Any:
    """JSON content with some of its fields, at any depth, changed, removed or added."""
    content = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(0, 4))):
        place: Any = content
        while True:
            inner = [value for value in place.values() if isinstance(value, dict) and value]
            if not inner or draw(st.booleans()):
                break
            place = draw(st.sampled_from(inner))
        kind = draw(st.sampled_from(["change", "remove", "add"]))
        if kind == "add" or not place:
            place[draw(st.text(max_size=10))] = draw(VALUES)
        elif kind == "change":
            place[draw(st.sampled_from(sorted(place)))] = draw(VALUES)
        else:
            del place[draw(st.sampled_from(sorted(place)))]
    return content
