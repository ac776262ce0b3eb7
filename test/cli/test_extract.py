"""What `step-ros extract` and `step-ros verify` say of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def test_what_is_wrong_is_said_and_made_again(
    data: Path, run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    store = data / "store"

    def said(command: str) -> str:
        """What a command prints, on one line."""
        capsys.readouterr()
        if command == "verify":
            run("verify", "--store", store)
        else:
            run("extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 2,
                "--out", store, "--engine", "eager")  # fmt: skip
        return " ".join(capsys.readouterr().out.split())

    assert "12 clips of 12 videos" in said("extract")
    assert "encoded again" not in said("extract")
    assert said("verify").endswith("is whole")

    video = data / "scene0" / "0.mp4"
    video.write_bytes((data / "scene0" / "1.mp4").read_bytes())
    with pytest.raises(SystemExit, match="1"):
        said("verify")
    assert "is not what" in capsys.readouterr().out
    again = said("extract")
    assert again.count("encoded again") == 1 and "is of another video" in again and "scene0/0.mp4" in again

    tokens = store / "tokens" / "scene2__3.mp4.safetensors"
    tokens.write_bytes(tokens.read_bytes()[:-1])
    with pytest.raises(SystemExit, match="1"):
        said("verify")
    assert "is damaged" in capsys.readouterr().out
    assert "encoded again" in said("extract")

    video.rename(data / "elsewhere.mp4")
    assert "no longer where they were: 1 of 12 videos" in said("verify")
