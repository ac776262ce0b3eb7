"""Reading model.safetensors with distrust: the header is checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from step_ros.backbones.finite_weights import not_finite
from step_ros.backbones.safetensors_header import SafetensorsHeaderError, read_header
from step_ros.probes.head_config import HeadError


def read_weights(path: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read float32 tensors with exactly the expected names and shapes.

    Args:
        path: a safetensors file.
        expected: name and shape of each tensor.

    Raises:
        HeadError: the file is missing or corrupt, a tensor is missing, unexpected or of another shape or
            dtype, or a value is not finite. The message names the file.
    """
    try:
        header = read_header(path)
    except SafetensorsHeaderError as error:
        raise HeadError(str(error)) from error
    missing = sorted(set(expected) - set(header))
    unexpected = sorted(set(header) - set(expected))
    if missing or unexpected:
        raise HeadError(f"{path} does not fit its config: missing tensors {missing}, unexpected {unexpected}")
    for name, shape in expected.items():
        found = header[name]
        if found.shape != shape or found.dtype != "F32":
            raise HeadError(
                f"{path} does not fit its config: {name} should be float32 (F32) of shape {list(shape)}, "
                f"but is {found.dtype} of shape {list(found.shape)}"
            )
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise HeadError(f"{path} is corrupt ({error}); fetch or save it again") from error
    for name in not_finite(weights.items()):
        raise HeadError(f"{path} holds values that are not finite, in {name}; fetch or save it again")
    return weights
