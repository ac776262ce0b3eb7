"""A live node, as a run: `step-ros listen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro


def listen(
    out: Path,
    node: Annotated[str, tyro.conf.Positional] = "/perception",
    seconds: float = 0.0,
    start_timeout: float = 120.0,
    truth: str = "/truth",
    truth_csv: Path | None = None,
    images: bool = True,
    video: bool = False,
    rerun: bool = False,
) -> None:
    """Listen to a live perception node and keep what it says, as a replay would: RUN, for `step-ros report`.

    Writes predictions.mcap (the node's topics), predictions.csv, predictions.jsonl, metrics.json and run.json
    to a folder, and recording.mcap with the camera's images. Ends with Ctrl-C or after --seconds; nothing
    that was heard is lost. It needs ROS 2.

    Args:
        out: folder to write to; of a node with several cameras, a folder each below it.
        node: full name of the node.
        seconds: how long to listen from the first label on; 0 is until Ctrl-C.
        start_timeout: seconds that the node may take until it is ready.
        truth: prefix of the topics with the true labels, one a task, while somebody publishes them.
        truth_csv: true segments instead: columns start and end, in seconds from the first image that is
            heard, and one a task.
        images: record the camera's images as well: the report then shows the film and where heads look.
        video: draw an annotated video as well, annotated.mp4; needs the images.
        rerun: log to a Rerun recording as well, replay.rrd.
    """
    from rich.console import Console

    from step_ros.cli.warnings_shown import warnings_shown
    from step_ros.extras import ros_needed

    with ros_needed():
        from step_ros.ros.listen import listen_until_stopped
        from step_ros.ros.live_run import ListenOptions
    from step_ros.runs.writers.optional import optional_writers

    also = optional_writers(video, rerun)
    with warnings_shown(Console(stderr=True)):
        options = ListenOptions(truth, truth_csv, images)
        raise SystemExit(listen_until_stopped(node, out, options, also, seconds, start_timeout))
