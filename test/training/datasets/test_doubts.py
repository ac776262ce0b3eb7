"""What is doubted of a data set, and what is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.training.datasets import read_dataset
from step_ros.training.datasets.doubts import Doubt, Severity, classes_by_split, find_doubts, left_out


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


def all_doubts(folder: Path, text: str, window: float | None = None, group: str = "") -> list[Doubt]:
    path = folder / "clips.csv"
    path.write_text(text)
    found = find_doubts(read_dataset(path, group=group or None, overlaps=True), window_seconds=window)
    assert [d.severity for d in found] == sorted((d.severity for d in found), key=list(Severity).index)
    return found


def doubts(
    folder: Path, text: str, severity: Severity, window: float | None = None, group: str = ""
) -> list[str]:
    found = all_doubts(folder, text, window, group)
    return [doubt.sentence for doubt in found if doubt.severity is severity]


def about(found: list[Doubt], words: str) -> Doubt:
    (doubt,) = [doubt for doubt in found if words in doubt.sentence]
    return doubt


def rows(labels: list[str]) -> str:
    lines = (f"{i % 12}.mp4,{i // 12 / 100},{label}\n" for i, label in enumerate(labels))
    return "video,start,verb\n" + "".join(lines)


def test_a_sound_data_set_raises_no_doubt(films: Path) -> None:
    text = rows(["open", "close"] * 6)
    assert doubts(films, text, Severity.ERROR) == doubts(films, text, Severity.DOUBT) == []
    pair, splits = doubts(films, text, Severity.NOTE)
    assert pair == "verb: close <-> open (close and open); each is learned from the other's clips backwards"
    assert splits.startswith("no clip names a split: all are trained on, and confidence of trained heads")
    names, table = classes_by_split(read_dataset(films / "clips.csv", overlaps=True).clips, "verb")
    assert (names, table) == (["clips"], [["close", "6"], ["open", "6"]])


@pytest.mark.parametrize(
    ("labels", "severity", "sentence"),
    [
        (["open", "Open"] * 6, Severity.ERROR, "in case or blanks alone: 'open' (6), 'Open' (6)"),
        (["pick up", "pick_up"] * 6, Severity.ERROR, "'pick up' (6), 'pick_up' (6)"),
        (["closed"] * 6 + ["opened"] * 5 + ["opnede"], Severity.DOUBT, None),
        (["open"] * 6 + ["opne"] * 2 + ["shut"] * 5, Severity.DOUBT, "'opne' (2 clips) meant for 'open' (6)"),
        (["opened"] * 9 + ["opned"] + ["shut"] * 5, Severity.DOUBT, "is 'opned' (1 clips) meant for"),
        (["drawer1"] * 10 + ["drawer2"] + ["shut"] * 5, Severity.DOUBT, None),
        (["screw it"] * 10 + ["unscrew it"] * 2, Severity.DOUBT, None),
        (["open"] * 12, Severity.ERROR, "all training clips show open; a head needs two classes"),
        (["open"] * 9 + ["close"] * 3, Severity.DOUBT, "fewer than 5 training clips teach close (3)"),
        ([chr(97 + i) * 9 for i in range(12)], Severity.NOTE, "12 classes of 12 clips, as text"),
    ],
)  # fmt: skip
def test_labels(films: Path, labels: list[str], severity: Severity, sentence: str | None) -> None:
    found = [
        s
        for s in doubts(films, rows(labels), severity)
        if "no clip names a split" not in s and ("fewer than" not in s or "fewer" in (sentence or ""))
    ]
    assert (any(sentence in each for each in found), len(found)) == (True, 1) if sentence else found == []


def test_a_doubt_names_its_lines(films: Path) -> None:
    found = all_doubts(films, rows(["opened"] * 9 + ["opned", "shut", "Shut"]))
    assert about(found, "'opned'").places == ("clips.csv:11",)
    error = about(found, "case or blanks")
    assert error.places == ("clips.csv:13",)
    assert str(error).startswith("error: clips.csv:13: verb has labels that differ in case or blanks alone")
    assert error.to_json()["places"] == ["clips.csv:13"] and error.to_json()["severity"] == "error"
    many = Doubt(Severity.DOUBT, "look", tuple(f"clips.csv:{i}" for i in range(2, 9)))
    assert str(many) == "doubt: clips.csv:2, clips.csv:3, clips.csv:4 and 4 more: look"


def test_a_leak_and_a_class_that_is_only_judged(films: Path) -> None:
    text = "video,split,scene,verb\n" + "".join(
        f"{i % 6}.mp4,{'train' if i < 6 else 'test'},kitchen,{'open' if i % 2 else 'close'}\n"
        for i in range(12)
    )
    found = all_doubts(films, text + "7.mp4,test,hall,pour\n", group="scene")
    leak = about(found, "6 videos are in more than one split: 0.mp4 (test, train), 1.mp4")
    assert leak.places == tuple(f"clips.csv:{line}" for i in range(6) for line in (i + 2, i + 8))
    about(found, "1 group is in more than one split: kitchen (test, train)")
    assert about(found, "clips are judged of pour, which no training clip shows").places == ("clips.csv:14",)
    about(found, "no validation clips: confidence of trained heads stays uncalibrated")


def test_a_copy_under_another_name_is_a_leak_too(films: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(films, tmp_path / "films")
    (folder / "copy").mkdir()
    shutil.copy(folder / "0.mp4", folder / "copy" / "take.mp4")
    (folder / "link.mp4").symlink_to(folder / "1.mp4")
    text = "video,split,verb\n0.mp4,train,open\n1.mp4,train,close\n2.mp4,train,open\n3.mp4,train,close\n"
    sound = all_doubts(folder, text + "4.mp4,test,open\n")
    assert not any("more than one split" in doubt.sentence for doubt in sound)
    found = all_doubts(
        folder, text + "copy/take.mp4,test,open\nlink.mp4,test,close\n./2.mp4,validation,open\n"
    )
    leak = about(found, "3 videos are in more than one split: 0.mp4 = take.mp4 (test, train)")
    assert leak.sentence.count("=") == 2
    assert leak.places == tuple(f"clips.csv:{line}" for line in (2, 6, 3, 7, 4, 8))


def test_what_is_labelled_twice(films: Path) -> None:
    text = "video,start,end,verb,noun\n" + "".join(
        f"{i}.mp4,0,1,{'open' if i % 2 else 'close'},\n" for i in range(12)
    )
    sound = text + "0.mp4,0,1,,cup\n0.mp4,0,0.9,open,\n"  # of another task, and overlapping clips
    assert not any("under" in doubt.sentence for doubt in all_doubts(films, sound))
    found = all_doubts(films, text + "1.mp4,0,1.0,open,\n2.mp4,0,1,open,\n")
    assert about(found, "under the same label").places == ("clips.csv:3", "clips.csv:14")
    assert about(found, "under another label of the same task").places == ("clips.csv:4", "clips.csv:15")


def test_clips_that_are_of_no_split(films: Path) -> None:
    text = "video,split,verb\n" + "".join(
        f"{i}.mp4,{'train' if i < 10 else 'val'},{'open' if i % 2 else 'close'}\n" for i in range(12)
    )
    assert [d for d in all_doubts(films, text) if d.severity is Severity.DOUBT] == []
    found = all_doubts(films, text.replace("11.mp4,val", "11.mp4,").replace("10.mp4,val", "10.mp4,fold2"))
    assert about(found, "1 clips name no split, as others do: they are of no use").places == ("clips.csv:13",)
    assert about(found, "are of the split 'fold2'").places == ("clips.csv:12",)


def test_a_data_set_to_judge_by_alone_is_no_error(films: Path) -> None:
    found = all_doubts(films, "video,split,verb\n" + "".join(f"{i}.mp4,test,open\n" for i in range(12)))
    assert [doubt.severity for doubt in found] == [Severity.NOTE]
    about(found, "no clip is there to train on; heads can be judged by these")


def test_classes_that_no_clip_shows(films: Path) -> None:
    beside = films / "clips.yaml"
    beside.write_text("verb: {labels: [close, open, wipe]}")
    try:
        assert about(all_doubts(films, rows(["open", "close"] * 6)), "verb: no clip shows wipe")
    finally:
        beside.unlink()


def test_what_is_left_out_is_a_doubt(films: Path) -> None:
    path = films / "clips.csv"
    path.write_text(rows(["open", "close"] * 6) + "none.mp4,0,open\n")
    (doubt,) = left_out(read_dataset(path))
    assert str(doubt).startswith("doubt: clips.csv:14: left out: there is no ")


def test_videos_that_do_not_say_how_long_they_are(films: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(films, tmp_path / "films")
    (folder / "0.mp4").write_bytes(b"no film")
    (note,) = [d for d in all_doubts(folder, rows(["open", "close"] * 6)) if "how long" in d.sentence]
    assert note.severity is Severity.NOTE and note.places == ("clips.csv:2",)


@pytest.mark.parametrize(
    ("end", "severity", "hint"),
    [(20, Severity.ERROR, "times look like frames"), (2000, Severity.ERROR, "times look like milliseconds"),
     (3.5, Severity.ERROR, "the first from 0 to 3.5 s of 2.0 s"), (2.5, Severity.ERROR, None)],
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
    (short,) = [doubt for doubt in all_doubts(films, text, window=1.5) if doubt.severity is Severity.DOUBT]
    assert short.sentence == "1 of 12 clips are shorter than a window (1.5 s): nothing is judged by them"
    assert short.places == ("clips.csv:2",)


def test_a_task_that_can_be_no_topic(films: Path) -> None:
    text = rows(["open", "close"] * 6).replace("verb", "the verb", 1)
    (error,) = doubts(films, text, Severity.ERROR)
    assert error.startswith("the task 'the verb' cannot be part of a topic's name")
