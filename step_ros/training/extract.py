"""Encodes a data set once, into a token store: resumable, with everything that went wrong in a list."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from step_ros.backbones import Backbone, BackboneIdentity
from step_ros.frames import BagError, VideoError
from step_ros.training.datasets import ClipsError, ClipSet, LabelledClip
from step_ros.training.datasets.labelled_bag import read_frames
from step_ros.training.raw_patches import RawPatches
from step_ros.training.store import (
    ClipSampling,
    GridSampling,
    StoredClip,
    TokenStore,
    TokenStoreError,
    open_store,
)
from step_ros.training.store.token_store import HEADER, MANIFEST, TOKENS, file_sha256
from step_ros.training.views import View, draw_view

DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "uint8": torch.uint8,  # pixels
}


Sampling = ClipSampling | GridSampling
"""Which frames of a video are encoded, and what becomes of them."""

FrameEncoder = Backbone | RawPatches
"""What makes tokens of frames."""


@dataclass(frozen=True)
class ExtractOptions:
    """How a data set becomes tokens."""

    sampling: Sampling
    """`ClipSampling`: T frames evenly over each clip. `GridSampling`: every grid time of whole videos, as in
    the node."""
    views: int = 1
    """Views of each clip; the first is the clip itself, the others are cropped, recoloured and cut at
    random."""
    mirror: bool = False
    """Whether half of the other views swap left and right."""
    dtype: str = "float16"
    """What tokens are kept in, one of `DTYPES`."""
    batch_size: int = 64
    """Frames that the backbone encodes at once."""

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")
        if self.dtype not in DTYPES:
            raise ValueError(f"unknown dtype {self.dtype!r}; known are {', '.join(DTYPES)}")

    def header(self, backbone: BackboneIdentity) -> dict[str, Any]:
        """What tokens depend on: a store is resumed only if this is the same."""
        header: dict[str, Any] = {"backbone": asdict(backbone), **self.sampling.header()}
        if self.views > 1:
            header |= {"views": self.views, "mirror": self.mirror}
        if self.dtype != "float16":
            header["dtype"] = self.dtype
        plain: dict[str, Any] = json.loads(json.dumps(header))
        return plain


def estimate_bytes(clip_set: ClipSet, backbone: BackboneIdentity, options: ExtractOptions) -> int:
    """About how large the store will be; videos are asked for their length, not read."""
    frames = options.sampling.estimate_frames(clip_set)
    return frames * options.views * backbone.num_patches * backbone.dim * DTYPES[options.dtype].itemsize


def extract(clip_set: ClipSet, backbone: FrameEncoder, options: ExtractOptions, out: Path) -> TokenStore:
    """Encode the videos of a data set, once, into a store at `out`; whole files that are there are kept.

    It may be killed at any time and run again: a video's file appears only when it is whole. A video that
    cannot be read is left out, and named in the store's `problems`.

    Raises:
        TokenStoreError: `out` holds tokens that were made otherwise, the disk is too small, or no video
            could be read.
    """
    header = options.header(backbone.identity)
    _open_folder(out, header)
    needed, free = estimate_bytes(clip_set, backbone.identity, options), shutil.disk_usage(out).free
    present = sum(path.stat().st_size for path in (out / TOKENS).glob("*.safetensors"))
    if needed - present > free:
        raise TokenStoreError(
            f"{out} needs about {(needed - present) / 1e6:.0f} MB, but the disk has {free / 1e6:.0f} MB left"
        )
    by_video: dict[Path, list[LabelledClip]] = defaultdict(list)
    for clip in clip_set.clips:
        by_video[clip.video].append(clip)
    names = file_names(list(by_video), clip_set.root)
    problems, stored = list(clip_set.problems), list[StoredClip]()
    digests: dict[str, str] = {}
    for video, clips in track(by_video.items(), "Encoding videos"):
        path = out / TOKENS / f"{names[video]}.safetensors"
        clips.sort(key=lambda clip: clip.start)
        try:
            if not _is_there(path, clips, options):
                _encode_video(video, clips, names[video], backbone, options, path)
            resolved = _resolved_times(path, clips)
        except (VideoError, BagError, ClipsError, cv2.error) as error:
            problems.append(f"{clips[0].where}: {error}")
            continue
        digests[names[video]] = file_sha256(path)
        for index, (clip, (start, end, problem)) in enumerate(zip(clips, resolved, strict=True)):
            if problem:
                problems.append(f"{clip.where}: {problem}")
                continue
            tensor = options.sampling.tensor_of(index)
            stored.append(
                StoredClip(names[video], tensor, str(video), start, end, clip.labels, clip.split, clip.group)
            )
    if not stored:
        raise TokenStoreError("\n".join([f"{out}: not one clip could be encoded", *problems]))
    window = options.sampling.window(clip.end - clip.start for clip in stored)
    manifest = {
        **header,
        "clip": asdict(window),
        "tasks": {name: asdict(task) for name, task in clip_set.tasks.items()},
        "clips": [asdict(clip) for clip in stored],
        "problems": problems,
        "sha256": digests,
    }
    partial = out / f"{MANIFEST}.partial"
    partial.write_text(json.dumps(manifest))
    partial.rename(out / MANIFEST)
    return open_store(out)


def file_names(videos: Sequence[Path], root: Path) -> dict[Path, str]:
    """A file name for each video: its stem, or, where two share one, its path below `root`."""
    stems = Counter(video.stem for video in videos)
    names = {}
    for video in videos:
        below = video.relative_to(root) if video.is_relative_to(root) else video
        names[video] = (
            video.stem
            if stems[video.stem] == 1
            else "__".join(part.strip("/\\") or "root" for part in (*below.parts[:-1], video.name))
        )
    return names


def _open_folder(out: Path, header: dict[str, Any]) -> None:
    """Make the store's folder, or make sure that what is in it was made the same way."""
    (out / TOKENS).mkdir(parents=True, exist_ok=True)
    path = out / HEADER
    if path.exists():
        found = json.loads(path.read_text())
        if found != header:
            differing = sorted(key for key in {*found, *header} if found.get(key) != header.get(key))
            raise TokenStoreError(
                f"{out} was made otherwise: "
                + "; ".join(f"its {key} is {found.get(key)}, not {header.get(key)}" for key in differing)
                + "; choose another folder"
            )
    (out / MANIFEST).unlink(missing_ok=True)  # not complete until all is there
    path.write_text(json.dumps(header))


