"""A ROS graph, and models and recordings to try in it."""

from __future__ import annotations

from ..ros_graph import graph, module_graph, pytest_collection_modifyitems  # noqa: F401
from ..sure_models import models, recording, short_recording  # noqa: F401
