"""A token store's folder: its lock, its signed manifest, and paths that do not lead out of it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from step_ros.atomic_files import write_text

MANIFEST, HEADER, TOKENS, LOCK = "manifest.json", "header.json", "tokens", "lock"

FORMAT = 2
"""Of manifest, header and tokens; counts up when a reader of the old one would go wrong."""


class TokenStoreError(ValueError):
    """A token store is missing, incomplete, damaged or made otherwise; the message says which."""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other writers from a store for as long as this lasts, or its process does, however that ends.

    Args:
        root: the store's folder, made if it does not exist.

    Raises:
        TokenStoreError: another process has the lock; the message says which.
    """
    root.mkdir(parents=True, exist_ok=True)
    path = root / LOCK
    check_no_link(path)
    # Never emptied nor deleted by who does not have it: the text in it is the holder's.
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "another process"
            raise TokenStoreError(
                f"{root} is being written by {holder}; wait until it is done, or choose another folder"
            ) from None
        file.truncate(0)
        now = datetime.now().isoformat(" ", "seconds")
        file.write(f"process {os.getpid()} on {platform.node()} since {now}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def tokens_path(root: Path, name: str) -> Path:
    """Where the tokens of the video that the store calls `name` are.

    Raises:
        TokenStoreError: that would be outside of the store.
    """
    if not name or "/" in name or "\0" in name:
        raise TokenStoreError(f"{root} is altered: {name!r} is no name of a file in it; extract again")
    return root / TOKENS / f"{name}.safetensors"


def check_own_file(path: Path) -> None:
    """Make sure that a file of a store is one, in a folder that is one: neither link, pipe nor device.

    Raises:
        TokenStoreError: it is not, or there is none.
    """
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)
    except OSError as error:
        raise TokenStoreError(f"{path} is missing; extract again") from error
    if not is_file or path.parent.name == TOKENS and path.parent.is_symlink():
        raise TokenStoreError(f"{path} is not a file in the store, which follows no links; extract again")


def check_no_link(path: Path) -> None:
    """Make sure that what is at a path in a store, if anything is, is there and not elsewhere.

    Raises:
        TokenStoreError: it is a link.
    """
    if path.is_symlink():
        raise TokenStoreError(f"{path} is a link, and a store follows none; extract into another folder")


def write_manifest(root: Path, content: Mapping[str, Any]) -> None:
    """Write manifest.json, signed by a digest over all of it."""
    signed = {"format": FORMAT, **content}
    write_text(root / MANIFEST, json.dumps({"sha256": _digest(signed), **signed}))


def read_manifest(root: Path) -> dict[str, Any]:
    """What `write_manifest` wrote.

    Raises:
        OSError, ValueError: there is none, or it is no JSON.
        TokenStoreError: it is of another format, or not what was written.
    """
    path = root / MANIFEST
    check_no_link(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TokenStoreError(
            f"{root} is of another format than this version's, {FORMAT}; extract again, into another folder"
        )
    if content.pop("sha256", None) != _digest(content):
        raise TokenStoreError(f"{path} is not what was written, so labels may be wrong; extract again")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
