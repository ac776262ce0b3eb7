"""How much is tried: a few hundred cases with every other test, FUZZ_CASES of them with `make fuzz`."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

MOST_GROWTH_MB = 512
"""Memory that a target may take at its peak, beyond what it had: far below what one bad size asks for."""

MB_A_CASE = 0.015
"""What hypothesis remembers of each case, at most."""


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """Fails a target that takes memory as its input tells it to."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    allowed_mb = MOST_GROWTH_MB + MB_A_CASE * int(os.environ.get("FUZZ_CASES", 0))
    assert growth_mb < allowed_mb, f"the process grew by {growth_mb:.0f} MB"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long form takes as long as it takes."""
    if "FUZZ_CASES" in os.environ:
        for item in items:
            if "fuzz" in item.path.parts:
                item.add_marker(pytest.mark.timeout(4 * 3600))
