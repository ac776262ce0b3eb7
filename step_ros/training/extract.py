"""Encodes a data set once, into a token store: resumable, with everything that went wrong in a list."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from step_ros.atomic_files import remove_drafts, write_text
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
from step_ros.training.store.file_names import file_names
from step_ros.training.store.folder import (
    FORMAT,
    HEADER,
    MANIFEST,
    TOKENS,
    check_no_link,
    check_own_file,
    locked,
    tokens_path,
    write_manifest,
)
from step_ros.training.store.source import Source
from step_ros.training.store.token_store import StoredVideo
from step_ros.training.store.tokens_file import WrittenTokens, read_tokens, write_tokens
from step_ros.training.views import View, draw_view

_log = logging.getLogger(__name__)

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
        for name in ("views", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.dtype not in DTYPES:
            raise ValueError(f"unknown dtype {self.dtype!r}; known are {', '.join(DTYPES)}")

    def header(self, backbone: BackboneIdentity) -> dict[str, Any]:
        """What tokens depend on: a store is resumed only if this is the same."""
        about = asdict(backbone)
        del about["source"]  # which may be moved
        header: dict[str, Any] = {"format": FORMAT, "backbone": about, **self.sampling.header()}
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
    """Encode the videos of a data set, once, into a store at `out`; tokens that are there and right are kept.

    It may be killed at any time and run again: a video's file appears only when it is whole. A file that is
    damaged, or of another video than the one that is in its place now, or of other clips, is encoded again,
    with a warning. A video that cannot be read is left out, and named in the store's `problems`.

    Raises:
        TokenStoreError: `out` holds tokens that were made otherwise or is being written by another process,
            the disk is too small, or no video could be read.
    """
    with locked(out):
        return _extract(clip_set, backbone, options, out)


def _extract(clip_set: ClipSet, backbone: FrameEncoder, options: ExtractOptions, out: Path) -> TokenStore:
    header = options.header(backbone.identity)
    _open_folder(out, header)
    needed, free = estimate_bytes(clip_set, backbone.identity, options), shutil.disk_usage(out).free
    present = sum(path.lstat().st_size for path in (out / TOKENS).glob("*.safetensors"))
    if needed - present > free:
        raise TokenStoreError(
            f"{out} needs about {(needed - present) / 1e6:.0f} MB, but the disk has {free / 1e6:.0f} MB left"
        )
    by_video: dict[Path, list[LabelledClip]] = defaultdict(list)
    for clip in clip_set.clips:
        by_video[clip.video].append(clip)
    names = file_names(list(by_video), clip_set.root)
    problems, stored = list(clip_set.problems), list[StoredClip]()
    videos: dict[str, StoredVideo] = {}
    for video, clips in track(by_video.items(), "Encoding videos"):
        name = names[video]
        path = tokens_path(out, name)
        clips.sort(key=lambda clip: clip.start)
        try:
            source = Source.of(video)
            made_of = _made_of(name, source, clips, header, options)
            written = _what_is_there(path, made_of, video)
            if written is None:
                written = _encode_video(video, source, clips, made_of, backbone, options, path)
        except (VideoError, BagError, ClipsError, cv2.error) as error:
            problems.append(f"{clips[0].where}: {error}")
            continue
        videos[name] = StoredVideo(source, written.sha256)
        stamps = np.array(written.about["stamps"])
        for index, clip in enumerate(clips):
            start, end, problem = _times(clip, stamps)
            if problem:
                problems.append(f"{clip.where}: {problem}")
                continue
            tensor = options.sampling.tensor_of(index)
            stored.append(
                StoredClip(name, tensor, str(video), start, end, clip.labels, clip.split, clip.group)
            )
    if not stored:
        raise TokenStoreError("\n".join([f"{out}: not one clip could be encoded", *problems]))
    window = options.sampling.window(clip.end - clip.start for clip in stored)
    write_manifest(
        out,
        {
            **header,
            "backbone": asdict(backbone.identity),
            "clip": asdict(window),
            "tasks": {name: asdict(task) for name, task in clip_set.tasks.items()},
            "clips": [asdict(clip) for clip in stored],
            "videos": {name: asdict(about) for name, about in videos.items()},
            "problems": problems,
        },
    )
    return open_store(out)


def _open_folder(out: Path, header: dict[str, Any]) -> None:
    """Make the store's folder, or make sure that what is in it was made the same way."""
    path = out / HEADER
    for own in (out / TOKENS, path, out / MANIFEST):
        check_no_link(own)
    (out / TOKENS).mkdir(parents=True, exist_ok=True)
    remove_drafts(out / TOKENS)
    found = _read_header(path)
    if found not in (None, header):
        differing = sorted(key for key in {*found, *header} if found.get(key) != header.get(key))
        raise TokenStoreError(
            f"{out} was made otherwise: "
            + "; ".join(f"its {key} is {found.get(key)}, not {header.get(key)}" for key in differing)
            + "; choose another folder"
        )
    (out / MANIFEST).unlink(missing_ok=True)  # not complete until all is there
    write_text(path, json.dumps(header))


def _read_header(path: Path) -> dict[str, Any] | None:
    """How the tokens in a store were made; None if nobody knows, so that each file has to say it."""
    try:
        check_own_file(path)
        found = json.loads(path.read_text(encoding="utf-8"))
    except (TokenStoreError, OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _made_of(
    name: str, source: Source, clips: Sequence[LabelledClip], header: dict[str, Any], options: ExtractOptions
) -> dict[str, Any]:
    """All that tokens depend on: the video, its name, by which views are drawn, its clips if they are cut."""
    asked = [[clip.start, clip.end, clip.unit] for clip in clips] if options.sampling.cuts_clips else []
    return {"options": header, "name": name, "video": source.sha256, "clips": asked}


def _what_is_there(path: Path, made_of: Mapping[str, Any], video: Path) -> WrittenTokens | None:
    """A file of these tokens, whole; None, with a warning, if there is another one or a damaged one."""
    if not os.path.lexists(path):
        return None
    try:
        written = read_tokens(path)
    except TokenStoreError as error:
        _log.warning("%s: it is encoded again, from %s", str(error).removesuffix("; extract again"), video)
        return None
    differing = [what for what, value in made_of.items() if written.about.get(what) != value]
    if differing:
        _log.warning("%s is of another %s: %s is encoded again", path, " and ".join(differing), video)
        return None
    return written


def _encode_video(
    video: Path,
    source: Source,
    clips: Sequence[LabelledClip],
    made_of: Mapping[str, Any],
    backbone: FrameEncoder,
    options: ExtractOptions,
    path: Path,
) -> WrittenTokens:
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

    selected = options.sampling.select(video, made_of["name"], stamps, spans, draw)
    tensors = {tensor: encode(view, frames) for tensor, view, frames in selected}
    source.check_untouched()
    return write_tokens(path, tensors, {**made_of, "stamps": stamps.tolist()})


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
