"""Heads stream within the memory that the parameters allow, and diagnostics say which do."""

from __future__ import annotations

from typing import Any

import pytest
from vision_msgs.msg import Classification

from step_ros.shared_files import shared_folder

TASKS = ("fine_grained_action", "object")


@pytest.mark.parametrize(("limit", "streaming"), [(1024.0, TASKS), (0.0, ())])
def test_heads_without_room_to_stream_answer_all_the_same(
    graph: Any, limit: float, streaming: tuple[str, ...]
) -> None:
    """With heads that are large enough to gain by it."""
    models = [shared_folder() / "models" / "tabletop" / task for task in TASKS]
    graph.film()
    graph.start_ready_node(f"heads_memory_mb:={limit}", "heads_mode:=float32", models=models)
    labels = graph.client.listen(Classification, "perception/object")
    graph.wait_for(lambda: labels, "a label")
    assert graph.client.values["tasks_streaming"] == ", ".join(streaming)
    assert (float(graph.client.values["streaming_memory_mb"]) > 0) == bool(streaming)
