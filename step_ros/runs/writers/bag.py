"""Writes what a node would have published to an mcap file, as a recorder beside it would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from step_ros.frames.bags.messages import CLASSIFICATION, LABEL_INFO, classification, label_info
from step_ros.frames.bags.writing import new_mcap_file
from step_ros.runs.moments import Moment
from step_ros.runs.run import RunTask


@contextmanager
def prediction_bag(
    path: Path, node: str, tasks: Mapping[str, RunTask], start_ns: int
) -> Iterator[Callable[[Moment], None]]:
    """An mcap file of predictions, which takes moments; there is no file before it ends well.

    Topics are the node's, with their QoS, which `ros2 bag play` offers again: ``<node>/<task>``,
    ``<node>/<task>/direction`` where labels have partners, and latched ``<node>/<task>/stable`` and
    ``<node>/<task>/labels``.

    Args:
        path: of the file, which is replaced if it exists.
        node: full name of the node, such as ``/perception``.
        tasks: by name.
        start_ns: log time of the labels.
    """
    with new_mcap_file(path) as bag:
        for task in tasks:
            bag.add_topic(f"{node}/{task}", CLASSIFICATION, latched=False)
        for task in tasks:
            bag.add_topic(f"{node}/{task}/stable", CLASSIFICATION, latched=True)
        for task, described in tasks.items():
            if described.symmetric_pairs:
                bag.add_topic(f"{node}/{task}/direction", CLASSIFICATION, latched=False)
            bag.add_topic(f"{node}/{task}/labels", LABEL_INFO, latched=True)
            info = label_info(described.labels, described.rejection_threshold, start_ns)
            bag.write(f"{node}/{task}/labels", start_ns, info)

        def add(moment: Moment) -> None:
            update = moment.update
            messages = [
                (said.task + ("/stable" if said.stable else ""), said.results, said.stamp_ns)
                for said in moment.announcements
            ]
            messages += [
                (f"{each.task}/direction", each.results, update.stamp_ns) for each in update.directions
            ]
            for topic, results, stamp_ns in messages:
                message = classification(results, stamp_ns, moment.frame_id)
                bag.write(f"{node}/{topic}", update.log_time_ns, message)

        yield add
