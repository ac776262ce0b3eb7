"""Names of cameras, which become parts of topics."""

from __future__ import annotations

import pytest

from step_ros.perception.camera_names import camera_names


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["front", "front"], "names of their own"),
        (["front", ""], "letters, digits and underscores"),
        (["a/b"], "letters, digits and underscores"),
        (["../etc"], "letters, digits and underscores"),
    ],
)
def test_names_that_cannot_be_are_refused(names: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        camera_names(names)


def test_no_name_is_a_single_camera() -> None:
    assert camera_names([""]) == camera_names([]) == [""]
