"""The planners of the documentation, beside a real node."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..ros_graph import PATIENCE
from ..sure_models import make_head

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

WHAT_A_PLANNER_SEES = """\
late joining: told cup, which began # s before I asked
late joining: ~/alive says that it holds as of # s ago
clock jump: an hour back: cup is taken back after # s
clock jump: diagnostics say: no labels go out: images are # s old by this node's clock as they arrive, \
more than the # s allowed: synchronise the clocks, or for a recording set use_sim_time and play it with /clock
clock jump: right again: cup, begun # s after that
camera swap: labels are of second_camera: cup
head swap: granted: box takes the place of cup
head swap: granted: cup again
orderly stop: cup is taken back, and the node ends with 0
new start: cup, begun since
kill -9: nothing is said, and the lease runs out # s later
"""
"""With # for numbers of seconds."""


def test_it_reacts_to_what_the_node_is_sure_of_until_that_is_killed(
    graph: Any, recording: Any, tmp_path: Path
) -> None:
    log = tmp_path / "planner.log"
    arguments = ["--ros-args", "-p", f"perception:={graph.namespace}/perception", "-p", "task:=atomic_action"]
    with log.open("w") as output:
        planner = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "handover_planner.py"), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
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


@pytest.mark.timeout(5 * PATIENCE)
def test_a_planners_whole_day(graph: Any, models: Any, tmp_path: Path) -> None:
    backbone = models.heads[0].parent / "backbone"
    cup = make_head(tmp_path / "cup", "object", backbone, seed=2, sure_of="cup")
    box = make_head(tmp_path / "box", "object", backbone, seed=2, sure_of="box")
    # On a busy machine labels may be late, which is not what is shown here.
    settings = ("device:=cpu", "engine:=eager", "staleness.timeout:=5.0", "staleness.max_age:=30.0")
    parameters = [part for each in (f"models:=[{cup}]", *settings) for part in ("-p", each)]
    remaps = ["-r", f"__ns:={graph.namespace}"]
    node = [sys.executable, "-m", "step_ros.ros.node.process", "--ros-args", *remaps, *parameters]
    where = ["--perception", f"{graph.namespace}/perception", "--image", f"{graph.namespace}/image"]
    asked = [*where, "--task", "object", "--other-models", str(box), "--", *node]
    day = subprocess.run(
        [sys.executable, str(EXAMPLES / "planner_day.py"), *asked],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
    )
    seen = re.sub(r"\d+(\.\d+)?(?= s )|\d+\.\d+(?= s$)", "#", day.stdout, flags=re.MULTILINE)
    assert (day.returncode, seen) == (0, WHAT_A_PLANNER_SEES), day.stdout + day.stderr
    (lease,) = re.findall(r"runs out ([\d.]+) s later", day.stdout)
    assert float(lease) < 2.0 + PATIENCE / 20


def test_examples_are_an_outsiders() -> None:
    files = list(EXAMPLES.glob("*.py"))
    known = {"rclpy", *(file.stem for file in files), *sys.stdlib_module_names}
    for file in files:
        imported = set(re.findall(r"^\s*(?:from|import) ([a-zA-Z_]+)", file.read_text(), re.MULTILINE))
        assert not [name for name in imported - known if not name.endswith(("_msgs", "_interfaces"))]
