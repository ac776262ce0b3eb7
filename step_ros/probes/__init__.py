"""From patch tokens to logits: STEP and its rivals, and the folder that a trained head is kept in."""

from typing import TYPE_CHECKING

from step_ros.lazy import names_on_demand

if TYPE_CHECKING:
    from step_ros.probes.attentive import AttentiveProbe
    from step_ros.probes.head import Head
    from step_ros.probes.head_config import HeadConfig, HeadError, ProbeConfig
    from step_ros.probes.kinds import PROBE_KINDS
    from step_ros.probes.linear import LinearProbe
    from step_ros.probes.moments import MomentsProbe
    from step_ros.probes.normalization import TokenNormalization
    from step_ros.probes.probe import Probe
    from step_ros.probes.self_attention import SelfAttentionProbe
    from step_ros.probes.step import StepProbe
    from step_ros.probes.step_ablation import StepAblation
    from step_ros.probes.step_options import StepOptions
    from step_ros.probes.streaming.heads import StreamingHeads
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "PROBE_KINDS",
    "AttentiveProbe",
    "Head",
    "HeadConfig",
    "HeadError",
    "LinearProbe",
    "MomentsProbe",
    "Probe",
    "ProbeConfig",
    "SelfAttentionProbe",
    "StepAblation",
    "StepOptions",
    "StepProbe",
    "StreamingHeads",
    "TokenNormalization",
]
