"""What every data set comes down to."""

from __future__ import annotations

import pytest

from step_ros.training.datasets import ClipsError
from step_ros.training.datasets.labelled_clips import TaskLabels


@pytest.mark.parametrize("label", ["open\0", "open\n", "\x1b[2Jopen", "\u202eopen"])
def test_a_label_that_is_no_plain_text_is_refused_wherever_it_is_from(label: str) -> None:
    with pytest.raises(ClipsError, match=r"holds the (control character|direction mark) U\+"):
        TaskLabels(["shut", label])
