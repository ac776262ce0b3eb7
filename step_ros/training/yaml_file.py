"""A YAML file as a value of a type: what is of another type, or unknown, is named with what was meant."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

T = TypeVar("T")

_INT, _TIMESTAMP = "tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp"


class YamlError(ValueError):
    """A YAML file is not what it should be; the message names the file and the place in it."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """YAML without what changes a meaning in silence, a key that is there twice, and without references."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> object:
        if self.check_event(yaml.AliasEvent):
            _refuse(self.peek_event(), "references (*) are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> object:
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                _refuse(key, f"the key {getattr(key, 'value', name)!r} is no text for YAML: put it in quotes")
            if name in seen:
                _refuse(key, f"{name!r} is there twice")
            seen.add(name)
        return super().construct_mapping(node, deep)


def _refuse(where: yaml.Node | yaml.Event, problem: str) -> None:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=where.start_mark)


# 2024-01-01 is text, and so are 1:30 and 010, which YAML 1.1 reads as 90 and 8.
_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] not in (_TIMESTAMP, _INT)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789"))


def read_yaml(path: Path, kind: type[T]) -> T:
    """Read a YAML file as a value of a type.

    Nothing is converted: `1e-3`, which YAML takes for text, is no number, `yes` and `on`, which it takes for
    true, and 7 are no text, and 4.0 is no whole number. An empty file is an empty mapping.

    Args:
        path: the file.
        kind: a dataclass, or a mapping of text to one; its fields may be dataclasses.

    Raises:
        YamlError: the file cannot be read, a key is unknown or there twice, or a value is of another type.
    """
    import pydantic  # slow to import, and most commands read no file

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        text = json.dumps({} if content is None else content)
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise YamlError(f"{path} cannot be read: {error}") from error
    _check_keys(path, content, kind)
    try:
        return pydantic.TypeAdapter(kind).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise YamlError("\n".join(f"{path}: {_in_words(each)}" for each in error.errors())) from error


def _check_keys(path: Path, content: object, kind: Any) -> None:
    """Raise YamlError for a key that the dataclass, or one of its fields, does not have."""
    if not isinstance(content, Mapping):
        return
    if not is_dataclass(kind):
        for value in content.values():
            _check_keys(path, value, getattr(kind, "__args__", (None,))[-1])
        return
    known, hints = {field.name for field in fields(kind)}, get_type_hints(kind)
    for key, value in content.items():
        if key not in known:
            raise YamlError(f"{path} has unknown options {key!r}{meant(str(key), known)}")
        _check_keys(path, value, hints[key])


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean "linear"?`, if one of the known names is like it."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _in_words(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    said = error["msg"].removeprefix("Value error, ")
    said = f"{where}: {said[0].lower()}{said[1:]}" if where else said
    if error["type"] == "value_error":  # the dataclass's own words
        return said
    found, hint = error["input"], ""
    if isinstance(found, str) and error["type"].startswith("float") and _is_number(found):
        hint = "; YAML reads it as text: write it with a point, as in 1.0e-3"
    elif isinstance(found, bool) and error["type"].startswith("string"):
        hint = "; YAML takes yes, no, on and off for truth values: put it in quotes"
    elif isinstance(found, (int, float)) and error["type"].startswith("string"):
        hint = "; put it in quotes"
    elif isinstance(found, str) and error["type"].startswith("tuple"):
        hint = f"; write a list, [{found}]"
    return f"{said}, found {found!r}{hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
