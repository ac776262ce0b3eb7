"""Parameter files: values in range or an error before anything starts, and of a replay what a node reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

rclpy = pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from rclpy.exceptions import ParameterException  # noqa: E402
from rclpy.node import Node  # noqa: E402

from step_ros.ros.node.parameters import declare_parameters, value_of  # noqa: E402
from step_ros.runs.parameters import PARAMETERS  # noqa: E402
from step_ros.runs.settings import SettingsError, read_settings  # noqa: E402
from step_ros.shared_files import shared_folder  # noqa: E402

from .mutations import SCALARS, cases, mutated  # noqa: E402

FULL_NAME = "/perception"

REFUSALS = (ParameterException, ValueError, RuntimeError, OSError)
"""What the process `perception` answers with a sentence and exit code 1."""


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


def assert_replay_agrees(path: Path, node: Node) -> None:
    """A replay may refuse more than a node does, and never reads anything else."""
    try:
        settings = read_settings(path, node=FULL_NAME)
    except SettingsError as error:
        assert str(path) in str(error)
    else:
        assert settings.to_json() == {name: value_of(node, name) for name in settings.to_json()}


def test_parameter_files(context: Any, tmp_path: Path) -> None:
    good = (shared_folder() / "config" / "perception.yaml").read_bytes()
    some = st.dictionaries(
        st.sampled_from([spec.name for spec in PARAMETERS]) | st.text(max_size=12),
        SCALARS | st.lists(SCALARS, max_size=3),
        max_size=4,
    ).map(lambda values: yaml.safe_dump({"/**": {"ros__parameters": values}}).encode())
    path = tmp_path / "parameters.yaml"

    @cases(usually=150)
    @given(content=some | mutated([good]) | st.just(good))
    def try_it(content: bytes) -> None:
        path.write_bytes(content)
        node = None
        try:
            node = Node(
                "perception",
                context=context,
                cli_args=["--ros-args", "--params-file", str(path)],
                start_parameter_services=False,
                enable_rosout=False,
            )
            declare_parameters(node)
        except REFUSALS as error:
            assert str(error)
            with pytest.raises(ValueError, match="parameters.yaml"):
                settings = read_settings(path, node=FULL_NAME)
                pytest.fail(f"a node refuses what a replay reads as {settings}")
        else:
            assert_replay_agrees(path, node)
            for spec in PARAMETERS:
                value = value_of(node, spec.name)
                if spec.choices:
                    assert value in spec.choices
                elif spec.within is not None and not math.isnan(value):
                    assert spec.within.least <= value <= spec.within.most
                assert type(value) is type(spec.default), spec.name
        finally:
            if node is not None:
                node.destroy_node()

    try_it()
