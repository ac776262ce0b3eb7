"""What the launch file's arguments come to, and the real node started with that; it needs no launch."""

from __future__ import annotations

from typing import Any

import pytest
from rclpy.qos import ReliabilityPolicy
from vision_msgs.msg import Classification

from step_ros.ros.launch_arguments import ARGUMENTS, LaunchArgumentError, node_launch, parse_arguments


def test_every_argument_is_described_and_its_default_is_allowed() -> None:
    for argument in ARGUMENTS:
        assert len(argument.description) > 40, argument.name
        assert not argument.choices or argument.default in argument.choices, argument.name


def test_what_is_left_empty_the_parameter_file_says() -> None:
    asked = node_launch({})
    assert asked.parameters == {"use_sim_time": False, "autostart": True}
    assert asked.remappings == [("image", "/camera/image_raw")]
    assert (asked.name, asked.namespace, asked.respawn) == ("perception", "", False)


def test_heads_and_their_backbone_are_given_to_the_node() -> None:
    asked = node_launch(parse_arguments(["models:=heads/verb", "backbone:=/models/dinov2-small"]))
    assert asked.parameters["models"] == ["heads/verb"]
    assert asked.parameters["backbone"] == "/models/dinov2-small"
    assert 'backbone:="/models/dinov2-small"' in asked.command_line()


@pytest.mark.parametrize("text", ["front, wrist", "[front,wrist]", "['front', \"wrist\"]", "front wrist"])
def test_several_cameras_with_topics_transports_and_reliabilities_of_their_own(text: str) -> None:
    asked = node_launch(
        parse_arguments(
            [
                f"cameras:={text}",
                "front.image:=/arm/camera",
                "front.image_transport:=compressed",
                "wrist.image_reliability:=best_effort",
            ]
        )
    )
    assert asked.parameters["cameras"] == ["front", "wrist"]
    assert asked.parameters["front.image_transport"] == "compressed"
    assert asked.parameters["wrist.image_reliability"] == "best_effort"
    assert ("front/image", "/arm/camera") in asked.remappings


def test_arguments_of_launch_files_around_it_are_passed_over() -> None:
    assert node_launch({"robots": "[a, b]", "colour.scheme": "dark"}) == node_launch({})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cameras:=[front]", "wrist.image:=/x"], r"no camera wrist: cameras are \[front\]"),
        (["front.image_transport:=jpeg"], "front.image_transport must be one of raw, compressed"),
        (["image_transport:=jpeg"], "image_transport must be one of empty, raw, compressed"),
        (["respawn:=yes"], "respawn must be one of true, false, got 'yes'"),
        (["imge:=/x"], "no argument imge; did you mean image"),
        (["--image=/x"], "written name:=value, got '--image=/x'"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], message: str) -> None:
    with pytest.raises(LaunchArgumentError, match=message):
        node_launch(parse_arguments(words))


def test_the_node_runs_as_its_arguments_say(graph: Any, models: Any) -> None:
    words = [
        f"namespace:={graph.namespace}",
        "name:=eyes",
        f"models:=[{', '.join(map(str, models.heads))}]",
        "cameras:=[front, wrist]",
        "front.image:=arm/camera",
        "wrist.image_reliability:=best_effort",
    ]
    graph.film("arm/camera")
    graph.film("wrist/image")
    node = graph.start("step_ros.cli", "node", *words)
    heard = [graph.client.listen(Classification, f"eyes/{camera}/object") for camera in ("front", "wrist")]
    graph.wait_for(lambda: all(heard) or not node.running, "labels of both cameras")
    assert node.running, node.output
    offered = {
        topic: graph.client.get_subscriptions_info_by_topic(f"{graph.namespace}/{topic}")[0].qos_profile
        for topic in ("arm/camera", "wrist/image")
    }
    assert offered["arm/camera"].reliability == ReliabilityPolicy.RELIABLE
    assert offered["wrist/image"].reliability == ReliabilityPolicy.BEST_EFFORT
    assert "no such parameters" not in node.output
    node.popen.terminate()
    assert node.wait() == 0, node.output
