"""What every data set comes down to."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.training.datasets import ClipsError, ClipSet, LabelledClip
from step_ros.training.datasets.labelled_clips import TaskLabels, known_classes_only


@pytest.mark.parametrize("label", ["open\0", "open\n", "\x1b[2Jopen", "\u202eopen"])
def test_a_label_that_is_no_plain_text_is_refused_wherever_it_is_from(label: str) -> None:
    with pytest.raises(ClipsError, match=r"holds the (control character|direction mark) U\+"):
        TaskLabels(["shut", label])


class Searched(list[str]):
    """Labels that may be gone through, but not once for each clip."""

    def __contains__(self, label: object) -> bool:
        raise AssertionError(f"all labels are compared with {label!r}")


def test_clips_are_held_against_their_classes_each_in_one_step() -> None:
    clips = [LabelledClip(Path("a.mp4"), {"verb": label}, where=f"{label}:1") for label in ("open", "wave")]
    found = known_classes_only(ClipSet(Path(), clips, {"verb": TaskLabels(Searched(["open", "close"]))}))
    assert [clip.labels for clip in found.clips] == [{"verb": "open"}]
    assert found.problems == ["wave:1: verb has no class 'wave'"]
