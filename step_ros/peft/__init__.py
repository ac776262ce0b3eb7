"""Adapters inside a frozen backbone: what probes on one frozen pass are compared with, and can be put on."""

from step_ros.peft.adapted_tower import AdaptedTower
from step_ros.peft.adapter import Adapter
from step_ros.peft.adapter_config import ADAPTERS, AdapterConfig, AdapterError

__all__ = ["ADAPTERS", "AdaptedTower", "Adapter", "AdapterConfig", "AdapterError"]
