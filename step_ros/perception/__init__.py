"""The online pipeline: frames in, each encoded once, every task's labels out. No ROS in here."""

from step_ros.perception.label_filter import LabelFilter, StableLabel
from step_ros.perception.overlay import draw_overlay
from step_ros.perception.perceiver import Perceiver
from step_ros.perception.prediction import Perception, Prediction
from step_ros.perception.token_window import TokenWindow
from step_ros.perception.worker import Latency, PerceptionWorker

__all__ = [
    "LabelFilter",
    "Latency",
    "Perceiver",
    "Perception",
    "PerceptionWorker",
    "Prediction",
    "StableLabel",
    "TokenWindow",
    "draw_overlay",
]
