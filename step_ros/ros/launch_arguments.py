"""What perception.launch.py can be told, and the node that it then starts; needs neither launch nor rclpy."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from step_ros.runs.parameters import BY_NAME, EACH_CAMERA
from step_ros.shared_files import shared_folder

TRUTH = ("true", "false")


class LaunchArgumentError(ValueError):
    """An argument is none, or has a value that it must not have; the message says which it may have."""


@dataclass(frozen=True)
class LaunchArgument:
    """One argument, as `ros2 launch --show-args` tells of it."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()
    """The values that it may have, if only some make sense."""


ARGUMENTS = (
    LaunchArgument(
        "image",
        "/camera/image_raw",
        "The camera's image topic; for compressed images the part before '/compressed'.",
    ),
    LaunchArgument(
        "image_transport",
        "",
        "Which images to subscribe. Empty: as params_file says.",
        ("", *BY_NAME["image_transport"].choices),
    ),
    LaunchArgument(
        "image_reliability",
        "",
        "Reliability of the image subscription. Empty: as params_file says.",
        ("", *BY_NAME["image_reliability"].choices),
    ),
    LaunchArgument(
        "models",
        "",
        "The heads, one for each task, separated by commas: folders, bundled heads such as tabletop/object, "
        "or names on the Hugging Face hub. Empty: as params_file says.",
    ),
    LaunchArgument(
        "backbone",
        "",
        "The backbone that all heads were trained on: a folder, or a name on the Hugging Face hub. Empty: as "
        "params_file says, by default the folder 'backbone' beside the first head.",
    ),
    LaunchArgument(
        "cameras",
        "",
        "Names of several cameras, separated by commas, such as '[front, wrist]'. Each has arguments of its "
        "own: front.image (by default front/image, below the namespace), front.image_transport, "
        "front.image_reliability. Empty: as params_file says, by default the one camera on image.",
    ),
    LaunchArgument(
        "autostart",
        "true",
        "Whether the node configures and activates itself; if not, a lifecycle manager has to.",
        TRUTH,
    ),
    LaunchArgument(
        "params_file",
        str(shared_folder() / "config" / "perception.yaml"),
        "YAML file with the node's parameters; the default one documents them all.",
    ),
    LaunchArgument("name", "perception", "Name of the node: labels are on /<namespace>/<name>/<task>."),
    LaunchArgument("namespace", "", "Namespace of the node, for example the robot's or the camera's name."),
    LaunchArgument(
        "use_sim_time",
        "false",
        "Take the time from /clock: for simulations, and for recordings with their own stamps.",
        TRUTH,
    ),
    LaunchArgument(
        "respawn",
        "false",
        "Whether the node is started again, 2 s later, when it has ended; a node that cannot start is, too.",
        TRUTH,
    ),
    LaunchArgument(
        "log_level",
        "info",
        "Least severity of the node's log messages.",
        ("debug", "info", "warn", "error", "fatal"),
    ),
)

CAMERA_ARGUMENTS = ("image", *EACH_CAMERA)
"""What each of several cameras has of its own, after its name and a dot."""


@dataclass(frozen=True)
class NodeLaunch:
    """The node to start."""

    name: str
    namespace: str
    params_file: str
    parameters: dict[str, str | bool | list[str]]
    """What holds against `params_file`."""
    remappings: list[tuple[str, str]]
    """Topics, from and to."""
    respawn: bool
    log_level: str

    def command_line(self) -> list[str]:
        """The arguments of the executable `perception`, where no launch makes them."""
        line = ["--ros-args", "-r", f"__node:={self.name}", "-r", f"__ns:=/{self.namespace.strip('/')}"]
        line += ["--params-file", self.params_file]
        for name, value in self.parameters.items():
            line += ["-p", f"{name}:={json.dumps(value)}"]  # which is YAML, too
        for source, target in self.remappings:
            line += ["-r", f"{source}:={target}"]
        return [*line, "--log-level", self.log_level]


def node_launch(given: Mapping[str, str]) -> NodeLaunch:
    """The node that arguments ask for; what they leave empty, the parameter file says.

    Args:
        given: arguments by name, cameras' own among them; others, which a launch file around this one may
            have, are passed over.

    Raises:
        LaunchArgumentError: a value is not allowed, or is for a camera that there is not.
    """
    values = {argument.name: given.get(argument.name, argument.default) for argument in ARGUMENTS}
    for argument in ARGUMENTS:
        _check(argument.name, values[argument.name], argument.choices)
    parameters: dict[str, str | bool | list[str]] = {
        name: values[name] == "true" for name in ("use_sim_time", "autostart")
    }
    for name in (*EACH_CAMERA, "backbone"):
        if values[name]:
            parameters[name] = values[name]
    for name in ("models", "cameras"):
        if names := _names(values[name]):
            parameters[name] = names
    remappings = [("image", values["image"])]
    cameras = _names(values["cameras"])
    for given_name, value in given.items():
        camera, name = camera_argument(given_name)
        if not camera:
            continue
        if cameras and camera not in cameras:
            raise LaunchArgumentError(
                f"{given_name} is given, and there is no camera {camera}: cameras are [{', '.join(cameras)}]"
            )
        if name == "image":
            remappings.append((f"{camera}/image", value))
        else:
            _check(given_name, value, BY_NAME[name].choices)
            parameters[given_name] = value
    return NodeLaunch(
        name=values["name"],
        namespace=values["namespace"],
        params_file=values["params_file"],
        parameters=parameters,
        remappings=remappings,
        respawn=values["respawn"] == "true",
        log_level=values["log_level"],
    )


def parse_arguments(words: list[str]) -> dict[str, str]:
    """Arguments as one writes them, ``name:=value``, by name.

    Raises:
        LaunchArgumentError: one is not written so, or is unknown.
    """
    given = {}
    known = [argument.name for argument in ARGUMENTS]
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator:
            raise LaunchArgumentError(f"arguments are written name:=value, got {word!r}")
        if name not in known and not camera_argument(name)[0]:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
            raise LaunchArgumentError(f"there is no argument {name}; {hint}")
        given[name] = value
    return given


def camera_argument(name: str) -> tuple[str, str]:
    """The camera that an argument is for, and what of it; no camera if it is not for one."""
    camera, _, own = name.rpartition(".")
    return (camera, own) if own in CAMERA_ARGUMENTS else ("", name)


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if choices and value not in choices:
        allowed = ", ".join(choice or "empty" for choice in choices)
        raise LaunchArgumentError(f"{name} must be one of {allowed}, got {value!r}")


def _names(text: str) -> list[str]:
    """The names of a list as one writes it, with or without brackets and quotation marks."""
    return [name for name in re.split(r"[\s,'\"]+", text.strip().strip("[]")) if name]
