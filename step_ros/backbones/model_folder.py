"""Where the files of a model lie: in a folder of the user's, or in the cache of the Hugging Face hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError


class ModelFolderError(OSError):
    """No folder with the model's files could be had; the message says what was asked and what to do."""


def model_folder(
    name_or_folder: str | Path,
    *,
    files: Sequence[str],
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The folder that holds a model's files, fetched from the hub where need be.

    Args:
        name_or_folder: an existing folder, or a name on the hub such as ``facebook/dinov2-small``.
        files: patterns of the files to fetch from the hub; others there are left alone.
        revision: branch, tag or commit on the hub.
        cache_dir: where the hub's files are kept; by default under ``HF_HOME``.
        force_download: fetch again what is in the cache.
        local_files_only: only look in the cache.
        token: for private repositories on the hub.

    Raises:
        ModelFolderError: there is no such folder, or the hub does not have it, or cannot be reached while the
            cache does not have it.
    """
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    name = str(name_or_folder)
    if not _looks_like_hub_name(name):
        raise ModelFolderError(
            f"there is no folder {folder}; give a model's folder, or a hub name such as owner/name"
        )
    try:
        return Path(
            snapshot_download(
                name,
                allow_patterns=list(files),
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
        )
    except (OSError, ValueError, HfHubHTTPError, EntryNotFoundError) as error:
        if isinstance(error, HfHubHTTPError) and getattr(error, "response", None) is not None:
            reason = f"the Hugging Face hub does not give it out ({_first_line(error)})"
        else:
            asked = f"there is no connection to the Hugging Face hub ({_first_line(error)})"
            reason = (
                f"it is neither a folder here nor in the cache ({cache_dir or constants.HF_HUB_CACHE}), "
                f"and {'the Hugging Face hub is not asked' if local_files_only else asked}"
            )
        raise ModelFolderError(
            f"{name} cannot be had: {reason}. Give the path of a folder that holds it, or run "
            f"`hf download {name}` where there is a connection and set HF_HOME to where it was put"
        ) from error


def display_name(name_or_folder: str | Path) -> str:
    """A model's name for people: the hub name, or the last two parts of a folder's path."""
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return "/".join(folder.resolve().parts[1:][-2:])
    return str(name_or_folder)


def model_source(name_or_folder: str | Path) -> str:
    """By what a model is found again: the hub name, or the folder's whole path."""
    folder = Path(name_or_folder).expanduser()
    return os.path.abspath(folder) if folder.is_dir() else str(name_or_folder)


def _looks_like_hub_name(name: str) -> bool:
    return bool(name) and name[0] not in "./~\\" and name.count("/") <= 1 and not name.endswith("/")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
