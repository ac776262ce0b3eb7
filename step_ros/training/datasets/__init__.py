"""Data sets: from the files that each is handed out as to labelled clips."""

from step_ros.training.datasets.any_dataset import DATASETS, read_dataset
from step_ros.training.datasets.labelled_clips import ClipsError, ClipSet, LabelledClip, TaskLabels
from step_ros.training.datasets.symmetric_pairs import propose_pairs

__all__ = [
    "DATASETS",
    "ClipSet",
    "ClipsError",
    "LabelledClip",
    "TaskLabels",
    "propose_pairs",
    "read_dataset",
]
