"""What does a safetensors file say that it holds? Read with distrust, before anything is allocated."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from step_ros.backbones.model_file import ModelFileError, open_model_file

_MAX_HEADER_BYTES = 16 * 1024 * 1024
_MAX_AXES = 16
_MAX_SIZE = 2**48  # of an axis: its bytes would fill no disk
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class SafetensorsHeaderError(ValueError):
    """The file is missing, or its header makes no sense; the message names the file."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the file."""

    dtype: str
    """As the file has it: ``F32``, ``BF16`` …"""
    shape: tuple[int, ...]
    """Its sizes."""

    @property
    def numel(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorEntry]:
    """The tensors of a safetensors file, by name: an eight-byte little-endian length, then that much JSON.

    Raises:
        SafetensorsHeaderError: the file cannot be read or is cut short, or the header is no JSON, or asks for
            more bytes than the file holds.
    """
    try:
        with open_model_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
                raise SafetensorsHeaderError(
                    f"{path} is not a safetensors file, or is cut short; fetch or save it again"
                )
            header = json.loads(file.read(length))
    except OSError as error:
        raise SafetensorsHeaderError(f"{path} cannot be read: {error.strerror or error}") from error
    except SafetensorsHeaderError:
        raise
    except ModelFileError as error:
        raise SafetensorsHeaderError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise SafetensorsHeaderError(
            f"{path} has a corrupt header ({error}); fetch or save it again"
        ) from error
    if not isinstance(header, dict):
        raise SafetensorsHeaderError(
            f"{path} has a corrupt header (not an object of objects); fetch or save it again"
        )
    header.pop("__metadata__", None)
    return {name: _entry(path, name, entry, size - 8 - length) for name, entry in header.items()}


def _entry(path: Path, name: str, entry: object, room: int) -> TensorEntry:
    if not isinstance(entry, dict):
        raise SafetensorsHeaderError(
            f"{path} has a corrupt header (not an object of objects); fetch or save it again"
        )
    dtype, shape = entry.get("dtype"), entry.get("shape")
    if not isinstance(dtype, str) or not _is_shape(shape):
        raise SafetensorsHeaderError(
            f"{path} has a corrupt header ({name[:80]} is {dtype!r:.20} of shape {shape!r:.80}); "
            "fetch or save it again"
        )
    found = TensorEntry(dtype, tuple(shape))
    if found.numel * _BYTES.get(dtype, 1) > room:
        raise SafetensorsHeaderError(
            f"{path} is cut short: {name[:80]}, {dtype:.20} of shape {shape}, does not fit into it; "
            "fetch or save it again"
        )
    return found


def _is_shape(value: object) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) <= _MAX_AXES
        and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= _MAX_SIZE for n in value)
    )
