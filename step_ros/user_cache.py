"""Where what was built or compiled on this machine is kept, so that nobody else can put code there."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_COMPILED = "TORCHINDUCTOR_CACHE_DIR"
"""By this variable torch.compile, and Triton below it, is told where to keep what it compiles."""


def default_cache_folder() -> Path:
    """``STEP_ROS_CACHE`` if it is set, else ``step_ros`` where the user's caches are (``~/.cache``)."""
    chosen = os.environ.get("STEP_ROS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path("~/.cache").expanduser()) / "step_ros"


def private_folder(folder: Path) -> Path:
    """A folder that nobody else can put anything into, since what lies in it is run; made if there is none.

    Raises:
        OSError: it cannot be made, or is a link, another user's, or one that others may write to: `strerror`
            says which.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it is not this user's own folder", str(folder))
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "others may write to it: remove it", str(folder))
    return folder


def compile_privately(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """torch.compile, whose compiled code is kept in a folder of the user's own.

    It is loaded again by names that anybody can work out, and torch's own folder is in the one for temporary
    files, which all users of a machine share: another could have put code there.

    Args:
        function: a function or module.
        options: of torch.compile.

    Raises:
        PermissionError: others can put code where compiled code would be kept.
    """
    chosen = Path(os.environ.get(_COMPILED, ""))
    of_torch = chosen.name.startswith("torchinductor_") and chosen.parent == Path(tempfile.gettempdir())
    folder = chosen if chosen.name and not of_torch else default_cache_folder() / "inductor"
    try:
        os.environ[_COMPILED] = str(private_folder(folder))
    except OSError as error:
        raise PermissionError(
            f"{folder}, where compiled code would be kept, cannot be used ({error.strerror}); set "
            "STEP_ROS_CACHE to a folder of your own"
        ) from error
    return torch.compile(function, **options)
