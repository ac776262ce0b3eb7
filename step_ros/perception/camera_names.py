"""The names of the cameras that one pipeline serves, which are parts of topics' names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def camera_names(names: Sequence[str]) -> list[str]:
    """The cameras to serve, by name; one empty name is a single camera.

    Raises:
        ValueError: a name cannot be part of a topic's name, or is there twice.
    """
    if list(names) in ([], [""]):
        return [""]
    for name in names:
        if not _CAMERA_NAME.match(name):
            raise ValueError(
                "cameras must be names of letters, digits and underscores such as [front, wrist], "
                f"got {name!r}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"cameras must have names of their own, got [{', '.join(names)}]")
    return list(names)


def check_unlike_tasks(names: Sequence[str], tasks: Collection[str]) -> None:
    """Make sure that no topic is a camera's and a task's.

    Raises:
        ValueError: a camera is named like a task.
    """
    clash = sorted({name for name in names if name in tasks})
    if clash:
        raise ValueError(f"a camera must not be named like a task, and {', '.join(clash)} is; rename it")
