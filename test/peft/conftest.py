"""Tiny backbones of every kind, and adapters in them."""

from __future__ import annotations

from ..adapted_towers import make_adapted, make_tower, tower, windows  # noqa: F401
