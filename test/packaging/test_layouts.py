"""What opens in Foxglove and RViz names topics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

CONFIG = Path(__file__).resolve().parents[2] / "config"


def bundled_topics() -> set[str]:
    models = yaml.safe_load((CONFIG / "perception.yaml").read_text())["/**"]["ros__parameters"]["models"]
    tasks = {
        json.loads((CONFIG.parent / "models" / model / "config.json").read_text())["task"] for model in models
    }
    topics = {f"/perception/{task}{suffix}" for task in tasks for suffix in ("", "/stable")}
    return topics | {"/perception/annotated_image/compressed", "/diagnostics"}


def test_every_topic_of_the_foxglove_layout_is_the_nodes() -> None:
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())
    text = json.dumps(layout["configById"])
    named = {match for match in re.findall(r'"(/[a-z_/]+)', text)}
    assert named == bundled_topics()


def test_every_panel_of_the_layout_is_configured_and_the_other_way_round() -> None:
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())

    def panels(node: object) -> set[str]:
        return {node} if isinstance(node, str) else panels(node["first"]) | panels(node["second"])  # type: ignore[index]

    assert panels(layout["layout"]) == set(layout["configById"])


def test_rviz_shows_the_annotated_image() -> None:
    displays = yaml.safe_load((CONFIG / "perception.rviz").read_text())["Visualization Manager"]["Displays"]
    assert "/perception/annotated_image/compressed" in [display["Topic"]["Value"] for display in displays]
    assert {display["Class"] for display in displays} == {"rviz_default_plugins/Image"}
