"""What opens in Foxglove, RViz and rqt names topics that there are."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import yaml

from ..published_topics import published_topics

CONFIG = Path(__file__).resolve().parents[2] / "config"
PICTURE = "/perception/annotated_image/compressed"
CAMERA = "/camera/image_raw"


def test_every_topic_of_the_foxglove_layout_is_the_nodes() -> None:
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())
    text = json.dumps(layout["configById"])
    named = {match for match in re.findall(r'"(/[a-z_/]+)', text)}
    models = yaml.safe_load((CONFIG / "perception.yaml").read_text())["/**"]["ros__parameters"]["models"]
    tasks = {
        json.loads((CONFIG.parent / "models" / model / "config.json").read_text())["task"] for model in models
    }
    labels = {f"/perception/{task}{suffix}" for task in tasks for suffix in ("", "/stable")}
    assert named == labels | {PICTURE, "/diagnostics"}
    assert named <= published_topics()


def test_every_panel_of_the_layout_is_configured_and_the_other_way_round() -> None:
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())

    def panels(node: object) -> set[str]:
        return {node} if isinstance(node, str) else panels(node["first"]) | panels(node["second"])  # type: ignore[index]

    assert panels(layout["layout"]) == set(layout["configById"])


def test_rviz_shows_the_annotated_image() -> None:
    displays = yaml.safe_load((CONFIG / "perception.rviz").read_text())["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays}
    assert PICTURE in topics and topics - {CAMERA} <= published_topics()
    assert {display["Class"] for display in displays} == {"rviz_default_plugins/Image"}


def test_rqt_shows_the_annotated_image_diagnostics_and_the_log() -> None:
    manager = json.loads((CONFIG / "perception.perspective").read_text())["groups"]["pluginmanager"]

    def values(group: Any) -> dict[str, Any]:
        """As rqt reads them."""
        assert {value["type"] for value in group["keys"].values()} <= {"repr"}
        return {key: ast.literal_eval(value["repr"]) for key, value in group["keys"].items()}

    running = values(manager)["running-plugins"]
    assert set(running) == {
        "rqt_console/Console",
        "rqt_image_view/ImageView",
        "rqt_runtime_monitor/RuntimeMonitor",
    }
    instances = {
        f"plugin__{plugin.replace('/', '__')}__{number}"
        for plugin, numbers in running.items()
        for number in numbers
    }
    assert set(manager["groups"]) <= instances
    settings = {name: values(group["groups"]["plugin"]) for name, group in manager["groups"].items()}
    assert settings == {"plugin__rqt_image_view__ImageView__1": {"topic": PICTURE}}
    assert PICTURE in published_topics()
