"""From camera pixels to what the network was trained on: resize, crop, rescale, normalise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from step_ros.backbones.errors import BackboneError
from step_ros.backbones.model_file import ModelFileError, read_json

# PIL's numbers for its filters, as preprocessor_config.json holds them.
_FILTERS = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class Preprocess:
    """What preprocessor_config.json asks for, in torch alone, on whatever device the frames are.

    Resized pixels are rounded to whole grey levels, as PIL does; they equal PIL's to within one level.
    """

    image_size: tuple[int, int]
    """Height and width of the result, in pixels."""
    resize: tuple[int, int] | int | None
    """Height and width to resize to, or the length of the shortest edge, or None to leave the size alone."""
    interpolation: str = "bilinear"
    """One of torch's names: nearest-exact, bilinear, bicubic."""
    rescale_factor: float = 1.0
    """Grey levels are multiplied by it."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Subtracted from each channel after rescaling."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """What is left is divided by it."""

    def __str__(self) -> str:
        """One line: ``resized to 256 bicubic, times 0.0039 minus (0.5, 0.5, 0.5) over (0.5, 0.5, 0.5)``."""
        size = "x".join(map(str, self.resize)) if isinstance(self.resize, tuple) else self.resize
        resized = f"resized to {size} {self.interpolation}, " if self.resize is not None else ""
        mean, std = (f"({', '.join(f'{v:g}' for v in values)})" for values in (self.mean, self.std))
        return f"{resized}times {self.rescale_factor:g} minus {mean} over {std}"

    def __call__(self, rgb: Tensor) -> Tensor:
        """Preprocess frames.

        Args:
            rgb: (B, H, W, 3) uint8.

        Returns:
            (B, 3, h, w) float32, where (h, w) is `image_size`.
        """
        return self.normalise(self.cut(rgb))

    def cut(self, rgb: Tensor) -> Tensor:
        """Resize and crop frames (B, H, W, 3) uint8 to (B, 3, h, w), whole grey levels of whatever type."""
        return self._crop(self._resize(rgb.permute(0, 3, 1, 2)))

    def normalise(self, images: Tensor) -> Tensor:
        """Rescale and normalise grey levels (B, 3, h, w); the result is float32."""
        mean, std = _on_device(self.mean, images.device), _on_device(self.std, images.device)
        return (images.to(torch.float32) * self.rescale_factor - mean) / std

    def to_json(self) -> dict[str, Any]:
        """The content of a preprocessor_config.json that asks for the same, leaving nothing to defaults."""
        height, width = self.image_size
        content: dict[str, Any] = {"do_resize": self.resize is not None}
        if isinstance(self.resize, tuple):
            content["size"] = {"height": self.resize[0], "width": self.resize[1]}
        elif self.resize is not None:
            content["size"] = {"shortest_edge": self.resize}
        return {
            **content,
            "resample": next(number for number, name in _FILTERS.items() if name == self.interpolation),
            "do_center_crop": True,
            "crop_size": {"height": height, "width": width},
            "do_rescale": True,
            "rescale_factor": self.rescale_factor,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }

    def visible_area(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Top, left, bottom and right edge, in a frame's own pixels, of what the network sees of it."""
        resized = self._resized(height, width)
        scales = (height / resized[0], width / resized[1])
        starts = [(have - want) // 2 for have, want in zip(resized, self.image_size, strict=True)]
        ends = [start + want for start, want in zip(starts, self.image_size, strict=True)]
        return starts[0] * scales[0], starts[1] * scales[1], ends[0] * scales[0], ends[1] * scales[1]

    def _resize(self, images: Tensor) -> Tensor:
        """Resize (B, 3, H, W) uint8 images; they stay uint8 in value, if not in type."""
        size = self._resized(images.shape[-2], images.shape[-1])
        if size == tuple(images.shape[-2:]):
            return images
        if self.interpolation == "nearest-exact":
            return F.interpolate(images, size, mode=self.interpolation)
        if images.device.type == "cpu":
            return F.interpolate(images, size, mode=self.interpolation, antialias=True)
        return resize_as_floats(images, size, self.interpolation)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        if height <= width:
            return self.resize, self.resize * width // height
        return self.resize * height // width, self.resize

    def _crop(self, images: Tensor) -> Tensor:
        """Cut the middle out of (B, 3, H, W) images."""
        height, width = self.image_size
        spare_height, spare_width = images.shape[-2] - height, images.shape[-1] - width
        if spare_height < 0 or spare_width < 0:
            raise BackboneError(
                f"the backbone takes {height}x{width} pixels without enlarging, got a frame of "
                f"{images.shape[-2]}x{images.shape[-1]}"
            )
        top, left = spare_height // 2, spare_width // 2
        return images[..., top : top + height, left : left + width]

    @classmethod
    def from_file(cls, path: Path, *, model_type: str) -> Preprocess:
        """Read preprocessor_config.json.

        Args:
            path: the file.
            model_type: the network's `model_type`, which says what old files leave out.

        Raises:
            BackboneError: the file is missing or corrupt, or asks for what is not supported; it is named.
        """
        try:
            content = read_json(path)
        except ModelFileError as error:
            raise BackboneError(str(error)) from error
        try:
            return cls._from_json(content, vit=model_type == "vit")
        except (KeyError, TypeError, ValueError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be used: {error}"
            raise BackboneError(f"{path} {what}") from error

    @classmethod
    def _from_json(cls, content: Mapping[str, Any], *, vit: bool) -> Preprocess:
        """Old files leave out what was their processor's default, and ViT's defaults are not the others'."""
        if not isinstance(content, Mapping):
            raise ValueError(f"expected a JSON object, got {type(content).__name__}")
        resize: tuple[int, int] | int | None = None
        crop: tuple[int, int] | None = None
        interpolation = "bilinear"
        if content.get("do_resize", True):
            resize = _resize_target(content["size"], number_is_square=vit)
            resample = content.get("resample", 2 if vit else 3)
            if resample not in _FILTERS:
                raise ValueError(f"resample {resample!r} is not supported; supported are {sorted(_FILTERS)}")
            interpolation = _FILTERS[resample]
        if content.get("do_center_crop", not vit):
            target = _resize_target(content["crop_size"], number_is_square=True)
            if not isinstance(target, tuple):
                raise ValueError(f"crop_size must give height and width, got {content['crop_size']}")
            crop = target
        image_size = crop or resize
        if not isinstance(image_size, tuple):
            raise ValueError(
                f"it gives no fixed image size (size {content.get('size')}, no centre crop); probes need one"
            )
        smallest = resize if isinstance(resize, tuple) else (resize, resize)  # that a frame is resized to
        if any(edge is not None and edge < cut for edge, cut in zip(smallest, image_size, strict=True)):
            raise ValueError(f"crop_size {crop} is larger than size {resize}")
        rescale = content.get("do_rescale", True)
        normalize = content.get("do_normalize", True)
        return cls(
            image_size=image_size,
            resize=resize,
            interpolation=interpolation,
            rescale_factor=float(content.get("rescale_factor", 1 / 255)) if rescale else 1.0,
            mean=_channels("image_mean", content["image_mean"]) if normalize else cls.mean,
            std=_channels("image_std", content["image_std"]) if normalize else cls.std,
        )


@lru_cache(maxsize=64)
def _on_device(channels: tuple[float, ...], device: torch.device) -> Tensor:
    """One value a channel, (3, 1, 1); kept, since to bring it to a GPU anew is to wait for the GPU."""
    with torch.inference_mode(False):
        return torch.tensor(channels, device=device)[:, None, None]


def resize_as_floats(images: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Resize (B, 3, H, W) images where there is no kernel for bytes, which only a CPU has.

    As PIL and that kernel do, width first and then height, in whole grey levels after each.
    """
    resized = images.to(torch.float32)
    for step in ((images.shape[-2], size[1]), size):
        resized = F.interpolate(resized, step, mode=interpolation, antialias=True).round().clamp(0, 255)
    return resized


def _resize_target(size: object, *, number_is_square: bool) -> tuple[int, int] | int:
    """Read {"height", "width"}, {"shortest_edge"} or a number, which means either of them."""
    if isinstance(size, Mapping):
        if set(size) == {"height", "width"}:
            return _pixels(size["height"]), _pixels(size["width"])
        if set(size) == {"shortest_edge"}:
            return _pixels(size["shortest_edge"])
        raise ValueError(f"size {dict(size)} is not supported; give height and width, or shortest_edge")
    pixels = _pixels(size)
    return (pixels, pixels) if number_is_square else pixels


def _pixels(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 16_384:
        raise ValueError(f"a size in pixels must be a whole number from 1 to 16384, got {value!r}")
    return value


def _channels(name: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != 3:
        raise ValueError(f"{name} must be three numbers, got {values!r}")
    channels = tuple(float(value) for value in values)
    if name == "image_std" and min(channels) <= 0:
        raise ValueError(f"{name} must be positive, got {values!r}")
    return channels
