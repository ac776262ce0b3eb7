"""Frozen image encoders: a frame in, its patch tokens out."""

from typing import TYPE_CHECKING

from step_ros.lazy import names_on_demand

if TYPE_CHECKING:
    from step_ros.backbones.backbone import Backbone
    from step_ros.backbones.encoder import Encoder
    from step_ros.backbones.engines import EngineError, EngineSelection, select_engine
    from step_ros.backbones.errors import BackboneError
    from step_ros.backbones.identity import BackboneIdentity
    from step_ros.backbones.preprocess import Preprocess
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "Backbone",
    "BackboneError",
    "BackboneIdentity",
    "Encoder",
    "EngineError",
    "EngineSelection",
    "Preprocess",
    "select_engine",
]
