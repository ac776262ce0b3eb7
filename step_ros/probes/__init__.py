"""From patch tokens to logits: STEP, and the folder that a trained head is kept in."""

from step_ros.probes.head import Head
from step_ros.probes.head_config import HeadConfig, HeadError, ProbeConfig
from step_ros.probes.normalization import TokenNormalization
from step_ros.probes.step import StepProbe
from step_ros.probes.streaming import StreamingHeads

__all__ = [
    "Head",
    "HeadConfig",
    "HeadError",
    "ProbeConfig",
    "StepProbe",
    "StreamingHeads",
    "TokenNormalization",
]
