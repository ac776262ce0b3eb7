"""Writes files whole or not at all: beside their place, out to the disk, then there in one step.

Whatever happens meanwhile – a full disk, a kill, a power cut – a file is as it was or as it shall be. A draft
that a kill leaves behind is taken away by the next who writes the same file, so one process at a time may.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    with new_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a place to write a file to, of the same name, which then takes the place of `path`.

    Where the body raises, what was at `path` still is. A device or a pipe, such as /dev/stdout, takes what it
    is given as it comes.

    Example:
        >>> with new_file(folder / "cost.png") as draft:
        ...     figure.savefig(draft)
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve()  # what a link names is written, not the link
    with _draft_folder(path.with_name(f".{path.name}.partial")) as folder:
        yield folder / path.name
        _finish(folder / path.name)
        os.replace(folder / path.name, path)
        _to_disk(path.parent)


@contextmanager
def new_files(folder: Path, *, last: str) -> Iterator[Path]:
    """Give a folder to write files to, which then take their places in `folder` together.

    Where the body raises, `folder` is as it was. While they are moved, the file `last`, without which the
    folder counts for nothing, is not there: never does it stand beside files of an earlier time. Files of
    other names stay.

    Args:
        folder: made if it does not exist.
        last: name of the file that comes last, such as config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _draft_folder(folder / ".step_ros.partial") as draft:
        yield draft
        others = sorted({path.name for path in draft.iterdir()} - {last})
        for name in (*others, last):
            _finish(draft / name)
        (folder / last).unlink(missing_ok=True)
        _to_disk(folder)
        for names in (others, [last]):
            for name in names:
                os.replace(draft / name, folder / name)
            _to_disk(folder)


def remove_drafts(folder: Path) -> None:
    """Take away what kills have left in a folder that nobody writes to."""
    for draft in folder.glob(".*.partial"):
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _draft_folder(path: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards, as is what a kill left there before."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _finish(draft: Path) -> None:
    """Bring a written file to the disk, with the mode of any new one: safetensors makes it private."""
    draft.chmod(draft.parent.stat().st_mode & 0o666)
    _to_disk(draft)


def _to_disk(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot do so for folders
            raise
    finally:
        os.close(opened)
