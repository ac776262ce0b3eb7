"""Preprocessing against transformers' own, which works on PIL images, and every form of its file."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from step_ros.backbones import BackboneError, Preprocess
from step_ros.backbones.preprocess import resize_as_floats

CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
NORMALIZE = {"image_mean": CLIP_MEAN, "image_std": CLIP_STD}

VIT = {"size": {"height": 24, "width": 32}, "resample": 2, **NORMALIZE}
CROPPED = {
    "size": {"shortest_edge": 40},
    "resample": 3,
    "crop_size": {"height": 32, "width": 32},
    **NORMALIZE,
}


def preprocess(folder: Path, content: object, *, model_type: str = "vit") -> Preprocess:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(content))
    return Preprocess.from_file(path, model_type=model_type)


def pil_processor(kind: str, **options: Any) -> Any:
    """transformers' processor on PIL images: in version 5 they have a module of their own."""
    pytest.importorskip("PIL")
    module, name = {
        "vit": ("vit", "ViTImageProcessor"),
        "clip": ("clip", "CLIPImageProcessor"),
        "dinov2": ("bit", "BitImageProcessor"),
    }[kind]
    try:
        found = importlib.import_module(f"transformers.models.{module}.image_processing_pil_{module}")
        return getattr(found, f"{name}Pil")(**options)
    except ModuleNotFoundError:
        found = importlib.import_module(f"transformers.models.{module}.image_processing_{module}")
        return getattr(found, name)(**options)


def picture(height: int, width: int) -> np.ndarray:
    """Smooth shapes with hard edges and noise, in which each channel differs."""
    y, x = np.mgrid[0:height, 0:width] / min(height, width)
    waves = 127 + 100 * np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(5 * (x + y))], axis=-1)
    waves[height // 3 : height // 2, width // 4 : width // 2] = (250, 5, 128)
    noise = np.random.default_rng(0).normal(0, 8, waves.shape)
    return np.clip(waves + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(48, 64), (100, 75), (20, 30), (240, 320)])
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("vit", VIT),
        ("vit", {**VIT, "resample": 3}),
        ("vit", {**VIT, "resample": 0}),
        ("clip", CROPPED),
        ("dinov2", {**CROPPED, "resample": 2}),
        ("clip", {**CROPPED, "crop_size": {"height": 33, "width": 37}}),
    ],
    ids=["vit bilinear", "vit bicubic", "vit nearest", "clip bicubic", "dinov2 bilinear", "odd crop"],
)
def test_equals_transformers_on_pil_images_within_one_grey_level(
    tmp_path: Path, kind: str, config: dict[str, Any], size: tuple[int, int]
) -> None:
    rgb = picture(*size)
    expected = pil_processor(kind, **config)(images=rgb, return_tensors="pt")["pixel_values"][0]
    result = preprocess(tmp_path, config, model_type=kind)(torch.from_numpy(rgb)[None])[0]
    assert result.shape == expected.shape and result.dtype == torch.float32
    grey_levels = (result - expected).abs() * torch.tensor(CLIP_STD)[:, None, None] * 255
    assert grey_levels.max() <= 1.01


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_way_of_other_devices_gives_the_same_grey_levels(interpolation: str) -> None:
    size = (24, 32)
    rgb = torch.from_numpy(picture(100, 75))[None]
    as_floats = resize_as_floats(rgb.permute(0, 3, 1, 2), size, interpolation)
    on_cpu = Preprocess(image_size=size, resize=size, interpolation=interpolation)(rgb)
    assert (as_floats - on_cpu).abs().max() <= 1


@pytest.mark.parametrize(
    ("content", "model_type", "image_size", "resize"),
    [
        ({"size": 32, **NORMALIZE}, "vit", (32, 32), (32, 32)),
        ({"size": 40, "crop_size": 32, **NORMALIZE}, "clip", (32, 32), 40),
        ({**CROPPED}, "dinov2", (32, 32), 40),
        ({"do_resize": False, "do_center_crop": True, "crop_size": 32, **NORMALIZE}, "vit", (32, 32), None),
    ],
    ids=["old ViT: a number is a square", "old CLIP: a number is the shortest edge", "shortest edge", "crop"],
)
def test_every_form_of_a_size_is_understood(
    tmp_path: Path,
    content: dict[str, Any],
    model_type: str,
    image_size: tuple[int, int],
    resize: tuple[int, int] | int | None,
) -> None:
    result = preprocess(tmp_path, content, model_type=model_type)
    assert (result.image_size, result.resize) == (image_size, resize)


def test_steps_that_are_switched_off_are_left_out(tmp_path: Path) -> None:
    content = {"size": {"height": 8, "width": 8}, "do_rescale": False, "do_normalize": False}
    rgb = torch.randint(0, 256, (1, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(preprocess(tmp_path, content)(rgb), rgb.permute(0, 3, 1, 2).float())


def test_a_batch_is_preprocessed_frame_by_frame(tmp_path: Path) -> None:
    rgb = torch.from_numpy(np.stack([picture(48, 64), picture(48, 64)[::-1]]))
    result = preprocess(tmp_path, VIT)
    assert torch.equal(result(rgb)[1], result(rgb[1:])[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a JSON object, got list"),
        ({"resample": 2, **NORMALIZE}, "lacks 'size'"),
        ({"size": 32}, "lacks 'image_mean'"),
        ({"size": {"longest_edge": 32}, **NORMALIZE}, "'longest_edge': 32} is not supported"),
        ({"size": {"shortest_edge": 32}, **NORMALIZE}, "no fixed image size"),
        ({"size": 0, **NORMALIZE}, "whole number from 1 to 16384, got 0"),
        ({"size": 32, "resample": 1, **NORMALIZE}, "resample 1 is not supported"),
        ({**CROPPED, "size": {"shortest_edge": 24}, "do_center_crop": True}, "larger than size 24"),
        ({"size": 32, "image_mean": [0.5], "image_std": CLIP_STD}, "image_mean must be three numbers"),
        ({"size": 32, "image_mean": CLIP_MEAN, "image_std": [0, 1, 1]}, "image_std must be positive"),
    ],
)
def test_a_file_that_cannot_be_followed_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(BackboneError, match=rf"preprocessor_config\.json .*{message}"):
        preprocess(tmp_path, content)


def test_a_frame_too_small_to_crop_is_named() -> None:
    with pytest.raises(BackboneError, match="takes 32x32 pixels without enlarging, got a frame of 16x64"):
        Preprocess(image_size=(32, 32), resize=None)(torch.zeros(1, 16, 64, 3, dtype=torch.uint8))


def test_visible_area_is_what_cropping_leaves(tmp_path: Path) -> None:
    assert preprocess(tmp_path, CROPPED, model_type="clip").visible_area(80, 160) == (8, 48, 72, 112)
    assert preprocess(tmp_path, VIT).visible_area(80, 160) == (0, 0, 80, 160)
