"""The frozen image encoder that every task shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.backbones.engines.selection import EngineSelection
from step_ros.backbones.errors import BackboneError
from step_ros.backbones.identity import BackboneIdentity
from step_ros.backbones.model_folder import ModelFolderError, display_name, model_folder, model_source
from step_ros.backbones.preprocess import Preprocess
from step_ros.backbones.vision_tower import VisionTower, load_vision_tower

_FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
)


class Backbone(nn.Module):
    """An encoder and the engine that runs it: frames in, patch tokens after the final norm out.

    DINOv2 (with or without registers), CLIP's vision tower and plain ViT, as Hugging Face transformers saves
    them. The frame's own CLS token and register tokens are dropped, as STEP asks.

    Example:
        >>> backbone = Backbone.from_pretrained("facebook/dinov2-small")  # doctest: +SKIP
        >>> backbone.encode(frame.rgb[None]).shape  # doctest: +SKIP
        torch.Size([1, 256, 384])
    """

    encoder: Encoder
    """What is run."""
    engine: EngineSelection
    """What runs it; PyTorch itself, unless another was chosen (see `select_engine`)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = encoder.tower.network
        self.engine = EngineSelection(EagerEngine(encoder))

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> Backbone:
        """Load a backbone from a folder, or from the Hugging Face hub by name.

        Only safetensors are read, and no code that comes with a model is ever run.

        Args:
            name_or_folder: a folder with config.json, preprocessor_config.json and model.safetensors, or a
                hub name such as ``facebook/dinov2-small``.
            device: where the network runs.
            dtype: the type that the network computes in; tokens are float32 whatever it is.
            revision: branch, tag or commit on the hub.
            local_files_only: only look in the hub's cache on this machine, not on the hub.

        Raises:
            BackboneError: it cannot be had (no folder, no connection), or its files are not usable.
        """
        try:
            folder = model_folder(
                name_or_folder, files=_FILES, revision=revision, local_files_only=local_files_only
            )
        except ModelFolderError as error:
            raise BackboneError(f"backbone: {error}") from error
        tower = load_vision_tower(folder)
        preprocess = Preprocess.from_file(folder / "preprocessor_config.json", model_type=tower.model_type)
        names = {"id": display_name(name_or_folder), "source": model_source(name_or_folder)}
        encoder = Encoder.of(tower, preprocess, **names)
        backbone = cls(encoder).to(device=device, dtype=dtype)
        backbone.check_tokens()
        return backbone

    def encode(self, rgb: Tensor | NDArray[np.uint8]) -> Tensor:
        """Encode frames; resizing, cropping and normalising included.

        Args:
            rgb: (B, H, W, 3) uint8 frames of any size, on any device.

        Returns:
            Patch tokens (B, P, D), float32, on the backbone's device.

        Raises:
            ValueError: `rgb` is not (B, H, W, 3) uint8.
        """
        frames = _as_tensor(rgb)
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != torch.uint8:
            raise ValueError(
                f"rgb must be (B, H, W, 3) uint8, got shape {tuple(frames.shape)} of {frames.dtype}; "
                "for one frame, give frame.rgb[None]"
            )
        return self.engine.engine.encode(frames)

    def check_tokens(self, frames: int = 1) -> None:
        """Make sure that a grey picture has tokens: finite weights may be so large that nothing has any.

        Args:
            frames: how many the network takes at once, if its adapter mixes them.

        Raises:
            BackboneError: its tokens are not finite.
        """
        grey = torch.full((frames, *self.image_size, 3), 127, dtype=torch.uint8)
        if not bool(torch.isfinite(self.encode(grey)).all()):
            raise BackboneError(
                f"{self.identity.id} gives tokens that are not finite, even of a grey picture: its weights "
                "are too large; fetch or save them again"
            )

    def forward(self, rgb: Tensor | NDArray[np.uint8]) -> Tensor:
        """The same as `encode`."""
        return self.encode(rgb)

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode: a frozen backbone inside a model that trains does not train."""
        return super().train(False)

    def _apply(self, *args: Any, **kwargs: Any) -> Backbone:
        """What `to` and its like come to: an engine that was built for another device or type is dropped."""
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.engine = EngineSelection(EagerEngine(self.encoder))
        return self

    @property
    def tower(self) -> VisionTower:
        """The network and how to read it."""
        return self.encoder.tower

    @property
    def preprocess(self) -> Preprocess:
        """What is done to frames before the network."""
        return self.encoder.preprocess

    @property
    def identity(self) -> BackboneIdentity:
        """Name, sizes and a digest of the weights as they were saved."""
        return self.encoder.identity

    @property
    def num_patches(self) -> int:
        """P, patch tokens a frame."""
        return self.identity.num_patches

    @property
    def dim(self) -> int:
        """D, channels of a token."""
        return self.identity.dim

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the image that the network sees."""
        return self.identity.image_size

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.encoder.device

    @property
    def dtype(self) -> torch.dtype:
        """The type that the network computes in."""
        return self.encoder.dtype


def _as_tensor(rgb: Tensor | NDArray[np.uint8]) -> Tensor:
    if isinstance(rgb, Tensor):
        return rgb
    # torch has no read-only tensors, and would warn.
    return torch.from_numpy(np.require(rgb, requirements=["C", "W"]))
