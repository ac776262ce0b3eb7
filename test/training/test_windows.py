"""Windows carry the label of what goes on near their end, and its partner's when they run backwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.training.token_store import TokenStore, extract
from step_ros.training.windows import (
    WindowTokens,
    balanced,
    centred_windows,
    partners,
    reversed_labels,
    sliding_windows,
)


@pytest.fixture(scope="module")
def store(clips_csv: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return extract(clips_csv, backbone, ClipSpec(4, 0.4), tmp_path_factory.mktemp("store"))


def test_a_window_is_labelled_by_what_goes_on_just_before_its_end(store: TokenStore) -> None:
    windows = [w for w in sliding_windows(store, "train", lag_seconds=0.15) if w.video == "train_0"]
    assert len(windows) == 37
    # Frame 20 is the first of the second clip; 0.15 s before the end is two frames.
    assert [w.labels["direction"] for w in windows if w.first in (18, 19)] == ["right", "left"]


def test_a_window_played_backwards_is_labelled_as_its_partner(store: TokenStore) -> None:
    windows = sliding_windows(
        store, "train", lag_seconds=0.0, partner=partners({"direction": [("right", "left")]})
    )
    first = [w for w in windows if w.video == "train_0" and w.first == 0]
    assert [(w.backwards, w.labels["direction"]) for w in first] == [(False, "right"), (True, "left")]
    tokens_of = WindowTokens(store)
    assert torch.equal(tokens_of([first[0]]), tokens_of([first[1]]).flip(1))


def test_labels_without_partner_stay() -> None:
    partner = partners({"verb": [("open", "close")]})
    assert reversed_labels({"verb": "open", "object": "box"}, partner) == {"verb": "close", "object": "box"}
    assert reversed_labels({"verb": "wave"}, partner) == {"verb": "wave"}


def test_centred_windows_lie_in_the_middle_of_their_clips(store: TokenStore) -> None:
    windows = centred_windows(store, "test")
    assert [(w.video, w.first, w.labels["direction"]) for w in windows[:2]] == [
        ("test_4", 8, "right"),
        ("test_4", 28, "left"),
    ]


def test_unknown_split_names_those_there_are(store: TokenStore) -> None:
    with pytest.raises(ValueError, match="test, train, validation"):
        centred_windows(store, "holdout")


def test_balanced_draws_rare_classes_more_often(store: TokenStore) -> None:
    windows = sliding_windows(store, "train", lag_seconds=0.0)
    rare = [w for w in windows if w.labels["direction"] == "left"][:5]
    common = [w for w in windows if w.labels["direction"] == "right"]
    drawn = balanced(rare + common, "direction", seed=0, power=1.0)(2000)
    assert sum(w.labels["direction"] == "left" for w in drawn) == pytest.approx(1000, abs=120)
