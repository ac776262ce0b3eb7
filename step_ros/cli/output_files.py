"""Files that a command writes at its end: asked about at its beginning, which may be hours before."""

from __future__ import annotations

import os
from pathlib import Path

from step_ros.atomic_files import write_text


def check_outputs(*paths: Path | None) -> None:
    """Make the folders of files, and sure, as far as can be known, that these can be written; None is none.

    Raises:
        OSError: a folder cannot be made or written to, or a path is a folder itself.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder, where a file is to be written")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise PermissionError(f"{path} cannot be written: this user may not")


def write_outputs(*files: tuple[Path | None, str]) -> None:
    """Write texts to files, each whatever becomes of the others; None is none.

    Raises:
        OSError: some cannot be written; the message says which.
    """
    failed = []
    for path, text in files:
        try:
            if path is not None:
                write_text(path, text)
        except OSError as error:
            failed.append(f"{path} cannot be written: {error.strerror or error}")
    if failed:
        raise OSError("; ".join(failed))
