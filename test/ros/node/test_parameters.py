"""The node's parameters: as documented in config/perception.yaml, described, and guarded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from step_ros.backbones.engines import ENGINE_NAMES
from step_ros.ros.node.parameters import declare_parameters, value_of, value_of_camera
from step_ros.runs.parameters import PARAMETERS
from step_ros.shared_files import shared_folder


@pytest.fixture
def make_node() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes = []

    def make(**overrides: Any) -> Node:
        given = [Parameter(name.replace("__", "."), value=value) for name, value in overrides.items()]
        nodes.append(Node("perception", context=context, parameter_overrides=given))
        declare_parameters(nodes[-1])
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    values = {}
    for name, value in content.items():
        nested = isinstance(value, dict)
        values |= flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return values


def test_the_yaml_file_documents_all_parameters_with_their_defaults(make_node: Any) -> None:
    text = (shared_folder() / "config" / "perception.yaml").read_text()
    documented = flat(yaml.safe_load(text)["/**"]["ros__parameters"])
    node = make_node()
    declared = {spec.name: value_of(node, spec.name) for spec in PARAMETERS}
    assert documented == declared
    assert {name: type(value) for name, value in documented.items()} == {
        name: type(value) for name, value in declared.items()
    }
    words = " ".join(text.replace("#", " ").split())
    for spec in PARAMETERS:
        assert " ".join(spec.description.split()) in words, spec.name


@pytest.mark.parametrize("spec", PARAMETERS, ids=lambda spec: spec.name)
def test_every_parameter_describes_itself(make_node: Any, spec: Any) -> None:
    descriptor = make_node().describe_parameter(spec.name)
    assert descriptor.description.startswith(spec.description)
    assert descriptor.read_only == spec.read_only
    if type(spec.default) in (int, float):
        assert spec.within.unit in descriptor.description and spec.within.unit
        assert len(descriptor.integer_range) + len(descriptor.floating_point_range) == 1


def test_a_number_out_of_its_range_is_refused(make_node: Any) -> None:
    node = make_node()
    (result,) = node.set_parameters([Parameter("annotated_image.jpeg_quality", value=101)])
    assert not result.successful
    with pytest.raises(ParameterException):
        make_node(filter__threshold=1.5)


def test_a_number_just_out_of_its_range_is_refused(make_node: Any) -> None:
    """Rclpy forgives what is within a millionth, and the filter does not."""
    (result,) = make_node().set_parameters([Parameter("filter.threshold", value=1.0 + 1e-7)])
    assert not result.successful and "filter.threshold must be from 0.0 to 1.0" in result.reason


def test_a_text_that_is_no_choice_is_refused(make_node: Any) -> None:
    with pytest.raises(ParameterException, match="raw, compressed"):
        make_node(image_transport="smoke")


def test_the_parameter_offers_every_engine() -> None:
    (engine,) = (spec for spec in PARAMETERS if spec.name == "engine")
    assert engine.choices == ENGINE_NAMES and engine.default == "auto"


def test_what_is_fixed_at_the_start_cannot_be_changed(make_node: Any) -> None:
    (result,) = make_node().set_parameters([Parameter("diagnostics.period", value=2.0)])
    assert not result.successful


def test_what_may_change_changes(make_node: Any) -> None:
    node = make_node(top_k=1)
    assert value_of(node, "top_k") == 1
    (result,) = node.set_parameters([Parameter("top_k", value=5)])
    assert result.successful and value_of(node, "top_k") == 5


def test_a_camera_has_a_transport_of_its_own_or_that_of_all(make_node: Any) -> None:
    node = make_node(cameras=["front", "wrist"], front__image_transport="compressed")
    assert value_of_camera(node, "front", "image_transport") == "compressed"
    assert value_of_camera(node, "wrist", "image_transport") == "raw"
    node.set_parameters([Parameter("image_transport", value="compressed")])
    assert value_of_camera(node, "wrist", "image_transport") == "compressed"
    with pytest.raises(ParameterException, match="front.image_transport must be one of raw, compressed"):
        make_node(cameras=["front"], front__image_transport="smoke")


def test_a_parameter_of_a_camera_that_there_is_not_is_named(
    make_node: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    make_node(cameras=["front"], fornt__image_transport="raw")
    assert "fornt.image_transport (did you mean front.image_transport?)" in capfd.readouterr().err


def test_a_misspelt_parameter_is_named(make_node: Any, capfd: pytest.CaptureFixture[str]) -> None:
    make_node(filter__on_second=1.0)
    assert "filter.on_second (did you mean filter.on_seconds?)" in capfd.readouterr().err
