"""What the bond needs of the machine; what it does, test/behaviour/test_lifecycle_manager.py shows."""

from __future__ import annotations

import sys

import pytest

from step_ros.ros.node.bond import status_message


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bond", None)
    monkeypatch.setitem(sys.modules, "bond.msg", None)
    monkeypatch.setenv("ROS_DISTRO", "humble")
    with pytest.raises(
        RuntimeError, match=r"apt install ros-humble-bond, or set bond_heartbeat_period to 0\.0"
    ):
        status_message()
