"""Recordings of a moving square, and heads for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.perception import Perceiver
from step_ros.runs.settings import ReplaySettings, read_settings

from ..moving_square import make_recording, models, recording  # noqa: F401
from ..tiny_models import one_thread  # noqa: F401


@pytest.fixture(scope="session")
def settings(models: dict[str, Path]) -> ReplaySettings:  # noqa: F811
    return read_settings(models=[str(folder) for folder in models.values()], engine="eager", device="cpu")


@pytest.fixture(scope="session")
def perceiver(settings: ReplaySettings) -> Perceiver:
    return settings.load()
