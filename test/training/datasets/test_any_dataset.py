"""Published data sets are recognised and read, from small files of the official forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from step_ros.training.datasets import ClipsError, ClipSet, LabelledClip, read_dataset
from step_ros.training.datasets.drive_and_act import read_drive_and_act
from step_ros.training.datasets.hri30 import read_hri30


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def only(clip_set: ClipSet, name: str) -> LabelledClip:
    (clip,) = [clip for clip in clip_set.clips if name in str(clip.video)]
    return clip


def test_hri30_takes_classes_from_the_csv_and_from_file_names(tmp_path: Path) -> None:
    for name in ("CID20_SID01_VID01", "CID23_SID02_VID01"):
        touch(tmp_path / "train_set" / f"{name}.avi")
    touch(tmp_path / "test_set" / "CID04_SID11_VID02.avi")
    touch(tmp_path / "test_set" / "CID99_SID11_VID03.avi")
    csv = tmp_path / "annotations" / "train_set_labels.csv"
    csv.parent.mkdir()
    csv.write_text("CID20_SID01_VID01,PickUpDrill\nCID23_SID02_VID01,23\nCID30_SID02_VID09,Walking\nbroken\n")
    clip_set = read_dataset(tmp_path)
    assert only(clip_set, "CID20").labels == {"fine_grained_action": "PickUpDrill"}
    assert only(clip_set, "CID23").labels == {"fine_grained_action": "PutDownDrill"}
    assert only(clip_set, "CID23").where == "annotations/train_set_labels.csv:2"
    turned = only(clip_set, "CID04")
    assert turned.labels == {"fine_grained_action": "MoveDiagonallyBackwardLeftWithDrill"}
    assert (turned.split, turned.group, only(clip_set, "CID20").split) == ("test", "SID11", "train")
    assert sorted(clip_set.problems) == [
        "annotations/train_set_labels.csv:3: there is no video CID30_SID02_VID09",
        "annotations/train_set_labels.csv:4: expected a video and its class, found 'broken', ''",
        "test_set/CID99_SID11_VID03.avi: fine_grained_action has no class 'CID99'",
    ]


def test_the_csv_files_of_data_sets_are_read_as_all_csv_files_are(tmp_path: Path) -> None:
    for name in ("CID20_SID01_VID01.avi", "CID23_SID02_VID01.avi"):
        touch(tmp_path / name)
    csv = tmp_path / "labels.csv"
    csv.write_bytes("video;class\n# by hand\nCID20_SID01_VID01.avi; Öffnen\n".encode("latin-1"))
    clip_set = read_hri30(tmp_path)
    assert clip_set.notes == [f"{csv}:3: not UTF-8; read as Latin-1"]
    assert clip_set.problems == ["labels.csv:3: fine_grained_action has no class 'Öffnen'"]
    csv.write_text("CID20_SID01_VID01,PickUpDrill,more\n")
    with pytest.raises(ClipsError, match="labels.csv:1: more cells than the 2 columns"):
        read_hri30(tmp_path)
    drive_and_act(tmp_path)
    path = tmp_path / "midlevel.chunks_90.split_0.train.csv"
    path.write_text(HEADER.replace(",", ";") + f"5;{FILE};0;44;68; opening_door_outside ;0\n")
    (clip,) = [clip for clip in read_drive_and_act(tmp_path).clips if clip.split == "train"]
    assert (clip.labels, clip.start) == ({"activity": "opening_door_outside"}, 44.0)
    path.write_text(HEADER + f"5,{FILE},0,44,68,opening,door,0,1\n")
    with pytest.raises(ClipsError, match="train.csv:2: more cells than the 7 columns"):
        read_drive_and_act(tmp_path)


def test_ikea_asm_has_three_tasks_and_the_official_split(tmp_path: Path) -> None:
    video = touch(tmp_path / "Lack_TV_Bench" / "0007_white" / "dev3" / "images" / "scan_video.avi")
    touch(tmp_path / "Lack_TV_Bench" / "0007_white" / "dev1" / "images" / "scan_video.avi")
    segments = [
        {"segment": [0, 40], "label": "pick up leg"},
        {"segment": [40, 90], "label": "align leg screw with table thread"},
        {"segment": [90, 95], "label": "dance"},
        {"segment": [99, 98], "label": "spin leg"},
    ]
    database = {
        "Lack_TV_Bench/0007_white": {"subset": "testing", "annotation": segments},
        "Kallax/0001_black": {"subset": "training", "annotation": segments},
    }
    (tmp_path / "gt_segments.json").write_text(json.dumps({"version": "2", "database": database}))
    (tmp_path / "train_cross_env.txt").write_text("Lack_TV_Bench/0007_white\n")
    clip_set = read_dataset(tmp_path)
    assert [clip.labels for clip in clip_set.clips] == [
        {"fine_grained_action": "pick up leg", "atomic_action": "pick up", "object": "leg"},
        {
            "fine_grained_action": "align leg screw with table thread",
            "atomic_action": "align",
            "object": "leg",
        },
    ]
    first = clip_set.clips[0]
    assert (first.video, first.unit, first.start, first.end) == (video, "frames", 0, 40)
    assert first.split == "train"  # the official list, not what the segments' file says
    assert len(clip_set.tasks["fine_grained_action"].labels) == 33
    assert clip_set.tasks["atomic_action"].symmetric_pairs == [("pick up", "lay down")]
    assert [problem.split(": ", 1)[1] for problem in clip_set.problems] == [
        "there is no video of Kallax/0001_black from dev3",
        "Lack_TV_Bench/0007_white[2]: fine_grained_action has no class 'dance'",
        "Lack_TV_Bench/0007_white[3]: a clip must end after it starts, found 99.0 to 98.0 frames",
    ]


HEADER = "participant_id,file_id,annotation_id,frame_start,frame_end,activity,chunk_id\n"
FILE = "vp5/run1_2018-05-22-15-10-41.kinect_color"


def drive_and_act(tmp_path: Path) -> Path:
    touch(tmp_path / "kinect_color" / f"{FILE}.mp4")
    rows = [
        f"5,{FILE},0,44,68,opening_door_outside,0",
        f"5,{FILE},3,241,286,fastening_seat_belt,0",
        f"5,{FILE},3,286,332,fastening_seat_belt,1",
        f"5,{FILE},4,400,x,fastening_seat_belt,0",
        f"5,{FILE},5,500,600,sleeping,0",
    ]
    text = HEADER + "\n".join(rows) + "\n"
    for subset in ("train", "val", "test"):
        (tmp_path / f"midlevel.chunks_90.split_0.{subset}.csv").write_text(
            text if subset == "test" else HEADER
        )
    return tmp_path


def test_drive_and_act_by_chunk_and_by_annotation(tmp_path: Path) -> None:
    clip_set = read_dataset(drive_and_act(tmp_path))
    assert [(clip.start, clip.end, clip.split, clip.group) for clip in clip_set.clips] == [
        (44, 68, "test", "vp5"),
        (241, 286, "test", "vp5"),
        (286, 332, "test", "vp5"),
    ]
    assert len(clip_set.tasks["activity"].labels) == 34
    assert [problem.split(":")[1] for problem in clip_set.problems] == ["5", "6"]
    whole = read_drive_and_act(tmp_path, whole=True)
    assert [(clip.start, clip.end) for clip in whole.clips] == [(44, 68), (241, 332)]


def test_drive_and_act_objects_are_three_tasks(tmp_path: Path) -> None:
    drive_and_act(tmp_path)
    header = HEADER.replace("activity", "action,object,location")
    row = f"5,{FILE},0,44,68,opening,backpack,co_driver_seat,0\n"
    (tmp_path / "objectlevel.chunks_90.split_0.train.csv").write_text(header + row)
    clip_set = read_dataset(tmp_path, "drive_and_act_objects")
    assert clip_set.clips[0].labels == {
        "action": "opening",
        "object": "backpack",
        "location": "co_driver_seat",
    }


def test_something_something_takes_templates_for_classes(tmp_path: Path) -> None:
    touch(tmp_path / "20bn-something-something-v2" / "1.webm")
    touch(tmp_path / "20bn-something-something-v2" / "2.webm")
    for part, name in (("train", "1"), ("validation", "2")):
        entries = [
            {"id": name, "template": "Opening [something]"},
            {"id": "9", "template": "Closing [something]"},
        ]
        (tmp_path / f"something-something-v2-{part}.json").write_text(json.dumps(entries))
    clip_set = read_dataset(tmp_path)
    assert [(clip.labels["action"], clip.split) for clip in clip_set.clips] == [
        ("Opening something", "train"),
        ("Opening something", "test"),
    ]
    assert clip_set.problems[0] == "something-something-v2-train.json[1]: there is no video 9"


def test_class_folders_with_and_without_splits(tmp_path: Path) -> None:
    touch(tmp_path / "plain" / "open" / "1.mp4")
    touch(tmp_path / "plain" / "close" / "2.mp4")
    plain = read_dataset(tmp_path / "plain")
    assert plain.tasks["action"].symmetric_pairs == [("close", "open")]
    assert {(clip.labels["action"], clip.split) for clip in plain.clips} == {("open", ""), ("close", "")}
    touch(tmp_path / "parts" / "train" / "open" / "1.mp4")
    touch(tmp_path / "parts" / "val" / "open" / "2.mp4")
    assert [clip.split for clip in read_dataset(tmp_path / "parts").clips] == ["train", "validation"]


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClipsError, match="has no videos in CLASS/ or SPLIT/CLASS/ folders"):
        read_dataset(tmp_path)
    with pytest.raises(ClipsError, match="unknown data set 'kinetics'"):
        read_dataset(tmp_path, "kinetics")
