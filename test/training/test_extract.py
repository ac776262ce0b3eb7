"""Extraction: tokens are the backbone's, nothing is done twice, and what is wrong is in a list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, read_video
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, estimate_bytes, extract
from step_ros.training.store import ClipSampling, GridSampling, TokenStore, TokenStoreError, open_store

GRID = GridSampling(ClipSpec(4, 0.4))


def test_a_grid_store_holds_every_grid_time(
    grid_store: TokenStore, backbone: Backbone, clips_csv: Path
) -> None:
    frames = list(read_video(clips_csv.parent / "test_4.mp4"))
    tokens = grid_store.tokens("test_4", "tokens")
    assert tokens.shape == (40, backbone.num_patches, backbone.dim)
    assert tokens.dtype == torch.float16
    expected = backbone.encode(frames[11].rgb[None])[0]
    torch.testing.assert_close(tokens[11].float(), expected, atol=5e-3, rtol=1e-3)


def test_a_clip_store_holds_even_frames_of_the_middle_of_each_clip(
    clip_store: TokenStore, backbone: Backbone, clips_csv: Path
) -> None:
    frames = [frame.rgb for frame in read_video(clips_csv.parent / "test_4.mp4")]
    second = [clip for clip in clip_store.clips if clip.file == "test_4"][1]
    tokens = clip_store.tokens(second.file, second.tensor)
    # Frames 20 to 39; a tenth of their 1.9 s off each end leaves 2.19 to 3.71 s.
    indices = np.round(np.linspace(21.9, 37.1, 8)).astype(int)
    expected = backbone.encode(np.stack([frames[i] for i in indices]))
    torch.testing.assert_close(tokens.float(), expected, atol=5e-3, rtol=1e-3)
    assert (second.start, second.end) == (2.0, 4.0)
    # The window of a node that shows as much: 8 steps, of which 1.6 s are 7.
    assert clip_store.clip == ClipSpec(8, round(1.6 * 8 / 7, 3))


def test_other_views_are_other_tokens_but_always_the_same(
    clip_store: TokenStore, clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    clip = clip_store.clips[0]
    plain, other = (clip_store.tokens(clip.file, clip.tensor, view) for view in (0, 1))
    assert plain.shape == other.shape and not torch.equal(plain, other)
    again = extract(
        read_dataset(clips_csv), backbone, ExtractOptions(ClipSampling(8, 0.1), views=2), tmp_path
    )
    assert torch.equal(again.tokens(clip.file, clip.tensor, 1), other)


def test_a_killed_extraction_goes_on_without_double_work(
    clips_csv: Path, backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ExtractOptions(ClipSampling(4))
    encode, calls = Backbone.encode, 0

    def counted(self: Backbone, rgb: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 6:  # in the middle of the third video
            raise KeyboardInterrupt
        return encode(self, rgb)

    monkeypatch.setattr(Backbone, "encode", counted)
    with pytest.raises(KeyboardInterrupt):
        extract(read_dataset(clips_csv), backbone, options, tmp_path)
    with pytest.raises(TokenStoreError, match="not a complete token store"):
        open_store(tmp_path)
    whole = {path: path.stat().st_mtime_ns for path in (tmp_path / "tokens").glob("*.safetensors")}
    assert len(whole) == 2
    calls = 100
    store = extract(read_dataset(clips_csv), backbone, options, tmp_path)
    assert calls == 100 + 8  # two clips of each of the four videos that were left
    assert len(store.clips) == 12 and store.verify() == []
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert not list(tmp_path.rglob("*.partial"))


def test_what_cannot_be_encoded_is_named_and_the_rest_goes_on(
    clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "good.mp4").write_bytes((clips_csv.parent / "test_4.mp4").read_bytes())
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video at all")
    rows = ["good.mp4,0,2,a", "good.mp4,8,9,b", "empty.mp4,0,1,a", "text.mp4,0,1,a", "gone.mp4,0,1,b"]
    (folder / "clips.csv").write_text("video,start,end,verb\n" + "\n".join(rows) + "\n")
    clip_set = read_dataset(folder / "clips.csv")
    store = extract(clip_set, backbone, ExtractOptions(ClipSampling(4)), tmp_path / "store")
    assert [(clip.file, clip.start, clip.end) for clip in store.clips] == [("good", 0.0, 2.0)]
    found = {problem.split(": ", 1)[0]: problem for problem in store.problems}
    assert set(found) == {f"clips.csv:{line}" for line in (3, 4, 5, 6)}
    assert "beyond the end" in found["clips.csv:3"] and "there is no" in found["clips.csv:6"]
    assert "empty.mp4" in found["clips.csv:4"] and "text.mp4" in found["clips.csv:5"]


def test_a_store_is_not_mixed_with_another_kind_or_backbone(
    grid_store: TokenStore, clips_csv: Path, backbone: Backbone
) -> None:
    for options in (
        ExtractOptions(GridSampling(ClipSpec(8, 0.4))),
        ExtractOptions(ClipSampling(4)),
        ExtractOptions(GRID, 2),
    ):
        with pytest.raises(TokenStoreError, match="was made otherwise.*choose another folder"):
            extract(read_dataset(clips_csv), backbone, options, grid_store.root)
    assert open_store(grid_store.root).clips == grid_store.clips


def test_videos_of_one_name_in_two_folders_have_two_files(
    clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    for scene, video in (("scene1", "test_4"), ("scene2", "test_5")):
        (tmp_path / scene).mkdir()
        (tmp_path / scene / "a.mp4").write_bytes((clips_csv.parent / f"{video}.mp4").read_bytes())
    (tmp_path / "clips.csv").write_text("video,scene,verb\nscene1/a.mp4,scene1,x\nscene2/a.mp4,scene2,y\n")
    clip_set = read_dataset(tmp_path / "clips.csv", group="scene")
    store = extract(clip_set, backbone, ExtractOptions(ClipSampling(4)), tmp_path / "store")
    assert [clip.file for clip in store.clips] == ["scene1__a.mp4", "scene2__a.mp4"]
    assert [clip.group for clip in store.clips] == ["scene1", "scene2"]
    assert [round(clip.end, 2) for clip in store.clips] == [4.0, 4.0]


def test_the_estimate_is_what_the_tokens_take(
    clip_store: TokenStore, grid_store: TokenStore, clips_csv: Path, backbone: Backbone
) -> None:
    clip_set = read_dataset(clips_csv)
    for store, options in (
        (clip_store, ExtractOptions(ClipSampling(8, 0.1), views=2)),
        (grid_store, ExtractOptions(GRID)),
    ):
        size = sum(path.stat().st_size for path in (store.root / "tokens").glob("*.safetensors"))
        assert estimate_bytes(clip_set, backbone.identity, options) == pytest.approx(size, rel=0.1)
