"""Files that hold one film are known by what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.training.datasets import same_film
from step_ros.training.datasets.same_film import same_films


def test_copies_links_and_folders_are_the_first_that_holds_the_same(tmp_path: Path) -> None:
    for name, content in (
        ("a", "film"),
        ("b", "muet"),
        ("c", "film"),
        ("d", "longer"),
        ("bag/x.mcap", "film"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "link").symlink_to("d")
    a, b, c, d, link, bag = (tmp_path / name for name in ("a", "b", "c", "d", "link", "bag"))
    found = same_films([a, b, c, d, link, bag, a])
    assert found == {a: a, b: b, c: a, d: d, link: d, bag: bag}


def test_files_of_other_sizes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(same_film, "_content", lambda video: read.append(video) or video)
    videos = [tmp_path / f"{size}.mp4" for size in range(5)]
    for size, video in enumerate(videos):
        video.write_bytes(bytes(size))
    assert same_films(videos) == {video: video for video in videos}
    assert read == []
