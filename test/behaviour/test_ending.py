"""What planners are left with when the node ends: told to at any moment, or killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from vision_msgs.msg import Classification

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
TASKS = ("atomic_action", "object")

SIGNALLED_AT_AN_IMPORT = """
import os, sys

class Signaller:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Signaller())
from step_ros.ros.node.process import main
sys.exit(main())
"""


@SIGNALS
@pytest.mark.parametrize("module", ["rclpy", "torch", "torch.nn", "step_ros.ros.node.node"])
def test_a_signal_during_an_import_ends_the_node_there(
    graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, number: signal.Signals
) -> None:
    script = SIGNALLED_AT_AN_IMPORT.format(module=module, number=int(number))
    (tmp_path / "signalled.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    node = graph.start_node(module="signalled")
    assert node.wait() == 0, node.output
    assert node.output == ""


@SIGNALS
def test_told_to_end_it_takes_its_labels_back(graph: Any, number: signal.Signals) -> None:
    graph.film()
    node = graph.start_ready_node()
    stable = {
        task: graph.client.listen(Classification, f"perception/{task}/stable", latched=True) for task in TASKS
    }
    graph.wait_for(lambda: all(said and said[-1].results for said in stable.values()), "labels")
    node.signal(number)
    node.signal(number)  # ros2 launch passes on the Ctrl-C that a node has had already
    assert graph.spin_until_exit(node) == 0, node.output
    graph.wait_for(lambda: not any(said[-1].results for said in stable.values()), "labels to be taken back")
    late = graph.client.listen(Classification, "perception/object/stable", latched=True)
    graph.spin(1.0)
    assert late == []
    assert "Traceback" not in node.output
