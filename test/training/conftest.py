"""A data set of drawn videos, a tiny backbone and stores."""

from __future__ import annotations

from ..drawn_clips import (  # noqa: F401
    backbone,
    backbone_folder,
    clip_store,
    clips_csv,
    grid_store,
    pixel_store,
)
