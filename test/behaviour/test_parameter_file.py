"""Parameter files, awkward ones among them, say the same to a node and to a replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

from step_ros.runs.parameter_file import SettingsError, read_parameter_file

SCALARS = (
    *("1", "+1", "-0", "010", "08", "0x10", "-0x10", "0X1F", "0x", "0x1g", "0o17", "0b101", "1_000", "1:30"),
    *("1.", ".5", "+.5", "5e-1", "1e3", "1E+3", "e5"),
    *("1e", "1d5", "1.5.2", "--1", "0x1p3", "0x1.8", "0x1.8p1"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    *("0x8000000000000000", "0777777777777777777777777", "1" * 5000),
    *("1e400", "-1e400", "1e-400", "4e-310", "0e-400", "0x1p5000", "0.0", "-0.0"),
    *(".nan", ".NaN", "nan", "NaN", "nan(12)", "-nan", "-.nan"),
    *(".inf", "+.inf", "-.INF", ".iNF", "inf", "-inf", "Infinity", "infinity"),
    *("yes", "Y", "y", "on", "NO", "n", "off", "Off", "True", "tRUE", "FALSE"),
    *("~", "null", "Null", "=", "<<", "2020-01-01", "a b", "1 2", "١", "\u00a01", "😀", "x:y"),
    *("'1'", '"1.5"', "'yes'", "''", '""', "'  1'", '"\\t1"', "!!str 5", "!!str yes", "!!int '5'"),
    *("!!float 1", "!mine 5", "&x 5", "|\n      5"),
    *("|-\n      5", ">-\n      5", "|2-\n       5", "|-\n      yes"),
    *("[]", "[1, 2]", "[true, yes]", "[a, b]", "['1', a]"),
    *("[a, '']", "['']", "[~]", "[.5, 5e-1]", "[front, ]"),
)

REFUSED_SCALARS = ("", "|", "[1, 2.0]", "[a, 1]", "[,]", "[a, b", "*x", "{a: }", "[[1], [2]]")


def section(name: str, content: str) -> str:
    return f"{name}:\n  ros__parameters:\n    {content}\n"


FILES = {
    "every node": section("/**", "a: 1"),
    "every node, in quotation marks": section('"/**"', "a: 1"),
    "every node, without a slash": section('"**"', "a: 1"),
    "one name, any": section('"*"', "a: 1"),
    "one name, any, below the root": section("/*", "a: 1"),
    "a node": section("perception", "a: 1"),
    "a node, from the root": section("/perception", "a: 1"),
    "a node with a namespace": section("/robot/perception", "a: 1"),
    "a node with a namespace, without a slash": section("robot/perception", "a: 1"),
    "any namespace of one name": section("/*/perception", "a: 1"),
    "any namespaces": section("/**/perception", "a: 1"),
    "any node of a namespace": section("/robot/*", "a: 1"),
    "any node below a namespace": section("/robot/**", "a: 1"),
    "any node of any namespaces": section("/**/*", "a: 1"),
    "any node two levels down": section("/*/*", "a: 1"),
    "a namespace among any": section("/**/arm/*", "a: 1"),
    "other nodes": section("/camera", "a: 1") + section("/robot/camera", "a: 1"),
    "namespaces as levels": "robot:\n  perception:\n    ros__parameters:\n      a: 1\n",
    "namespaces as levels, from the root": "/robot:\n  perception:\n    ros__parameters:\n      a: 1\n",
    "namespaces that end in a slash": "/robot/:\n  perception:\n    ros__parameters:\n      a: 1\n",
    "the root as a level": "/:\n  perception:\n    ros__parameters:\n      a: 1\n",
    "a wildcard as a level": "/**:\n  perception:\n    ros__parameters:\n      a: 1\n",
    "levels of several nodes": (
        "robot:\n  arm:\n    perception:\n      ros__parameters:\n        a: 1\n"
        "  camera:\n    ros__parameters:\n      a: 2\n  perception:\n    ros__parameters:\n      a: 3\n"
    ),
    "the later holds, wildcard first": section("/**", "a: 1") + section("/perception", "a: 2"),
    "the later holds, wildcard last": section("/perception", "a: 2") + section("/**", "a: 1.5"),
    "one node, twice": section("/perception", "a: 1")
    + section("/**", "a: 2")
    + section("/perception", "b: 3"),
    "one node, spelt in two ways": section("/perception", "a: 2") + section("perception", "a: 1"),
    "groups": "/**:\n  ros__parameters:\n    f:\n      g:\n        h: 3\n      i: 2\n    j: 1\n",
    "a group with dots": "/**:\n  ros__parameters:\n    f.g:\n      a: {x.y: 1}\n      b: 2\n    h: 2\n",
    "a group twice": "/**:\n  ros__parameters:\n    f:\n      a: 1\n    f:\n      b: 2\n    g: 1\n",
    "no parameters": "/**:\n  ros__parameters: {}\n" + section("/perception", "a: 1"),
    "no nodes in it": "/camera: {}\n" + section("/**", "a: 1"),
    "a longer key": "/**:\n  ros__parameters_of_mine:\n    a: 1\n",
    "the key twice": "/**:\n  ros__parameters:\n    ros__parameters:\n      a: 1\n",
    "a merge key": "/**:\n  ros__parameters:\n    <<: {a: 1}\n",
    "names that look like values": "/**:\n  ros__parameters:\n    1: 1\n    yes: 2\n    ~: 3\n",
    "an anchor": "/**:\n  ros__parameters: &x\n    a: 1\n",
    "documents": section("/**", "a: 1") + "---\n" + section("/**", "b: 2"),
    "a directive": "%YAML 1.1\n---\n" + section("/**", "a: 1"),
    "a byte order mark": "\ufeff" + section("/**", "a: 1"),
    "in one line": '/**: {ros__parameters: {a: 1, "b":2, c: [x]}}\n',
} | {scalar[:20]: section("/**", f"a: {scalar}") for scalar in SCALARS}

REFUSED_FILES = {
    "no key": "/**:\n  a: 1\n",
    "nothing below the key": "/**:\n  ros__parameters:\n",
    "a list below the key": "/**:\n  ros__parameters: [1]\n",
    "the key at the top": "ros__parameters:\n  a: 1\n",
    "a list": "- a\n",
    "a node that is a value": "/perception: 1\n",
    "something after the key": section("/**", "a: 1") + "  other: 1\n",
    "a node below a node": section("/**", "a: 1") + "  perception:\n    ros__parameters:\n      b: 1\n",
    "two slashes": section("//perception", "a: 1"),
    "a slash at the end": section("perception/", "a: 1"),
    "a slash below a namespace": "/robot:\n  /perception:\n    ros__parameters:\n      a: 1\n",
    "part of a wildcard": section("/rob*/perception", "a: 1"),
    "three stars": section("/***", "a: 1"),
    "no name of a node": section("/**", "a: 1") + section("cam-era", "a: 1"),
    "a namespace that begins with a digit": section("/1robot/perception", "a: 1"),
    "an alias": "/**:\n  ros__parameters:\n    a: &x 1\n    b: *x\n",
    "a tabulator": "/**:\n\tros__parameters:\n    a: 1\n",
    "a list as a name": "/**:\n  ros__parameters:\n    ? [a]\n    : 1\n",
    "no name": "/**:\n  ros__parameters:\n    '': 1\n",
    "an empty group": "/**:\n  ros__parameters:\n    f: {}\n    a: 1\n",
} | {f"value {scalar}": section("/**", f"a: {scalar}") for scalar in REFUSED_SCALARS}

ONLY_A_NODE_TAKES = {
    "nothing": "",
    "a comment": "# a: 1\n",
    "a word": "perception\n",
    "a value twice": "/**:\n  ros__parameters:\n    a: 1\n    a: 2\n",
    "a value twice, of two types": "/**:\n  ros__parameters:\n    a: 1.5\n    a: 2\n",
    "a value as a name and in a group": "/**:\n  ros__parameters:\n    f.a: 1\n    f:\n      a: 2\n",
    "a value, then a group": "/**:\n  ros__parameters:\n    f: 1\n    f:\n      a: 2\n",
    "a group in a list": section("/**", "a: [{b: 1}]"),
    "a list in a list": section("/**", "a: [[1]]"),
    "an empty group at the end": section("/**", "a: {}"),
    "the character 0": section("/**", 'a: "x\\0y"'),
    "a slash within a level": "robot:\n  arm/perception:\n    ros__parameters:\n      a: 1\n",
}
"""What rcl takes, to an effect that nobody can have meant, and a replay refuses."""

NAMESPACES = ("", "/robot", "/robot/arm")


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


def said_to_node(context: Any, path: Path, namespace: str) -> dict[str, Any]:
    """What a real node was given."""
    node = Node(
        "perception",
        context=context,
        namespace=namespace,
        cli_args=["--ros-args", "--params-file", str(path)],
        start_parameter_services=False,
        enable_rosout=False,
    )
    try:
        return {name: plain(parameter) for name, parameter in node._parameter_overrides.items()}
    finally:
        node.destroy_node()


def plain(parameter: Parameter) -> Any:
    if parameter.type_ is Parameter.Type.NOT_SET:  # `[]`, which has no type
        return []
    return list(parameter.value) if parameter.type_.name.endswith("ARRAY") else parameter.value


def write(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_node_and_a_replay_read_the_same(context: Any, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "parameters.yaml", FILES[name])
    for namespace in NAMESPACES:
        ours = read_parameter_file(path).said_to(f"{namespace}/perception")
        theirs = said_to_node(context, path, namespace)
        # As text, in which 1 is not 1.0, and nan is nan.
        assert repr(dict(sorted(ours.items()))) == repr(dict(sorted(theirs.items()))), namespace


@pytest.mark.parametrize("name", REFUSED_FILES)
def test_a_node_and_a_replay_refuse_the_same(context: Any, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "parameters.yaml", REFUSED_FILES[name])
    with pytest.raises(SettingsError, match="parameters.yaml"):
        read_parameter_file(path)
    with pytest.raises(RuntimeError):
        said_to_node(context, path, "")


@pytest.mark.parametrize("name", ONLY_A_NODE_TAKES)
def test_what_nobody_can_have_meant_is_refused(context: Any, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "parameters.yaml", ONLY_A_NODE_TAKES[name])
    with pytest.raises(SettingsError, match="parameters.yaml"):
        read_parameter_file(path)
    said_to_node(context, path, "")
