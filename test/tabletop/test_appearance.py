"""No split shows what another one has: bands of hues and camera angles, and textures."""

from __future__ import annotations

from itertools import combinations

import pytest

from step_ros.tabletop.appearance import AZIMUTH, ELEVATION, HUES, SPLITS, TEXTURES

Bands = tuple[tuple[float, float], ...]


@pytest.mark.parametrize("ranges", [HUES, AZIMUTH, ELEVATION], ids=["hues", "azimuth", "elevation"])
def test_bands_of_the_splits_do_not_overlap(ranges: dict[str, Bands]) -> None:
    bands = sorted(band for split in SPLITS for band in ranges[split])
    assert all(low < high for low, high in bands)
    assert all(before[1] <= after[0] for before, after in zip(bands, bands[1:], strict=False))


def test_patterns_of_the_splits_differ() -> None:
    for one, other in combinations(SPLITS, 2):
        assert set(TEXTURES[one]) & set(TEXTURES[other]) <= {"flat"}
