"""Frozen image encoders: a frame in, its patch tokens out."""

from step_ros.backbones.identity import BackboneIdentity

__all__ = ["BackboneIdentity"]
