"""What is doubted of a data set, and what is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.training.datasets import read_dataset
from step_ros.training.datasets.doubts import Severity, classes_by_split, find_doubts


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve films of two seconds, 10 frames a second."""
    folder = tmp_path_factory.mktemp("films")
    for index in range(12):
        writer = cv2.VideoWriter(str(folder / f"{index}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (32, 32))
        for _ in range(20):
            writer.write(np.full((32, 32, 3), index * 20, np.uint8))
        writer.release()
    return folder


def doubts(
    folder: Path, text: str, severity: Severity, window: float | None = None, group: str = ""
) -> list[str]:
    path = folder / "clips.csv"
    path.write_text(text)
    found = find_doubts(read_dataset(path, group=group or None, overlaps=True), window_seconds=window)
    assert [d.severity for d in found] == sorted((d.severity for d in found), key=list(Severity).index)
    return [doubt.sentence for doubt in found if doubt.severity is severity]


def rows(labels: list[str]) -> str:
    return "video,verb\n" + "".join(f"{i % 12}.mp4,{label}\n" for i, label in enumerate(labels))


def test_a_sound_data_set_raises_no_doubt(films: Path) -> None:
    text = rows(["open", "close"] * 6)
    assert doubts(films, text, Severity.ERROR) == doubts(films, text, Severity.DOUBT) == []
    (pair,) = doubts(films, text, Severity.NOTE)
    assert pair == "verb: close <-> open (close and open); each is learned from the other's clips backwards"
    splits, table = classes_by_split(read_dataset(films / "clips.csv", overlaps=True).clips, "verb")
    assert (splits, table) == (["clips"], [["close", "6"], ["open", "6"]])


@pytest.mark.parametrize(
    ("labels", "severity", "sentence"),
    [
        (["open", "Open"] * 6, Severity.ERROR, "in case or blanks alone: 'open' (6), 'Open' (6)"),
        (["pick up", "pick_up"] * 6, Severity.ERROR, "'pick up' (6), 'pick_up' (6)"),
        (["closed"] * 6 + ["opened"] * 5 + ["opnede"], Severity.DOUBT, None),
        (["opened"] * 9 + ["opned"] + ["shut"] * 5, Severity.DOUBT, "is 'opned' (1 clips) meant for"),
        (["drawer1"] * 10 + ["drawer2"] + ["shut"] * 5, Severity.DOUBT, None),
        (["screw it"] * 10 + ["unscrew it"] * 2, Severity.DOUBT, None),
        (["open"] * 12, Severity.ERROR, "training clips show 1 class; a head needs two"),
        (["open"] * 9 + ["close"] * 3, Severity.DOUBT, "fewer than 5 training clips teach close (3)"),
        ([chr(97 + i) * 9 for i in range(12)], Severity.NOTE, "12 classes of 12 clips, as text"),
    ],
)  # fmt: skip
def test_labels(films: Path, labels: list[str], severity: Severity, sentence: str | None) -> None:
    found = [
        s
        for s in doubts(films, rows(labels), severity)
        if "fewer than" not in s or "fewer" in (sentence or "")
    ]
    assert (any(sentence in each for each in found), len(found)) == (True, 1) if sentence else found == []


def test_a_leak_and_a_class_that_is_only_judged(films: Path) -> None:
    text = "video,split,scene,verb\n" + "".join(
        f"{i % 6}.mp4,{'train' if i < 6 else 'test'},kitchen,{'open' if i % 2 else 'close'}\n"
        for i in range(12)
    )
    found = doubts(films, text + "7.mp4,test,hall,pour\n", Severity.DOUBT, group="scene")
    assert any(s.startswith("6 videos are in more than one split: 0.mp4 (test, train), 1.mp4") for s in found)
    assert any("1 group is in more than one split: kitchen (test, train)" in s for s in found)
    assert any("clips are judged of pour, which no training clip shows" in s for s in found)
    assert any("no validation clips: confidence of trained heads stays uncalibrated" in s for s in found)


@pytest.mark.parametrize(
    ("end", "severity", "hint"),
    [(20, Severity.ERROR, "times look like frames"), (2000, Severity.ERROR, "times look like milliseconds"),
     (3.5, Severity.ERROR, "0 to 3.5 s of 2.0 s"), (2.5, Severity.ERROR, None)],
)  # fmt: skip
def test_times_that_are_no_seconds(films: Path, end: float, severity: Severity, hint: str | None) -> None:
    text = "video,start,end,verb\n" + "".join(
        f"{i}.mp4,0,{end},{'open' if i % 2 else 'close'}\n" for i in range(12)
    )
    found = doubts(films, text, severity)
    assert (len(found) == 1 and hint in found[0]) if hint else found == []


def test_clips_shorter_than_a_window(films: Path) -> None:
    text = "video,start,end,verb\n0.mp4,0,0.5,open\n" + "".join(
        f"{i}.mp4,0,2,{'open' if i % 2 else 'close'}\n" for i in range(1, 12)
    )
    assert doubts(films, text, Severity.DOUBT) == []
    (short,) = doubts(films, text, Severity.DOUBT, window=1.5)
    assert short == (
        "1 of 12 clips are shorter than a window (1.5 s), such as clips.csv:2: nothing is judged by them"
    )


def test_a_task_that_can_be_no_topic(films: Path) -> None:
    text = rows(["open", "close"] * 6).replace("verb", "the verb", 1)
    (error,) = doubts(films, text, Severity.ERROR)
    assert error.startswith("the task 'the verb' cannot be part of a topic's name")


def test_many_labels_are_compared_in_no_time_that_grows_by_the_square(films: Path) -> None:
    from collections import Counter

    from step_ros.training.datasets.doubts import _alike

    counts = Counter({f"action number {i} of many": 10 for i in range(20_000)})
    counts["actoin number 7 of many"] = 1
    assert list(_alike(counts)) == [("action number 7 of many", "actoin number 7 of many")]
