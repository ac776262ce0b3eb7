"""Which heads a node may have."""

from __future__ import annotations

from typing import Any

import pytest

from step_ros.probes import HeadError
from step_ros.ros.node.pipeline import chosen_heads


def test_a_task_named_like_a_topic_of_the_nodes_is_refused_while_it_is_on() -> None:
    heads: dict[str, Any] = {"object": "a head", "alive": "another"}
    assert chosen_heads(heads, ["object"]) == {"object": "a head"}
    with pytest.raises(HeadError, match="must not be named alive"):
        chosen_heads(heads, ["all"])
