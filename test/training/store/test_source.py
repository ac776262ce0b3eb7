"""A video is known by what it holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from step_ros.training.datasets import ClipsError
from step_ros.training.store.source import Source


def test_a_file_is_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc")
    source = Source.of(path)
    assert (source.path, source.size, source.mtime_ns) == (str(path), 3, path.stat().st_mtime_ns)
    path.touch()
    assert source.is_same()
    path.write_bytes(b"abd")
    os.utime(path, ns=(0, source.mtime_ns))
    assert not source.is_same()
    source.check_untouched()  # by size and time it is


@pytest.mark.parametrize("change", ["a file renamed", "a file moved to another's end", "a file more"])
def test_a_bag_s_folder_is_all_that_it_holds(change: str, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").write_text("ab")
    (bag / "bag_0.mcap").write_text("cd")
    source = Source.of(bag)
    assert source.size == 4 and source.is_same()
    if change == "a file renamed":
        (bag / "bag_0.mcap").rename(bag / "bag_1.mcap")
    elif change == "a file more":
        (bag / "bag_1.mcap").touch()
    else:
        (bag / "bag_0.mcap").write_text("cda")
        (bag / "metadata.yaml").write_text("b")
    assert not source.is_same()


def test_who_writes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc")
    source = Source.of(path)
    for content in (b"abcd", b"abc"):
        path.write_bytes(content)
        os.utime(path, ns=(0, 1))
        with pytest.raises(ClipsError, match=r"a\.mp4 changed while it was encoded"):
            source.check_untouched()
    path.unlink()
    assert not source.is_there() and not source.is_same()
    with pytest.raises(ClipsError, match=r"a\.mp4 cannot be read"):
        Source.of(path)
