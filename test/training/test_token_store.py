"""The token store holds what the backbone says of the frames that the node would choose."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame, read_video
from step_ros.training.token_store import TokenStore, TokenStoreError, extract, grid_frames

CLIP = ClipSpec(4, 0.4)


@pytest.fixture(scope="module")
def store(clips_csv: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return extract(clips_csv, backbone, CLIP, tmp_path_factory.mktemp("store"), batch_size=7)


def test_tokens_are_the_backbones(store: TokenStore, backbone: Backbone, clips_csv: Path) -> None:
    frames = list(read_video(clips_csv.parent / "test_4.mp4"))
    tokens = store.tokens("test_4")
    assert tokens.shape == (40, backbone.num_patches, backbone.dim)
    assert tokens.dtype == torch.float16
    torch.testing.assert_close(
        tokens[11].float(), backbone.encode(frames[11].rgb[None])[0], atol=5e-3, rtol=1e-3
    )


def test_it_remembers_backbone_clip_and_tasks(store: TokenStore, backbone: Backbone) -> None:
    opened = TokenStore(store.root)
    assert opened.backbone.same_tokens(backbone.identity)
    assert opened.clip == CLIP
    assert opened.tasks["direction"].symmetric_pairs == [("right", "left")]


def test_what_is_there_is_kept(store: TokenStore, backbone: Backbone, clips_csv: Path) -> None:
    path = store.root / "tokens" / "test_4.safetensors"
    before = path.stat().st_mtime_ns
    extract(clips_csv, backbone, CLIP, store.root)
    assert path.stat().st_mtime_ns == before


def test_other_windows_are_refused(store: TokenStore, backbone: Backbone, clips_csv: Path) -> None:
    with pytest.raises(TokenStoreError, match="choose another folder"):
        extract(clips_csv, backbone, ClipSpec(8, 0.4), store.root)


def test_an_unfinished_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match="not a complete token store"):
        TokenStore(tmp_path)


def test_older_frames_stand_in_where_a_grid_time_has_none() -> None:
    rgb = [torch.full((2, 2, 3), i, dtype=torch.uint8).numpy() for i in range(4)]
    frames = [Frame(stamp * 100_000_000, image) for stamp, image in zip((0, 1, 4, 5), rgb, strict=True)]
    assert [int(f.rgb[0, 0, 0]) for f in grid_frames(iter(frames), CLIP)] == [0, 1, 1, 1, 2, 3]