def _is_there(path: Path, clips: Sequence[LabelledClip], options: ExtractOptions) -> bool:
    """Whether the file was written for these clips; where they are not cut, any will do."""
    if not path.exists():
        return False
    if not options.sampling.cuts_clips:
        return True
    try:
        with safe_open(path, framework="pt") as file:
            return bool(json.loads((file.metadata() or {})["asked"]) == _asked(clips))
    except (OSError, SafetensorError, KeyError, ValueError):
        return False


def _asked(clips: Sequence[LabelledClip]) -> list[list[Any]]:
    return [[clip.start, clip.end, clip.unit] for clip in clips]


def _encode_video(
    video: Path,
    clips: Sequence[LabelledClip],
    name: str,
    backbone: FrameEncoder,
    options: ExtractOptions,
    path: Path,
) -> None:
    stamps = np.array([frame.stamp_ns / 1e9 for frame in read_frames(video)])
    times = [_times(clip, stamps) for clip in clips]
    spans = [None if problem else (start, end) for start, end, problem in times]

    def draw(what: str) -> list[View]:
        return [draw_view(what, number, mirror=options.mirror) for number in range(options.views)]

    def encode(view: View, frames: Iterator[NDArray[np.uint8]]) -> Tensor:
        batches = iter(lambda: list(islice(frames, options.batch_size)), [])
        tokens = [
            backbone.encode(view(np.stack(batch))).to("cpu", DTYPES[options.dtype]) for batch in batches
        ]
        return torch.cat(tokens).contiguous()

    selected = options.sampling.select(video, name, stamps, spans, draw)
    tensors = {tensor: encode(view, frames) for tensor, view, frames in selected}
    partial = path.with_suffix(".partial")
    save_file(
        tensors, partial, metadata={"asked": json.dumps(_asked(clips)), "stamps": json.dumps(stamps.tolist())}
    )
    partial.rename(path)


def _times(clip: LabelledClip, stamps: NDArray[np.float64]) -> tuple[float, float, str]:
    """Start and end of a clip in seconds of its video, and what is wrong with it, or nothing."""
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.04
    beyond = float(stamps[-1]) + step
    if clip.unit == "frames":
        start = float(stamps[int(clip.start)]) if clip.start < len(stamps) else beyond
        end = float(stamps[int(clip.end)]) if clip.end is not None and clip.end < len(stamps) else beyond
    else:
        start, end = clip.start, beyond if clip.end is None else min(clip.end, beyond)
    if start >= end:
        return start, end, f"the clip lies beyond the end of {clip.video}, at {stamps[-1]:.2f} s"
    if not ((stamps >= start - 1e-6) & (stamps < end - 1e-6)).any():
        return start, end, f"{clip.video} has no frame between {start:.3f} and {end:.3f} s"
    return start, end, ""


def _resolved_times(path: Path, clips: Sequence[LabelledClip]) -> list[tuple[float, float, str]]:
    """Start and end of each clip in seconds, from the stamps that were written beside the tokens."""
    with safe_open(path, framework="pt") as file:
        stamps = np.array(json.loads(file.metadata()["stamps"]))
    return [_times(clip, stamps) for clip in clips]
