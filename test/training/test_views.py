"""Views: the first is the clip, the others are drawn once and for all, and every frame is seen alike."""

from __future__ import annotations

import numpy as np

from step_ros.training.views import View, draw_view


def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 160, (3, 20, 30, 3), dtype=np.uint8)


def test_the_first_view_is_the_clip_itself() -> None:
    assert draw_view("a", 0, mirror=True) == View()
    assert np.array_equal(View()(frames()), frames())


def test_further_views_depend_on_name_and_number_alone() -> None:
    assert draw_view("a", 1, mirror=True) == draw_view("a", 1, mirror=True)
    assert len({draw_view(name, number, mirror=False) for name in "abc" for number in (1, 2, 3)}) == 9


def test_views_stay_within_the_frame_and_the_clip() -> None:
    views = [draw_view(str(i), 1, mirror=True) for i in range(200)]
    for view in views:
        top, left, tall, wide = view.crop
        assert top >= 0 and left >= 0 and top + tall <= 1 + 1e-9 and left + wide <= 1 + 1e-9
        assert 0 <= view.zoom[0] < view.zoom[1] <= 1 + 1e-9
        seen = view(frames())
        assert seen.dtype == np.uint8 and seen.shape[0] == 3 and min(seen.shape[1:3]) > 8
    assert 60 < sum(view.mirrored for view in views) < 140
    assert not any(draw_view(str(i), 1, mirror=False).mirrored for i in range(50))


def test_a_crop_and_a_mirror_show_what_they_say() -> None:
    seen = View(crop=(0.5, 0.0, 0.5, 1.0), mirrored=True)(frames())
    assert np.array_equal(seen, frames()[:, 10:, ::-1])


def test_colours_are_changed_alike_in_every_frame() -> None:
    still = np.repeat(frames()[:1], 3, axis=0)
    seen = View(gain=(1.2, 1.0, 0.8), contrast=0.7)(still)
    assert np.array_equal(seen[0], seen[2])
    assert seen[..., 0].mean() > still[..., 0].mean() and seen[..., 2].mean() < still[..., 2].mean()
    assert seen[..., 1].std() < still[..., 1].std()
