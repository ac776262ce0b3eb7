"""Keeps every frame's patch tokens on disk, so that a data set passes the backbone once.

A store is a folder: `manifest.json` names the backbone, the clip and the labelled stretches; `tokens/` holds
one safetensors file a video, float16 (F, P, D), a frame a grid time, which is read memory-mapped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.backbones.identity import BackboneIdentity
from step_ros.frames import ClipSpec, Frame, GridSampler, read_video
from step_ros.training.clips_csv import LabelledClip, TaskLabels, read_clips, read_tasks


class TokenStoreError(ValueError):
    """A token store is missing, incomplete or made otherwise; the message says which."""


class TokenStore:
    """An opened store.

    Attributes:
        backbone: which backbone made the tokens.
        clip: the windows they are spaced for.
        clips: the labelled stretches, by video name, in order of time.
        tasks: what each task's labels are.
    """

    def __init__(self, root: Path) -> None:
        """Open the store at `root`.

        Raises:
            TokenStoreError: there is none, or it is not complete.
        """
        try:
            manifest = json.loads((root / "manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise TokenStoreError(
                f"{root} is not a complete token store; run `step-ros extract` ({error})"
            ) from error
        self.root = root
        self.backbone = BackboneIdentity(**manifest["backbone"])
        self.clip = ClipSpec(**manifest["clip"])
        clips = [LabelledClip(**{**row, "video": Path(row["video"])}) for row in manifest["clips"]]
        self.tasks = {name: TaskLabels(**task) for name, task in manifest["tasks"].items()}
        self.clips = {video: list(rows) for video, rows in groupby(clips, key=lambda clip: clip.video.stem)}

    def tokens(self, video: str) -> Tensor:
        """Tokens float16 (F, P, D) of a video, one frame a grid time from its first; memory-mapped."""
        with safe_open(self.root / "tokens" / f"{video}.safetensors", framework="pt") as file:
            tokens: Tensor = file.get_tensor("tokens")
        return tokens


def extract(data: Path, backbone: Backbone, clip: ClipSpec, out: Path, *, batch_size: int = 64) -> TokenStore:
    """Encode every video that the csv `data` names, once, into a store at `out`; what is there is kept.

    Raises:
        ClipsError: the csv cannot be used.
        VideoError: a video cannot be read.
        TokenStoreError: `out` holds tokens of another backbone or for other windows.
    """
    clips = sorted(read_clips(data), key=lambda c: (str(c.video), c.start))
    header = {"backbone": asdict(backbone.identity), "clip": asdict(clip)}
    header_path = out / "header.json"
    (out / "tokens").mkdir(parents=True, exist_ok=True)
    if header_path.exists() and json.loads(header_path.read_text()) != json.loads(json.dumps(header)):
        raise TokenStoreError(
            f"{out} holds tokens of {header_path.read_text()}, not of {header}; choose another folder"
        )
    header_path.write_text(json.dumps(header))
    videos = list(dict.fromkeys(c.video for c in clips))
    for video in track(videos, "Encoding videos"):
        path = out / "tokens" / f"{video.stem}.safetensors"
        if path.exists():
            continue
        partial = path.with_suffix(".partial")
        save_file({"tokens": _encode(grid_frames(read_video(video), clip), backbone, batch_size)}, partial)
        partial.rename(path)  # only whole files ever have the final name
    rows = [{**asdict(c), "video": str(c.video)} for c in clips]
    tasks = {name: asdict(task) for name, task in read_tasks(data, clips).items()}
    (out / "manifest.json").write_text(json.dumps({**header, "tasks": tasks, "clips": rows}))
    return TokenStore(out)


def grid_frames(frames: Iterator[Frame], clip: ClipSpec) -> Iterator[Frame]:
    """One frame a grid time, as the node chooses it; the older one stands in where a grid time has none."""
    sampler = GridSampler(clip)
    last: Frame | None = None
    expected: int | None = None
    for frame in frames:
        sampled = sampler.push(frame)
        if sampled is None:
            continue
        while expected is not None and last is not None and expected < sampled.grid_index:
            yield last
            expected += 1
        last, expected = sampled.frame, sampled.grid_index + 1
        yield last


def _encode(frames: Iterator[Frame], backbone: Backbone, batch_size: int) -> Tensor:
    batches: list[Tensor] = []
    waiting: list[np.ndarray] = []

    def flush() -> None:
        if waiting:
            batches.append(backbone.encode(np.stack(waiting)).half().cpu())
            waiting.clear()

    for frame in frames:
        waiting.append(frame.rgb)
        if len(waiting) == batch_size:
            flush()
    flush()
    return torch.cat(batches).contiguous()
