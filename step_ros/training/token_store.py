"""Keeps patch tokens on disk, so that a data set passes the backbone once.

A store is a folder: `manifest.json` names the backbone, how clips were sampled and the labelled clips;
`tokens/` holds one safetensors file a video, which is read memory-mapped. Two kinds:

- *clip*: of each clip T frames, evenly spaced: tensors `clip.0`, `clip.1` ... (T, P, D) in the video's file;
- *grid*: of each video a frame at every grid time, as the node chooses them: one tensor `tokens` (F, P, D),
  over which windows slide.

Further views (see `views.py`) have the same names with the view's number behind: `clip.0.1`, `tokens.1`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from step_ros.backbones.identity import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.training.datasets import TaskLabels

MANIFEST, HEADER, TOKENS = "manifest.json", "header.json", "tokens"
GRID_TENSOR = "tokens"


class TokenStoreError(ValueError):
    """A token store is missing, incomplete or made otherwise; the message says which."""


@dataclass(frozen=True)
class StoredClip:
    """A labelled clip whose tokens are in the store."""

    file: str
    """Name of the video's file in `tokens/`, without its suffix."""
    tensor: str
    """Name of its tensor there; `GRID_TENSOR` in a grid store."""
    video: str
    """Where the video was."""
    start: float
    """Seconds from the video's first frame."""
    end: float
    """Seconds, after `start`."""
    labels: dict[str, str]
    """Task to label."""
    split: str = ""
    """"train", "validation", "test", or empty."""
    group: str = ""
    """Scene, person or the like; empty where the data set has none."""

    @property
    def name(self) -> str:
        """Names the clip, wherever its data set lies."""
        return f"{self.file} {self.start:.2f}-{self.end:.2f} s"


class TokenStore:
    """An opened store.

    Attributes:
        root: its folder.
        backbone: which backbone made the tokens.
        clip: the window of heads that are trained on it.
        sampling: "clip" or "grid".
        views: how many views of each clip there are.
        holds_pixels: whether its tokens are frames as they are, see `raw_patches.py`.
        clips: the labelled clips, by video and in order of time.
        tasks: what each task's labels are.
        problems: what was left out of the data set, and why.
    """

    def __init__(self, root: Path) -> None:
        """Open the store at `root`.

        Raises:
            TokenStoreError: there is none, or it is not complete.
        """
        try:
            manifest = json.loads((root / MANIFEST).read_text())
            self.root = root
            self.backbone = BackboneIdentity(**manifest["backbone"])
            self.clip = ClipSpec(**manifest["clip"])
            self.sampling: str = manifest.get("sampling", {}).get("kind", "grid")
            self.views: int = manifest.get("views", 1)
            self.holds_pixels: bool = manifest.get("dtype") == "uint8"
            self.clips = [_stored_clip(row) for row in manifest["clips"]]
            self.tasks = {name: TaskLabels(**task) for name, task in manifest["tasks"].items()}
            self.problems: list[str] = manifest.get("problems", [])
            self._digests: dict[str, str] = manifest.get("sha256", {})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TokenStoreError(
                f"{root} is not a complete token store; run `step-ros extract` ({error})"
            ) from error
        self._tensor = lru_cache(maxsize=4096)(self._open)

    def tokens(self, file: str, tensor: str = GRID_TENSOR, view: int = 0) -> Tensor:
        """A tensor of the store, float16 (F, P, D); memory-mapped.

        Raises:
            TokenStoreError: its file is missing or damaged.
        """
        return self._tensor(file, tensor if view == 0 else f"{tensor}.{view}")

    def _open(self, file: str, tensor: str) -> Tensor:
        path = self.root / TOKENS / f"{file}.safetensors"
        try:
            with safe_open(path, framework="pt") as opened:
                tokens: Tensor = opened.get_tensor(tensor)
        except (OSError, SafetensorError) as error:
            raise TokenStoreError(
                f"{path} is missing or damaged ({error}); delete it and extract again"
            ) from error
        return tokens

    def verify(self) -> list[str]:
        """Read every file again and compare it with its SHA-256; returns what is wrong, file by file."""
        wrong = []
        for file in dict.fromkeys(clip.file for clip in self.clips):
            path = self.root / TOKENS / f"{file}.safetensors"
            if not path.is_file():
                wrong.append(f"{path} is missing")
            elif file in self._digests and file_sha256(path) != self._digests[file]:
                wrong.append(f"{path} is not what was written; delete it and extract again")
        return wrong

    def check_backbone(self, identity: BackboneIdentity) -> None:
        """Raise TokenStoreError unless the tokens are of this backbone."""
        if not self.backbone.same_tokens(identity):
            raise TokenStoreError(f"{self.root} holds tokens of {self.backbone}, not of {identity}")

    def check_tasks(self, tasks: Sequence[str]) -> None:
        """Raise TokenStoreError unless the store has these tasks."""
        unknown = [task for task in tasks if task not in self.tasks]
        if unknown:
            raise TokenStoreError(
                f"the store has no task {', '.join(unknown)}; it has {', '.join(self.tasks)}"
            )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _stored_clip(row: dict[str, Any]) -> StoredClip:
    """A clip of the manifest; the first stores named only the video."""
    return StoredClip(**{"file": Path(row["video"]).stem, "tensor": GRID_TENSOR, **row})
