"""A second look at the recording, for what predictions alone do not show: film, attention, embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from step_ros.backbones.cls_attention import cls_attention
from step_ros.frames import RecordedFrame, read_bag_frames
from step_ros.frames.frame import Rgb
from step_ros.perception import Perceiver, WindowPass
from step_ros.probes import HeadError
from step_ros.probes.attention_map import attention_map
from step_ros.runs.ahead import ahead
from step_ros.runs.encoded_frames import BATCH, encoded_frames
from step_ros.runs.run import Run
from step_ros.scores.timeline import Segment

FILM_WIDTH = 320
"""Pixels of a film frame."""
FILM_BYTES = 4_300_000
"""Most that all film frames together may take; the rest of a page is small beside it."""
FILM_FRAMES = 400
"""Most film frames."""

_JPEG_QUALITY = 72
_EMBEDDINGS_A_CLASS = 60
_EXAMPLE_FRAMES = 4
_EXAMPLE_WIDTH = 240


@dataclass(frozen=True)
class FilmFrame:
    """A picture of the film strip."""

    stamp_ns: int
    """Its stamp."""
    jpeg: bytes
    """The picture, `FILM_WIDTH` pixels wide."""


@dataclass(frozen=True, eq=False)
class AttentionExample:
    """A window and where its tokens' weight lies."""

    task: str
    """Whose head looks."""
    label: str
    """What is true."""
    said: str
    """What the head says of this window."""
    stamp_ns: int
    """Of the window's newest frame."""
    frames: list[Rgb]
    """Some of the window's frames, oldest first, each (h, w, 3)."""
    pooled: NDArray[np.float32]
    """(F, rows, columns): the head's pooled attention on each of these frames."""
    backbone: NDArray[np.float32]
    """(F, rows, columns): the attention of the backbone's CLS token."""
    area: tuple[float, float, float, float]
    """Top, left, bottom, right of what the network sees, as shares of the frame."""


@dataclass
class PairEmbeddings:
    """Windows of two partners, before and after the head."""

    task: str
    """Whose head."""
    pair: tuple[str, str]
    """The partners."""
    labels: list[str] = field(default_factory=list)
    """The true label of each window."""
    before: list[NDArray[np.float32]] = field(default_factory=list)
    """(D,) each: the mean of the window's tokens."""
    after: list[NDArray[np.float32]] = field(default_factory=list)
    """(D,) each: what the head pools."""


@dataclass
class SecondLook:
    """What the second look found."""

    film: list[FilmFrame] = field(default_factory=list)
    """In the order of time."""
    attention: list[AttentionExample] = field(default_factory=list)
    """One for each label of the chosen pairs that occurs."""
    embeddings: list[PairEmbeddings] = field(default_factory=list)
    """Of the chosen pairs of which both labels occur."""


def look_again(
    run: Run,
    bag: Path,
    topic: str,
    perceiver: Perceiver,
    pairs: list[tuple[str, tuple[str, str]]],
    on_frame: Callable[[int], None] = lambda count: None,
) -> SecondLook:
    """Read the recording once more.

    Args:
        run: what was said about it.
        bag: its recording.
        topic: the images.
        perceiver: the pipeline; its heads are those of the run.
        pairs: tasks and nearly symmetric pairs to look at more closely.
        on_frame: called now and then with the number of frames so far.

    Raises:
        BagError: the recording cannot be read any more.
    """
    clip = perceiver.clip
    found = SecondLook(embeddings=[PairEmbeddings(task, pair) for task, pair in pairs])
    film = _Film(run)
    plans = [_plan(run, task, pair) for task, pair in pairs]
    window = perceiver.new_window()
    pictures: dict[int, Rgb] = {}  # by place on the grid, of the tokens in the window
    perceiver.reset()
    frames = _counted(read_bag_frames(bag, topic, grid=clip), on_frame)
    for encoded in ahead(encoded_frames(frames, perceiver), 4 * BATCH):
        sampled = encoded.sampled
        window.restart_if_jumped(sampled)
        window.put(sampled, encoded.tokens)
        pictures[sampled.grid_index] = sampled.frame.rgb
        pictures = {index: pictures[index] for index, _ in window.tokens.kept()}
        film.offer(sampled.frame.stamp_ns, sampled.frame.rgb)
        middle_ns = clip.grid_time_ns(sampled.grid_index) - (clip.num_frames - 1) * clip.step_ns // 2
        for plan, embeddings in zip(plans, found.embeddings, strict=True):
            plan.look(middle_ns, window, pictures, perceiver, embeddings, found.attention)
    found.film = film.frames()
    found.embeddings = [e for e in found.embeddings if set(e.labels) == set(e.pair)]
    return found


