"""From labelled videos to a token store: `step-ros extract`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich import get_console
from rich.console import Console

from step_ros.cli.warnings_shown import warnings_shown

if TYPE_CHECKING:
    from step_ros.training.datasets import ClipSet


def extract(
    data: Path,
    backbone: str,
    out: Path,
    frames: int = 16,
    window: float | None = None,
    trim: float = 0.0,
    dataset: str = "auto",
    tasks: tuple[str, ...] = (),
    group: str | None = None,
    views: int = 1,
    mirror: bool = False,
    dtype: str = "float16",
    pixels: bool = False,
    batch_size: int = 64,
    device: str = "cpu",
    engine: str = "auto",
) -> None:
    """Encode every clip of a data set once, and keep the tokens.

    May be stopped at any time and run again: what is there is kept, but for tokens that are damaged or of
    another video than the one that is in its place now, which are made again.

    Args:
        data: csv of clips (video, one column a task; start, end and split if there are), a folder of videos a
            class, a bag with labels, or the folder of a published data set.
        backbone: folder or hub name.
        out: folder of the token store.
        frames: frames of a clip or window, T.
        window: seconds of a window: then whole videos are encoded, at every grid time as in the node, and
            windows slide over them. Without it, the frames are spread over each clip.
        trim: share of each clip to leave out at both ends (without a window).
        dataset: which adapter reads the data; auto looks at what is there.
        tasks: which tasks to keep; all by default.
        group: csv column of what must not be on both sides of a split, such as a scene.
        views: views of each clip to train on; further ones are cropped, recoloured and cut at random.
        mirror: further views may swap left and right.
        dtype: what tokens are kept in: float16, bfloat16 or float32.
        pixels: keep frames as the backbone would see them, instead of its tokens: for training adapters.
        batch_size: frames that the backbone encodes at once.
        device: where the backbone runs.
        engine: what runs it; auto takes the fastest that is right.
    """
    from step_ros.backbones import select_engine
    from step_ros.frames import ClipSpec
    from step_ros.peft.adapter_folder import load_backbone
    from step_ros.processor import choose_device
    from step_ros.training.datasets import ClipsError, read_dataset
    from step_ros.training.extract import ExtractOptions, FrameEncoder, estimate_bytes
    from step_ros.training.extract import extract as extract_tokens
    from step_ros.training.raw_patches import RawPatches
    from step_ros.training.store import ClipSampling, GridSampling

    console = get_console()  # the one that progress is shown on, so that warnings stand above it
    chosen = choose_device(device)
    sampling = ClipSampling(frames, trim) if window is None else GridSampling(ClipSpec(frames, window))
    if window is not None and trim:
        raise ClipsError("--trim cuts clips, but with --window whole videos are encoded; give one of them")
    options = ExtractOptions(sampling, views, mirror, "uint8" if pixels else dtype, batch_size)
    clip_set = read_dataset(data, dataset, tasks=tasks, group=group, overlaps=window is None)
    _check(console, clip_set, window)
    loaded = load_backbone(backbone, device=chosen)
    encoder: FrameEncoder = RawPatches(loaded.encoder) if pixels else loaded
    _describe(console, clip_set, estimate_bytes(clip_set, encoder.identity, options))
    if not pixels:
        loaded.engine = select_engine(loaded.encoder, engine)
    with warnings_shown(console):
        store = extract_tokens(clip_set, encoder, options, out)
    videos = len({clip.file for clip in store.clips})
    what = "pixels for" if pixels else "tokens of"
    console.print(f"{out}: {len(store.clips)} clips of {videos} videos, {what} {store.backbone}")
    if short := store.without_window(store.clips):
        console.print(f"[yellow]no head is judged by {len(short)} in which no window of {window:g} s lies:")
        for clip in short:
            console.print(f"  {clip.name}", markup=False, highlight=False)
    if store.problems:
        console.print(f"[yellow]{len(store.problems)} left out:")
        for problem in store.problems:
            console.print(f"  {problem}", markup=False, highlight=False)


def _check(console: Console, clip_set: ClipSet, window: float | None) -> None:
    """Say what may be wrong with the data, before it costs time.

    Raises:
        ClipsError: something has to be mended first.
    """
    from step_ros.training.datasets import ClipsError
    from step_ros.training.datasets.doubts import Severity, find_doubts

    doubts = find_doubts(clip_set, window_seconds=window)
    errors = [str(doubt) for doubt in doubts if doubt.severity is Severity.ERROR]
    if errors:
        raise ClipsError("\n".join([*errors, "`step-ros check` says more"]))
    for doubt in (doubt for doubt in doubts if doubt.severity is Severity.DOUBT):
        console.print(str(doubt), style="yellow", markup=False, highlight=False)
    for note in clip_set.notes:
        console.print(f"note: {note}", markup=False, highlight=False)


def _describe(console: Console, clip_set: ClipSet, size: int) -> None:
    videos = len({clip.video for clip in clip_set.clips})
    console.print(
        f"{len(clip_set.clips)} clips of {videos} videos; tokens will take about {size / 1e6:.0f} MB"
    )
    for task, about in clip_set.tasks.items():
        pairs = ", ".join(f"{a} <-> {b}" for a, b in about.symmetric_pairs)
        console.print(
            f"{task}: {len(about.labels)} classes; nearly symmetric: {pairs or 'none'}", highlight=False
        )
