"""The SROS 2 policy that comes with the node allows what it really opens, and nothing more."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rclpy.node import NodeNameNonExistentError

from step_ros.shared_files import shared_folder

from ..sure_models import make_head

POLICY = shared_folder() / "config" / "sros2" / "perception.policy.xml"


def allowed(kind: str, attribute: str) -> set[str]:
    """Names below `<topics publish="ALLOW">` and the like, as the policy has them."""
    (profile,) = ElementTree.parse(POLICY).iter("profile")
    assert (profile.get("ns"), profile.get("node")) == ("/", "perception")
    return {
        entry.text or ""
        for group in profile.findall(kind)
        if group.get(attribute) == "ALLOW"
        for entry in group
    }


def test_the_policy_is_what_the_node_opens(graph: Any, models: Any, tmp_path: Path) -> None:
    # With the tasks of the bundled models, which the policy has.
    fine = tmp_path / "fine_grained_action"
    labels, backbone = ("idle", "push_box", "pull_box"), models.heads[0].parent / "backbone"
    make_head(fine, fine.name, backbone, seed=4, labels=labels, pairs=(labels[1:],))
    graph.start_ready_node("use_sim_time:=true", "bond_heartbeat_period:=0.25", models=[*models.heads, fine])

    def policy_name(name: str) -> str:
        """As the policy writes a full name."""
        own = f"{graph.namespace}/perception/"
        inside = name.removeprefix(own)
        return f"~{inside}" if inside != name else name.removeprefix(f"{graph.namespace}/")

    def opened(look: Any) -> set[str]:
        # Diagnostics may arrive before discovery has told whose they are.
        with contextlib.suppress(NodeNameNonExistentError):
            return {policy_name(name) for name, _ in look("perception", graph.namespace)}
        return set()

    client = graph.client
    for look, expected in (
        (client.get_publisher_names_and_types_by_node, allowed("topics", "publish")),
        (client.get_subscriber_names_and_types_by_node, allowed("topics", "subscribe")),
        (client.get_service_names_and_types_by_node, allowed("services", "reply")),
        (client.get_client_names_and_types_by_node, set()),
    ):
        with contextlib.suppress(pytest.fail.Exception):  # the assertion says what differs
            graph.wait_for(lambda: opened(look) == expected, "discovery", timeout=30)  # noqa: B023
        assert opened(look) == expected


def test_the_policy_has_a_version_that_sros2_knows() -> None:
    assert ElementTree.parse(POLICY).getroot().get("version") == "0.2.0"
