"""What a ROS 2 parameter file says to a node, read as rcl reads it."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

try:  # the parser that rcl has; PyYAML's own is nearly the same
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without it
    from yaml import SafeLoader

Scalar = bool | int | float | str
Given = Scalar | list[Scalar]

PARAMETERS_KEY = "ros__parameters"

_TRUE = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_SPACE = r"[ \t\n\v\f\r]*"
_INTEGER = re.compile(rf"{_SPACE}([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
_DECIMAL = re.compile(rf"{_SPACE}[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(
    rf"{_SPACE}[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
)
_INFINITE = re.compile(rf"{_SPACE}([+-]?)(?:(?i:inf|infinity)|\.(?:inf|Inf|INF))")
_NO_NUMBER = re.compile(rf"(?:{_SPACE}[+-]?(?i:nan)(?:\(\w*\))?|\.(?:nan|NaN|NAN))", re.ASCII)

_TEXT = "tag:yaml.org,2002:str"  # what !!str says
_TOKEN = r"(?:\*\*?|[A-Za-z_][A-Za-z0-9_]*)"
_NODE_NAME = re.compile(rf"/?(?:{_TOKEN}/)*{_TOKEN}")


class SettingsError(ValueError):
    """A parameter file cannot be used; the message names it."""


@dataclass(frozen=True)
class ParameterFile:
    """A parameter file."""

    path: Path
    """Where it is."""
    sections: dict[str, dict[str, Given]]
    """Parameters by name, by the node that the file says them to, in the file's order. A node's name may have
    wildcards: ``*`` for one name, ``**`` for any number of them."""

    def said_to(self, node: str) -> dict[str, Given]:
        """What a node is given, such as the one with the full name ``/robot/perception``.

        Where several sections speak to it, the last one holds.
        """
        given: dict[str, Given] = {}
        for name, parameters in self.sections.items():
            if _pattern(name).fullmatch(node):
                given |= parameters
        return given

    def nodes_called(self, name: str) -> list[str]:
        """The full names, without wildcards, of the nodes of that name to which the file says something."""
        written = ["/" + section.removeprefix("/") for section in self.sections]
        return sorted({full for full in written if "*" not in full and full.rpartition("/")[2] == name})


def read_parameter_file(path: Path) -> ParameterFile:
    """Read a file for ``--params-file``.

    What rcl refuses is refused. So is what rcl takes without a word and nobody can have meant: a file with
    nothing in it, a parameter that a section gives twice, empty groups of parameters, lists that are nested
    or hold groups, and below a namespace a name with a slash, which leads the nodes after it astray.

    Raises:
        SettingsError: the file cannot be read or is no parameter file; the message names the line.
    """
    try:
        content = path.read_bytes()
        for event in yaml.parse(content, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                raise _error(path, event, "aliases such as *name are not for parameter files")
            if isinstance(event, yaml.DocumentStartEvent) and event.version not in (None, (1, 1)):
                raise _error(path, event, "expected YAML 1.1")
        documents = list(yaml.compose_all(content, Loader=_Loader))
    except SettingsError:
        raise
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} cannot be read as a parameter file: {error}") from error
    reader = _Reader(path)
    for document in documents:
        if not isinstance(document, yaml.MappingNode):
            raise SettingsError(f"{path} is no parameter file; expected '/**: {{{PARAMETERS_KEY}: ...}}'")
        reader.read_nodes(document, "")
    if not reader.sections:
        raise SettingsError(f"{path} is no parameter file; expected '/**: {{{PARAMETERS_KEY}: ...}}'")
    return ParameterFile(path, reader.sections)


class _Loader(SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Leaves a value's type open unless the file names it."""

    def resolve(self, kind: type[yaml.Node], value: object, implicit: object) -> str:
        """The tag of a node that has none."""
        return ""


