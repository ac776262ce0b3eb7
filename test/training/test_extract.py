"""Extraction: tokens are the backbone's, nothing is done twice, and what is wrong is in a list."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, read_video
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, Sampling, estimate_bytes, extract
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
    assert not list(tmp_path.rglob("*partial*"))


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


def test_another_video_under_the_same_name_is_encoded_again(
    clips_csv: Path, backbone: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it lies in another folder or has been replaced, and even with size and times of the old one."""
    options = ExtractOptions(ClipSampling(4))

    def extract_from(folder: str, content: Path | None) -> Tensor:
        path = tmp_path / folder / "take1.mp4"
        path.parent.mkdir(exist_ok=True)
        if content is not None:
            bytes_ = content.read_bytes()
            path.write_bytes(bytes_ + bytes(20_000 - len(bytes_)))  # players stop before the zeros
            os.utime(path, ns=(0, 0))
        (path.parent / "clips.csv").write_text("video,start,end,verb\ntake1.mp4,0,2,x\n")
        clip_set = read_dataset(path.parent / "clips.csv")
        store = extract(clip_set, backbone, options, tmp_path / "store")
        assert store.verify() == [] and store.videos["take1"].source.path == str(path)
        return store.tokens("take1", "clip.0").clone()

    first, second = (clips_csv.parent / f"{name}.mp4" for name in ("train_0", "test_5"))
    kitchen = extract_from("kitchen", first)
    assert not caplog.messages
    garage = extract_from("garage", second)
    assert not torch.equal(kitchen, garage) and len(caplog.messages) == 1
    assert "take1.safetensors is of another video" in caplog.text
    assert f"{tmp_path / 'garage' / 'take1.mp4'} is encoded again" in caplog.text
    assert torch.equal(extract_from("garage", first), kitchen) and len(caplog.messages) == 2
    assert torch.equal(extract_from("kitchen", None), kitchen)  # what a copy of it gave will do
    assert len(caplog.messages) == 2


def test_other_clips_of_a_video_are_encoded_again(
    clips_csv: Path, backbone: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.mp4").write_bytes((clips_csv.parent / "test_4.mp4").read_bytes())
    for sampling, said in (
        (ClipSampling(4), 1),
        (GRID, 1),
    ):  # a grid has all, whatever clips there are
        for start in (0, 1):
            (tmp_path / "clips.csv").write_text(f"video,start,end,verb\na.mp4,{start},4,x\n")
            clip_set = read_dataset(tmp_path / "clips.csv")
            store = extract(clip_set, backbone, ExtractOptions(sampling), tmp_path / type(sampling).__name__)
        assert store.clips[0].start == 1.0 and store.verify() == []
        assert len([line for line in caplog.messages if "is of another clips" in line]) == said


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("spoil", [damage, cut, empty, link])
@pytest.mark.parametrize("sampling", [ClipSampling(4), GRID])
def test_a_spoilt_file_is_encoded_again(
    sampling: Sampling,
    spoil: Callable[[Path], None],
    clips_csv: Path,
    backbone: Backbone,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = ExtractOptions(sampling)
    store = extract(read_dataset(clips_csv), backbone, options, tmp_path)
    path = tmp_path / "tokens" / "test_4.safetensors"
    whole, manifest = path.read_bytes(), (tmp_path / "manifest.json").read_bytes()
    spoil(path)
    assert len(store.verify()) == 1
    again = extract(read_dataset(clips_csv), backbone, options, tmp_path)
    assert again.verify() == [] and path.read_bytes() == whole and not path.is_symlink()
    assert (tmp_path / "manifest.json").read_bytes() == manifest
    assert len(caplog.messages) == 1 and "it is encoded again, from" in caplog.text
    if spoil is link:
        assert (tmp_path / "elsewhere").read_bytes() == whole


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 100_000])
def test_a_broken_header_is_written_again(
    text: str, clips_csv: Path, backbone: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ExtractOptions(ClipSampling(4))
    extract(read_dataset(clips_csv), backbone, options, tmp_path)
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    (tmp_path / "header.json").write_text(text)
    extract(read_dataset(clips_csv), backbone, options, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == whole and not caplog.messages
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == times


def test_tokens_that_were_made_otherwise_are_told_even_without_a_header(
    clips_csv: Path, backbone: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extract(read_dataset(clips_csv), backbone, ExtractOptions(ClipSampling(4)), tmp_path)
    (tmp_path / "header.json").unlink()
    store = extract(read_dataset(clips_csv), backbone, ExtractOptions(ClipSampling(5)), tmp_path)
    assert len(store.tokens("test_4", "clip.0")) == 5
    assert len([line for line in caplog.messages if "is of another options" in line]) == 6


def test_an_older_store_is_not_written_over(clips_csv: Path, backbone: Backbone, tmp_path: Path) -> None:
    options = ExtractOptions(ClipSampling(4))
    header = options.header(backbone.identity)
    (tmp_path / "header.json").write_text(
        json.dumps({key: value for key, value in header.items() if key != "format"})
    )
    with pytest.raises(TokenStoreError, match="its format is None, not 2; choose another folder"):
        extract(read_dataset(clips_csv), backbone, options, tmp_path)


@pytest.mark.parametrize("name", ["tokens", "header.json", "manifest.json", "lock"])
def test_nothing_is_written_through_a_link(
    name: str, clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    outside, store = tmp_path / "outside", tmp_path / "store"
    outside.mkdir()
    store.mkdir()
    (store / name).symlink_to(outside if name == "tokens" else outside / "file")
    with pytest.raises(TokenStoreError, match=f"{name} is a link, and a store follows none"):
        extract(read_dataset(clips_csv), backbone, ExtractOptions(ClipSampling(4)), store)
    assert not list(outside.iterdir())


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
