"""Recordings of a moving square, and heads for them."""

from __future__ import annotations

from ..moving_square import make_recording, models, recording  # noqa: F401
from ..tiny_models import one_thread  # noqa: F401
