"""Reading model.safetensors with distrust: the header is checked before anything is allocated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from step_ros.probes.head_config import HeadError

_MAX_HEADER_BYTES = 16 * 1024 * 1024


def read_weights(path: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read float32 tensors with exactly the expected names and shapes.

    Args:
        path: a safetensors file.
        expected: name and shape of each tensor.

    Raises:
        HeadError: the file is missing or corrupt, a tensor is missing, unexpected or of another shape or
            dtype, or a value is not finite. The message names the file.
    """
    header = _read_header(path)
    missing = sorted(set(expected) - set(header))
    unexpected = sorted(set(header) - set(expected))
    if missing or unexpected:
        raise HeadError(f"{path} does not fit its config: missing tensors {missing}, unexpected {unexpected}")
    for name, shape in expected.items():
        found = header[name]
        if found.get("shape") != list(shape) or found.get("dtype") != "F32":
            raise HeadError(
                f"{path} does not fit its config: {name} should be float32 (F32) of shape {list(shape)}, "
                f"but is {found.get('dtype')} of shape {found.get('shape')}"
            )
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise HeadError(f"{path} is corrupt ({error}); fetch or save it again") from error
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise HeadError(f"{path} holds values that are not finite, in {name}; fetch or save it again")
    return weights


def _read_header(path: Path) -> dict[str, dict[str, object]]:
    """The header of a safetensors file: an eight-byte little-endian length, then that much JSON."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, path.stat().st_size - 8):
                raise HeadError(f"{path} is not a safetensors file, or is cut short; fetch or save it again")
            header = json.loads(file.read(length))
    except OSError as error:
        raise HeadError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        if isinstance(error, HeadError):
            raise
        raise HeadError(f"{path} has a corrupt header ({error}); fetch or save it again") from error
    if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
        raise HeadError(f"{path} has a corrupt header (not an object of objects); fetch or save it again")
    header.pop("__metadata__", None)
    return header
