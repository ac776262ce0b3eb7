"""A bag through the node's pipeline, without ROS: `step-ros replay`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from step_ros.cli.warnings_shown import warnings_shown

if TYPE_CHECKING:  # at run time when it is needed: torch takes seconds to import, --help does not wait for it
    from step_ros.runs.replay import Replay


@dataclass(frozen=True)
class NodeOptions:
    """What the node is given; where nothing is said, what its parameter file says."""

    params_file: Path | None = None
    """The node's parameter file; its defaults where there is none."""
    node: str | None = None
    """Full name of the node that is meant, such as /robot/perception, where the file speaks to several."""
    models: tuple[str, ...] | None = None
    """The heads: folders, bundled ones such as tabletop/object, or hub names."""
    backbone: str | None = None
    """The backbone that all heads were trained on."""
    engine: str | None = None
    """What runs the backbone."""
    device: str | None = None
    """Where the models run."""


AS_THE_FILE_SAYS = NodeOptions()


def replay(
    bag: Annotated[Path, tyro.conf.Positional],
    out: Path,
    image_topics: tuple[str, ...] = (),
    truth: str = "/truth",
    truth_csv: Path | None = None,
    rate: float = 0.0,
    video: bool = False,
    rerun: bool = False,
    node_options: Annotated[NodeOptions, tyro.conf.arg(name="")] = AS_THE_FILE_SAYS,
) -> None:
    """Replay a recording through the same pipeline as the node's, and judge what it says.

    Writes predictions.mcap (the node's topics, for Foxglove and `ros2 bag play`), predictions.csv,
    predictions.jsonl (all probabilities), metrics.json and run.json to a folder, from which `step-ros report`
    makes a page.

    Args:
        bag: a rosbag2 folder or file, mcap or sqlite3, with raw or compressed images.
        out: folder to write to.
        image_topics: which cameras; may be left out where the bag has only one, or the parameter `cameras`
            names them as the bag does. With several, each has a folder of its own below `out`.
        truth: prefix of the topics with the true labels, one a task.
        truth_csv: true segments instead: columns start and end, in seconds from the first image, and one a
            task.
        rate: seconds of the recording a second, 1 for real time; 0 for as fast as can be.
        video: draw an annotated video as well, annotated.mp4.
        rerun: log to a Rerun recording as well, replay.rrd.
        node_options: the node's parameters.
    """
    console = Console(stderr=True)
    with warnings_shown(console):
        _replay(console, bag, out, image_topics, (truth, truth_csv), rate, (video, rerun), node_options)


def _replay(
    console: Console,
    bag: Path,
    out: Path,
    image_topics: tuple[str, ...],
    truth: tuple[str, Path | None],
    rate: float,
    video_and_rerun: tuple[bool, bool],
    node_options: NodeOptions,
) -> None:
    from step_ros.runs.metrics_table import metrics_table
    from step_ros.runs.recorder import not_written
    from step_ros.runs.replay import choose_image_topics, run_folders
    from step_ros.runs.replay_run import TruthSource, replay_to_run
    from step_ros.runs.settings import read_settings
    from step_ros.runs.writers.optional import optional_writers

    if not rate >= 0:
        raise ValueError(f"--rate must not be negative, got {rate}")
    changes = {name: value for name, value in vars(node_options).items() if name != "params_file"}
    settings = read_settings(node_options.params_file, **changes)
    topics = choose_image_topics(bag, image_topics, settings)
    console.print(f"loading {', '.join(settings.models)}", highlight=False)
    perceiver = settings.load()
    also = optional_writers(*video_and_rerun)
    missing: list[Path] = []
    for topic, folder in zip(topics, run_folders(topics, out), strict=True):
        with ReplayProgress(console, topic.name, topic.count) as progress:
            metrics = replay_to_run(
                *(bag, topic, perceiver, settings, TruthSource(*truth), folder),
                rate=rate,
                also=also,
                on_update=progress.show,
            )
            progress.finish()
        Console().print(metrics_table(metrics), f"{folder}", highlight=False)
        missing += [folder / name for name in not_written(also, folder)]
    if missing:
        raise OSError(f"the run is whole, but for {', '.join(map(str, missing))}, which could not be written")


class ReplayProgress:
    """A bar with the speed, in seconds of the recording a second, and the time that remains."""

    def __init__(self, console: Console, topic: str, images: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._images = images
        self._task = self._progress.add_task(topic, total=images, speed="")

    def show(self, replay: Replay) -> None:
        """Bring the bar up to date."""
        elapsed = self._progress.tasks[0].elapsed or 0.0
        first_ns, last_ns = replay.span_ns or (0, 0)
        speed = f"{(last_ns - first_ns) / 1e9 / elapsed:.1f} x real time" if elapsed > 0 else ""
        self._progress.update(self._task, completed=replay.frames_read, speed=speed)

    def finish(self) -> None:
        """The recording has ended, whatever the bag said of its length."""
        self._progress.update(self._task, completed=self._images)

    def __enter__(self) -> ReplayProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
