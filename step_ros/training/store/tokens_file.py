"""The tokens of one video in a file that says what they are of, and that is known when it is damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from step_ros.atomic_files import new_file
from step_ros.training.store.folder import TokenStoreError, check_own_file

_METADATA = "step_ros"


@dataclass(frozen=True)
class WrittenTokens:
    """What a whole file says of itself."""

    about: dict[str, Any]
    """What its tokens are of, as plain values."""
    sha256: str
    """Digest over that and all tensors."""


def write_tokens(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> WrittenTokens:
    """Write a file, of tensors by name; one that is there is replaced once all is on the disk.

    Raises:
        OSError, SafetensorError: it cannot be written.
    """
    written = WrittenTokens(dict(about), _digest(about, sorted(tensors.items())))
    # One entry: safetensors writes several in any order, and the same tokens should be the same file.
    metadata = {_METADATA: json.dumps(asdict(written), sort_keys=True)}
    if path.is_symlink():  # what a link names is not the store's
        path.unlink()
    with new_file(path) as draft:
        save_file(dict(tensors), draft, metadata=metadata)
    return written


def read_tokens(path: Path) -> WrittenTokens:
    """Read all of a file, and compare it with its own digest.

    Raises:
        TokenStoreError: it is missing, a link, or damaged.
    """
    check_own_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {})[_METADATA])
            written = WrittenTokens(dict(said["about"]), said["sha256"])
            tensors = ((name, file.get_tensor(name)) for name in sorted(file.keys()))
            found = _digest(written.about, tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise TokenStoreError(f"{path} is damaged ({error}); extract again") from error
    if found != written.sha256:
        raise TokenStoreError(f"{path} is damaged: it is not what was written; extract again")
    return written


def open_tensor(path: Path, name: str) -> Tensor:
    """One tensor of a file, memory-mapped, not compared with anything.

    Raises:
        TokenStoreError: the file is missing, a link, damaged, or has no such tensor.
    """
    check_own_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise TokenStoreError(f"{path} is damaged ({error}); extract again") from error
    return tensor


def _digest(about: Mapping[str, Any], tensors: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in tensors:
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
