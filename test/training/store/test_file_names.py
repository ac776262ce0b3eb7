"""No two videos have one file, and a video keeps its plain name where it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.training.store.file_names import file_names

ROOT = Path("/data")


@pytest.mark.parametrize(
    ("videos", "names"),
    [
        (["a.mp4", "scene/b.avi"], ["a", "b"]),
        (["kitchen/take1.mp4", "garage/take1.mp4"], ["kitchen__take1.mp4", "garage__take1.mp4"]),
        (["a.mp4", "a.avi"], ["a.mp4", "a.avi"]),
        (["A.mp4", "b/a.mp4"], ["A.mp4", "b__a.mp4"]),  # one file where case does not count
        (["caf\u00e9.mp4", "b/cafe\u0301.mp4"], ["caf\u00e9.mp4", "b__cafe\u0301.mp4"]),
        (["p/x.avi", "q/x.avi", "p__x.avi.avi"], [None, "q__x.avi", "p__x.avi.avi"]),
        (["p/x.avi", "p__x.avi"], ["x", "p__x"]),
        ([f"{'d' * 199}/x.mp4", "b/x.mp4", "\u00e9" * 120 + ".mp4"], [None, "b__x.mp4", None]),
        ([".mp4", "...mp4", "a b.mp4"], [".mp4", "..", "a b"]),
    ],
)
def test_names(videos: list[str], names: list[str | None]) -> None:
    paths = [ROOT / video for video in videos]
    found = file_names(paths, ROOT)
    assert list(found) == paths
    assert len({name.casefold() for name in found.values()}) == len(videos)
    for path, name in zip(paths, names, strict=True):
        assert "/" not in found[path] and len(found[path].encode()) <= 200
        if name is not None:
            assert found[path] == name
        else:
            assert found[path].startswith(path.stem[:40] + "-")
    assert file_names(paths[::-1], ROOT) == found


def test_names_are_the_same_wherever_the_data_set_lies() -> None:
    videos = ["p/x.avi", "q/x.avi", "p__x.avi.avi"]
    here, there = (
        file_names([root / video for video in videos], root) for root in (ROOT, Path("/elsewhere"))
    )
    assert list(here.values()) == list(there.values())
