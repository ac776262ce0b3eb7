"""What every engine is: something that turns frames into an encoder's tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from step_ros.backbones.encoder import Encoder

MAX_BATCH = 16
"""Most frames in one pass of an engine: as many cameras. Larger batches are cut into passes of that many."""


class EngineError(RuntimeError):
    """An engine cannot be had here, or gives wrong tokens; the message says why and what to do."""


class Engine(ABC):
    """Executes an encoder: uint8 frames in, patch tokens out.

    Args:
        encoder: whose tokens it gives; the engine keeps what it needs of it.
        precision: the type that it computes in, one of `precisions`.

    Raises:
        EngineError: it cannot be built. Whatever else a runtime raises means the same.
    """

    name: ClassVar[str]
    """As users write it."""

    def __init__(self, encoder: Encoder, precision: torch.dtype) -> None:
        self.precision = precision
        self._preprocess = encoder.preprocess
        self._token_shape = (encoder.identity.num_patches, encoder.identity.dim)
        self._device = encoder.device

    @classmethod
    @abstractmethod
    def precisions(cls, device: torch.device) -> tuple[torch.dtype, ...]:
        """The types that it can compute in on a device, the fastest first.

        Raises:
            EngineError: it cannot run there: a toolchain or the hardware is missing.
            MissingPackageError: a package is.
        """

    def encode(self, frames: Tensor) -> Tensor:
        """Encode frames.

        Args:
            frames: (B, H, W, 3) uint8, on any device. A pinned tensor is uploaded as it lies: leave it alone
                until the tokens have been read.

        Returns:
            Tokens (B, P, D), float32, on the encoder's device, in memory of their own.
        """
        if not len(frames):
            return torch.empty(0, *self._token_shape, device=self._device)  # not every network takes none
        if len(frames) <= MAX_BATCH:
            return self.encode_batch(frames)
        return torch.cat([self.encode_batch(part) for part in frames.split(MAX_BATCH)])

    @abstractmethod
    def encode_batch(self, frames: Tensor) -> Tensor:
        """The same as `encode`, for 1 to `MAX_BATCH` frames."""


def precision_name(precision: torch.dtype) -> str:
    """``bfloat16`` for `torch.bfloat16`."""
    return str(precision).removeprefix("torch.")


def first_line(error: BaseException) -> str:
    """What an exception says, in one line, with its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
