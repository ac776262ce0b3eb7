"""The planner of the documentation, beside a real node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "handover_planner.py"


def test_it_reacts_to_what_the_node_is_sure_of_until_that_is_killed(
    graph: Any, recording: Any, tmp_path: Path
) -> None:
    log = tmp_path / "planner.log"
    arguments = ["--ros-args", "-p", f"perception:={graph.namespace}/perception", "-p", "task:=atomic_action"]
    with log.open("w") as output:
        planner = subprocess.Popen(
            [sys.executable, str(EXAMPLE), *arguments], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        node = graph.start_ready_node("image_transport:=compressed", image="camera")
        graph.wait_for(lambda: "no action is known yet" in log.read_text(), "the planner to start")
        graph.start_player(recording, "--loop")
        # The node's head is sure of `push`, of which nothing is planned.
        graph.wait_for(
            lambda: "nothing is planned for this, because of push since" in log.read_text(), "a reaction"
        )
        node.kill()
        graph.wait_for(lambda: "the perception node is gone" in log.read_text(), "the planner to notice")
    finally:
        planner.terminate()
        planner.wait()
