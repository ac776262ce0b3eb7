"""The online pipeline: frames in, each encoded once, every task's labels out. No ROS in here."""

from typing import TYPE_CHECKING

from step_ros.lazy import names_on_demand

if TYPE_CHECKING:
    from step_ros.perception.direction import Direction, DirectionCheck
    from step_ros.perception.engine_keeper import EngineKeeper
    from step_ros.perception.freshness import Freshness
    from step_ros.perception.label_filter import FilterSettings, LabelFilter, StableLabel
    from step_ros.perception.latency import Latency
    from step_ros.perception.overlay import draw_overlay
    from step_ros.perception.perceiver import Perceiver
    from step_ros.perception.prediction import UNKNOWN, Perception, Prediction
    from step_ros.perception.stable_labels import StableLabels
    from step_ros.perception.token_window import TokenWindow
    from step_ros.perception.window_pass import WindowPass
    from step_ros.perception.worker import PerceptionWorker
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "UNKNOWN",
    "Direction",
    "DirectionCheck",
    "EngineKeeper",
    "FilterSettings",
    "Freshness",
    "LabelFilter",
    "Latency",
    "Perceiver",
    "Perception",
    "PerceptionWorker",
    "Prediction",
    "StableLabel",
    "StableLabels",
    "TokenWindow",
    "WindowPass",
    "draw_overlay",
]
