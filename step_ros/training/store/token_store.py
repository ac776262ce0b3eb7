"""What every token store offers, and the tokens of its files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from step_ros.backbones.identity import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.training.datasets import TaskLabels
from step_ros.training.store.folder import TokenStoreError, tokens_path
from step_ros.training.store.source import Source
from step_ros.training.store.tokens_file import open_tensor, read_tokens
from step_ros.training.windows import Teaching, Window


@dataclass(frozen=True)
class StoredVideo:
    """A video whose tokens are in the store."""

    source: Source
    """What it was when they were made."""
    tokens: str
    """SHA-256 of its tokens, see `WrittenTokens`."""


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
        videos: by the names of their files.
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
        self.videos = {
            name: StoredVideo(Source(**row["source"]), row["tokens"])
            for name, row in manifest["videos"].items()
        }
        self.clips = [StoredClip(**row) for row in manifest["clips"]]
        self.tasks = {name: TaskLabels(**task) for name, task in manifest["tasks"].items()}
        self.problems: list[str] = manifest["problems"]
        self._tensor = lru_cache(maxsize=4096)(self._open)

    @property
    @abstractmethod
    def what_is_judged(self) -> str:
        """Which clips `clip_windows` has a window of, in words."""

    @abstractmethod
    def clip_windows(self, clips: Sequence[StoredClip]) -> list[Window]:
        """One window a clip, forwards: what heads are judged by."""

    def without_window(self, clips: Sequence[StoredClip]) -> list[StoredClip]:
        """The clips that `clip_windows` has no window of: heads are not judged by them."""
        return [clip for clip in clips if not self.clip_windows([clip])]

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
        return open_tensor(tokens_path(self.root, file), tensor)

    def verify(self) -> list[str]:
        """Read everything again, tokens and the videos that are still there; returns what is wrong."""
        wrong = []
        for name, video in self.videos.items():
            try:
                path = tokens_path(self.root, name)
                found = read_tokens(path).sha256
            except TokenStoreError as error:
                wrong.append(str(error))
                continue
            if found != video.tokens:
                wrong.append(f"{path} is not what was written; extract again")
            elif video.source.is_there() and not video.source.is_same():
                wrong.append(f"{video.source.path} is not what {path} was made of; extract again")
        return wrong

    def videos_elsewhere(self) -> list[str]:
        """Videos that are not where they were, with which `verify` compares nothing."""
        return [video.source.path for video in self.videos.values() if not video.source.is_there()]

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