class _Reader:
    """Collects sections from the nodes of a YAML tree."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.sections: dict[str, dict[str, Given]] = {}

    def read_nodes(self, mapping: yaml.MappingNode, name: str) -> None:
        """Namespaces and nodes below `name`, which is empty at the top."""
        ended = False
        for key, value in mapping.value:
            word = self._key(key)
            if ended:
                raise self._wrong(key, f"nothing may follow {PARAMETERS_KEY} of {name}")
            if word.startswith(PARAMETERS_KEY):
                if not _NODE_NAME.fullmatch(name):
                    raise self._wrong(key, f"{name!r} is no node's name")
                section = self.sections.setdefault(name, {})
                self._read_parameters(value, "", section)
                ended = True
            elif not isinstance(value, yaml.MappingNode):
                raise self._wrong(key, f"{word} has no {PARAMETERS_KEY}")
            elif not name:
                self.read_nodes(value, word)
            elif "/" in word:
                raise self._wrong(key, f"give {word!r}, below {name}, a level for each of its names")
            else:
                self.read_nodes(value, f"{name.removesuffix('/')}/{word}")

    def _read_parameters(self, node: yaml.Node, prefix: str, found: dict[str, Given]) -> None:
        """Parameters, and groups of them, which dots join to names."""
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, f"expected parameters below {prefix.rstrip('.') or PARAMETERS_KEY}")
        if prefix and not node.value:
            raise self._wrong(node, f"there is nothing below {prefix.rstrip('.')}")
        for key, value in node.value:
            name = prefix + self._key(key)
            if name in found:
                raise self._wrong(key, f"{name} is given a second time")
            if isinstance(value, yaml.MappingNode):
                self._read_parameters(value, f"{name}.", found)
            elif isinstance(value, yaml.SequenceNode):
                found[name] = self._list(name, value)
            else:
                found[name] = self._scalar(name, value)

    def _list(self, name: str, node: yaml.SequenceNode) -> list[Scalar]:
        values = [self._scalar(name, item) for item in node.value]
        if len({type(value) for value in values}) > 1:
            raise self._wrong(node, f"all of the list {name} must be of one type, got {values}")
        return values

    def _scalar(self, name: str, node: yaml.Node) -> Scalar:
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, f"{name} must be a list of plain values")
        quoted = node.style in ("'", '"')
        if not quoted and not node.value:
            raise self._wrong(node, f"{name} has no value")
        text = self._text(node)
        return text if quoted or node.tag == _TEXT else resolve(text)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            raise self._wrong(node, "expected a name")
        return self._text(node)

    def _text(self, node: yaml.ScalarNode) -> str:
        text = str(node.value)
        if "\0" in text:
            raise self._wrong(node, "a text holds the character 0")
        return text

    def _wrong(self, node: yaml.Node, what: str) -> SettingsError:
        return _error(self._path, node, what)


def resolve(text: str) -> Scalar:
    """The value of a text without quotation marks: rcl goes by what C makes of it, not by YAML's rules.

    Example:
        >>> [resolve(text) for text in ("5e-1", "1", "010", "1_000", "on", "null")]
        [0.5, 1, 8, '1_000', True, 'null']
    """
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if match := _INTEGER.fullmatch(text):
        sign, hexadecimal, octal, decimal = match.groups()
        digits, base = next((d, b) for d, b in ((hexadecimal, 16), (octal, 8), (decimal, 10)) if d)
        # More digits than 64 bits can hold in any base; Python refuses to read very many.
        value = int(digits, base) if len(digits) < 100 else 2**64
        value = -value if sign == "-" else value
        if -(2**63) <= value < 2**63:
            return value
    if match := _INFINITE.fullmatch(text):
        return float(f"{match[1]}inf")
    if _NO_NUMBER.fullmatch(text):
        return float("nan")
    return _real(text)


def _real(text: str) -> float | str:
    """A number, or the text where it is none that C calls in range."""
    try:
        if _DECIMAL.fullmatch(text):
            value = float(text)
        elif _HEXADECIMAL.fullmatch(text):
            value = float.fromhex(text)
        else:
            return text
    except OverflowError:
        return text
    is_zero = not re.search("[1-9a-fA-F]", re.split("[pP]" if "x" in text.lower() else "[eE]", text)[0])
    in_range = sys.float_info.min <= abs(value) <= sys.float_info.max
    return value if in_range or is_zero else text


def _pattern(name: str) -> re.Pattern[str]:
    """Of the full names that a node's name with wildcards stands for."""
    wild = {"*": r"/\w+", "**": r"(?:/\w+)*"}
    tokens = name.removeprefix("/").split("/")
    return re.compile("".join(wild.get(token, f"/{token}") for token in tokens), re.ASCII)


def _error(path: Path, where: yaml.Node | yaml.Event, what: str) -> SettingsError:
    return SettingsError(f"{path}, line {where.start_mark.line + 1}: {what}")
