"""Adapters inside a frozen backbone: what probes on one frozen pass are compared with, and can be put on."""

from typing import TYPE_CHECKING

from step_ros.lazy import names_on_demand

if TYPE_CHECKING:
    from step_ros.peft.adapted_tower import AdaptedTower
    from step_ros.peft.adapter import Adapter
    from step_ros.peft.adapter_config import ADAPTERS, AdapterConfig, AdapterError
else:
    __getattr__ = names_on_demand(__name__)

__all__ = ["ADAPTERS", "AdaptedTower", "Adapter", "AdapterConfig", "AdapterError"]
