"""Tiny backbones of every kind, adapters in them, and clips to train them on."""

from __future__ import annotations

from ..adapted_towers import make_adapted, make_tower, tower, windows  # noqa: F401
from ..drawn_clips import backbone, backbone_folder, clips_csv, pixel_store  # noqa: F401
