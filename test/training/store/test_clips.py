"""In a clip store a clip is its window."""

from __future__ import annotations

import pytest

from step_ros.training.splits import split_clips
from step_ros.training.store import ClipSampling, TokenStore


def test_a_clip_is_its_window(clip_store: TokenStore) -> None:
    windows = clip_store.clip_windows(split_clips(clip_store).of("test"))
    assert [(w.file, w.tensor, w.first) for w in windows[:2]] == [
        ("test_4", "clip.0", 0),
        ("test_4", "clip.1", 0),
    ]


@pytest.mark.parametrize(("frames", "trim"), [(1, 0.0), (4, 0.5), (4, -0.1)])
def test_sampling_that_makes_no_sense_is_refused(frames: int, trim: float) -> None:
    with pytest.raises(ValueError, match="at least 2 frames|trim must be a share"):
        ClipSampling(frames, trim)