class _Film:
    """Keeps pictures at even distances, as many as there is room for."""

    def __init__(self, run: Run) -> None:
        updates = max(1, len(run.updates))
        first_ns, last_ns = run.span_ns
        self._every_ns = max(run.clip.step_ns, (last_ns - first_ns) // min(FILM_FRAMES, updates))
        self._next_ns = first_ns
        self._frames: list[FilmFrame] = []

    def offer(self, stamp_ns: int, rgb: Rgb) -> None:
        if stamp_ns < self._next_ns:
            return
        self._next_ns = max(self._next_ns + self._every_ns, stamp_ns - self._every_ns)
        self._frames.append(FilmFrame(stamp_ns, jpeg(resized(rgb, FILM_WIDTH))))

    def frames(self) -> list[FilmFrame]:
        """As many as fit, evenly spaced."""
        frames = self._frames
        while (total := sum(len(frame.jpeg) for frame in frames)) > FILM_BYTES:
            fitting = max(1, min(len(frames) - 1, int(len(frames) * FILM_BYTES / total)))
            frames = [frames[index * len(frames) // fitting] for index in range(fitting)]
        return frames


@dataclass
class _Plan:
    """When to look at the windows of one pair."""

    task: str
    segments: list[Segment]
    """Of both labels, in the order of time."""
    stride_ns: dict[str, int]
    """From one window to the next, of each label."""
    examples: dict[str, int]
    """Of each label the middle, as time, of the segment that is shown."""
    next_ns: dict[str, int] = field(default_factory=dict)

    def look(
        self,
        middle_ns: int,
        window: WindowPass,
        pictures: Mapping[int, Rgb],
        perceiver: Perceiver,
        embeddings: PairEmbeddings,
        examples: list[AttentionExample],
    ) -> None:
        while self.segments and self.segments[0].end_ns <= middle_ns:
            self.segments.pop(0)
        if not self.segments or middle_ns < self.segments[0].start_ns:
            return
        label = self.segments[0].label
        wanted = self.examples.get(label)
        is_example = wanted is not None and middle_ns >= wanted
        if not is_example and middle_ns < self.next_ns.get(label, 0):
            return
        tokens = window.tokens.tokens()
        if tokens is None:
            return
        head = perceiver.heads[self.task]
        try:
            pooled = attention_map(head, tokens[None])
        except HeadError:  # another kind of probe: there is nothing to show
            self.segments.clear()
            return
        if not bool(torch.isfinite(pooled.embedding).all()):
            return  # a replay says nothing of such a window
        if middle_ns >= self.next_ns.get(label, 0):
            self.next_ns[label] = middle_ns + self.stride_ns[label]
            embeddings.labels.append(label)
            embeddings.before.append(_numpy(tokens.float().mean((0, 1))))
            embeddings.after.append(_numpy(pooled.embedding[0]))
        if is_example:
            del self.examples[label]
            with torch.inference_mode():
                said = head.config.labels[int(head.step.classifier(pooled.embedding)[0].argmax())]
            shown = _shown(window, pictures)
            examples.append(
                _example(self.task, label, said, pooled.weights[0], shown, window.newest_stamp_ns, perceiver)
            )


def _plan(run: Run, task: str, pair: tuple[str, str]) -> _Plan:
    segments = [s for s in run.truth[task].segments(run.span_ns[1]) if s.label in pair]
    stride_ns, examples = {}, {}
    for label in pair:
        own = [s for s in segments if s.label == label]
        total_ns = sum(s.end_ns - s.start_ns for s in own)
        stride_ns[label] = max(run.clip.step_ns, total_ns // _EMBEDDINGS_A_CLASS)
        if own:
            longest = max(own, key=lambda s: s.end_ns - s.start_ns)
            examples[label] = (longest.start_ns + longest.end_ns) // 2
    return _Plan(task, segments, stride_ns, examples)


def _shown(window: WindowPass, pictures: Mapping[int, Rgb]) -> list[Rgb]:
    """The picture at each position of a whole window; where one is held, that is the next older one."""
    oldest, newest = window.tokens.oldest_index, window.tokens.newest_index
    assert oldest is not None and newest is not None
    return [
        pictures[max(index for index in pictures if index <= place)] for place in range(oldest, newest + 1)
    ]


def _example(
    task: str,
    label: str,
    said: str,
    weights: Tensor,
    shown: Sequence[Rgb],
    stamp_ns: int,
    perceiver: Perceiver,
) -> AttentionExample:
    clip, backbone = perceiver.clip, perceiver.backbone
    positions = np.linspace(0, clip.num_frames - 1, min(_EXAMPLE_FRAMES, clip.num_frames)).round().astype(int)
    frames = [shown[position] for position in positions]
    height, width = backbone.image_size
    patch = backbone.tower.patch_size
    grid = (len(frames), height // patch, width // patch)
    pooled = _numpy(weights[torch.from_numpy(positions)]).reshape(grid)
    raw = _numpy(cls_attention(backbone, np.stack(frames))).reshape(grid)
    rows, columns = frames[0].shape[:2]
    top, left, bottom, right = backbone.preprocess.visible_area(rows, columns)
    return AttentionExample(
        task=task,
        label=label,
        said=said,
        stamp_ns=stamp_ns,
        frames=[resized(frame, _EXAMPLE_WIDTH) for frame in frames],
        pooled=pooled,
        backbone=raw,
        area=(top / rows, left / columns, bottom / rows, right / columns),
    )


def resized(rgb: Rgb, width: int) -> Rgb:
    """The picture at most that wide, with its proportions."""
    if rgb.shape[1] <= width:
        return rgb
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    small: Rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return small


def jpeg(rgb: Rgb, quality: int = _JPEG_QUALITY) -> bytes:
    """The picture as a JPEG file."""
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return encoded.tobytes()


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.float().cpu().numpy()
    return array


def _counted(frames: Iterator[RecordedFrame], on_frame: Callable[[int], None]) -> Iterator[RecordedFrame]:
    for count, frame in enumerate(frames, start=1):
        if count % 10 == 0:
            on_frame(count)
        yield frame
