"""What every token store offers, and the tokens of its files."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from step_ros.backbones.identity import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.training.datasets import TaskLabels
from step_ros.training.windows import Teaching, Window

MANIFEST, HEADER, TOKENS = "manifest.json", "header.json", "tokens"


class TokenStoreError(ValueError):
    """A token store is missing, incomplete or made otherwise; the message says which."""


@dataclass(frozen=True)
class StoredClip:
    """A labelled clip whose tokens are in the store."""

    file: str
    """Name of the video's file in `tokens/`, without its suffix."""
    tensor: str
    """Name of its tensor there; in a grid store that of the whole video."""
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


class TokenStore(ABC):
    """An opened store.

    Args:
        root: its folder.
        manifest: what `manifest.json` holds.

    Attributes:
        root: its folder.
        backbone: which backbone made the tokens.
        clip: the window of heads that are trained on it.
        views: how many views of each clip there are.
        holds_pixels: whether its tokens are frames as they are, see `raw_patches.py`.
        clips: the labelled clips, by video and in order of time.
        tasks: what each task's labels are.
        problems: what was left out of the data set, and why.
    """

    def __init__(self, root: Path, manifest: Mapping[str, Any]) -> None:
        self.root = root
        self.backbone = BackboneIdentity(**manifest["backbone"])
        self.clip = ClipSpec(**manifest["clip"])
        self.views: int = manifest.get("views", 1)
        self.holds_pixels: bool = manifest.get("dtype") == "uint8"
        self.clips = [StoredClip(**row) for row in manifest["clips"]]
        self.tasks = {name: TaskLabels(**task) for name, task in manifest["tasks"].items()}
        self.problems: list[str] = manifest["problems"]
        self._digests: dict[str, str] = manifest["sha256"]
        self._tensor = lru_cache(maxsize=4096)(self._open)

    @property
    @abstractmethod
    def what_is_judged(self) -> str:
        """Which clips `clip_windows` has a window of, in words."""

    @abstractmethod
    def clip_windows(self, clips: Sequence[StoredClip]) -> list[Window]:
        """One window a clip, forwards: what heads are judged by."""

    @abstractmethod
    def training_windows(self, clips: Sequence[StoredClip], teaching: Teaching) -> list[Window]:
        """The windows of these clips that heads are fitted on, backwards ones among them if they teach."""

    def calibration_windows(self, clips: Sequence[StoredClip], teaching: Teaching) -> list[Window]:
        """The windows of these clips, forwards, that temperatures and thresholds are fitted on."""
        return self.clip_windows(clips)

    def recordings(self, windows: Sequence[Window]) -> list[str]:
        """Where each window is from: its group, or, where the data set has none, its video."""
        group_of = {clip.file: clip.group or clip.file for clip in self.clips}
        return [group_of[window.file] for window in windows]

    def tokens(self, file: str, tensor: str, view: int = 0) -> Tensor:
        """A tensor of the store (F, P, D), of the type it was stored in; memory-mapped.

        Raises:
            TokenStoreError: its file is missing or damaged.
        """
        return self._tensor(file, name_of_view(tensor, view))

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
            elif file_sha256(path) != self._digests[file]:
                wrong.append(f"{path} is not what was written; delete it and extract again")
        return wrong

    def check_tasks(self, tasks: Sequence[str]) -> None:
        """Raise TokenStoreError unless the store has these tasks."""
        unknown = [task for task in tasks if task not in self.tasks]
        if unknown:
            raise TokenStoreError(
                f"the store has no task {', '.join(unknown)}; it has {', '.join(self.tasks)}"
            )


def name_of_view(tensor: str, view: int) -> str:
    """Under which name a view of a tensor is stored; the first is the tensor itself."""
    return tensor if view == 0 else f"{tensor}.{view}"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
