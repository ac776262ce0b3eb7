"""Trains the tabletop's small backbone: a ViT that says, patch by patch, what is where in one frame.

It sees single frames and dense targets from the renderer (`DenseTargets`), never an action label and never
two frames together: direction is left to the probes. Everything but the ViT is thrown away after training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress, TextColumn, track
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import ViTConfig, ViTModel

from step_ros.tabletop.labels import OBJECTS
from step_ros.tabletop.render import CATEGORIES, CELLS

IMAGE_SIZE, PATCH, DIM, LAYERS, HEADS = 128, 16, 192, 6, 3
STORED_SIZE = 144  # frames are kept a little larger than the network sees them, for crops
GRID = IMAGE_SIZE // PATCH
CELLS_A_PATCH = CELLS // GRID
BODIES = 1 + len(OBJECTS)


@dataclass(frozen=True, eq=False)
class FrameSet:
    """All frames of a data set in memory, with their dense targets.

    Attributes:
        images: uint8 (N, 3, STORED_SIZE, STORED_SIZE).
        categories: uint8 (N, CELLS, CELLS).
        places: float32 (N, BODIES, 3): x, y in [0, 1] and metres; NaN where a body is absent.
        apertures: float32 (N,) in metres.
    """

    images: Tensor
    categories: Tensor
    places: Tensor
    apertures: Tensor

    @classmethod
    def load(cls, root: Path) -> FrameSet:
        """Read every still under `root`.

        Raises:
            FileNotFoundError: there is none.
        """
        paths = sorted((root / "stills").glob("*.npz"))
        if not paths:
            raise FileNotFoundError(
                f"{root / 'stills'} holds no stills; run `step-ros tabletop-render` first"
            )
        images, columns = [], []
        for path in track(paths, "Reading frames"):
            with np.load(path) as file:
                columns.append((file["categories"], file["places"], file["aperture"]))
            images.append(_read_frames(path.with_suffix(".mp4"), len(columns[-1][0])))
        categories, places, apertures = (np.concatenate(column) for column in zip(*columns, strict=True))
        return cls(
            torch.from_numpy(np.concatenate(images)),
            torch.from_numpy(categories),
            torch.from_numpy(places),
            torch.from_numpy(apertures.astype(np.float32)),
        )

    def __len__(self) -> int:
        return len(self.images)


class DenseReadout(nn.Module):
    """Linear readouts of the patch tokens: a category a cell, a place a body, and the opening of the hand."""

    centres: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Linear(DIM, CELLS_A_PATCH**2 * len(CATEGORIES))
        self.bodies = nn.Linear(DIM, BODIES * 5)  # attention score, x and y offset, distance, aperture
        steps = (torch.arange(GRID) + 0.5) / GRID
        centres = torch.stack([steps.repeat(GRID), steps.repeat_interleave(GRID)], dim=-1)
        self.register_buffer("centres", centres)  # P 2

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From tokens (B, P, D) to categories (B, C, CELLS, CELLS), places (B, BODIES, 3), apertures (B,)."""
        batch, c = len(tokens), CELLS_A_PATCH
        cells = self.cells(tokens).view(batch, GRID, GRID, c, c, len(CATEGORIES))
        cells = cells.permute(0, 5, 1, 3, 2, 4).reshape(batch, len(CATEGORIES), CELLS, CELLS)
        score, x, y, distance, aperture = (
            self.bodies(tokens).view(batch, -1, BODIES, 5).unbind(-1)
        )  # B P bodies
        weight = score.softmax(dim=1)
        x = x + self.centres[:, 0, None]
        y = y + self.centres[:, 1, None]
        places = torch.stack([(weight * value).sum(1) for value in (x, y, distance)], dim=-1)
        return cells, places, (weight * aperture).sum(1)[:, 0]


def pretrain(root: Path, out: Path, *, epochs: float = 4.0, batch_size: int = 128, seed: int = 0) -> None:
    """Train the backbone on the stills under `root` and write it, in float16, as a model folder to `out`."""
    torch.manual_seed(seed)
    frames = FrameSet.load(root)
    vit = ViTModel(
        ViTConfig(
            hidden_size=DIM,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=4 * DIM,
            image_size=IMAGE_SIZE,
            patch_size=PATCH,
        ),
        add_pooling_layer=False,
    )
    readout = DenseReadout()
    parameters = [*vit.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05, betas=(0.9, 0.98))
    total = int(epochs * len(frames) / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total, pct_start=0.1)
    share = torch.bincount(frames.categories[::50].flatten().long(), minlength=len(CATEGORIES)).float()
    weight = (share.sum() / share.clamp(min=1)).pow(0.4).clamp(max=20)
    order = torch.cat([torch.randperm(len(frames)) for _ in range(int(np.ceil(epochs)))])
    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[losses]}")) as progress:
        bar = progress.add_task("Training the backbone", total=total, losses="")
        for step in range(total):
            batch = order[step * batch_size : (step + 1) * batch_size]
            images, categories, places = augment(frames, batch)
            with torch.autocast("cpu", torch.bfloat16):
                tokens = vit(images).last_hidden_state[:, 1:]
            cells, predicted, apertures = readout(tokens.float())
            seen = ~places[..., 0].isnan() & (places[..., :2] > 0).all(-1) & (places[..., :2] < 1).all(-1)
            losses = {
                "category": F.cross_entropy(cells, categories, weight),
                "place": (predicted - places)[seen].abs().mean(),
                "aperture": (apertures - frames.apertures[batch])[seen[:, 0]].abs().mean(),
            }
            optimizer.zero_grad(set_to_none=True)
            (losses["category"] + 4 * losses["place"] + 4 * losses["aperture"]).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            if step % 20 == 0:
                text = " ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
                progress.update(bar, completed=step, losses=text)
                if step % 200 == 0:
                    progress.console.print(f"step {step}: {text}")
            if step % 500 == 499:
                save_backbone(vit, out)
    save_backbone(vit, out)


def augment(frames: FrameSet, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Random crop, mirror and colour of a batch: images in [-1, 1], and categories and places to match."""
    count = len(batch)
    scale = torch.empty(count).uniform_(0.8, 1.0)
    shift = (torch.rand(count, 2) * 2 - 1) * (1 - scale)[:, None]
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1] = scale * mirror, scale
    affine[:, :, 2] = shift
    small, large = (F.affine_grid(affine, [count, 1, n, n], align_corners=False) for n in (CELLS, IMAGE_SIZE))
    images = F.grid_sample(
        frames.images[batch].float() / 255, large, align_corners=False, padding_mode="border"
    )
    categories = F.grid_sample(
        frames.categories[batch, None].float(), small, mode="nearest", align_corners=False
    )
    places = frames.places[batch].clone()
    centred = (places[..., :2] * 2 - 1 - shift[:, None]) / scale[:, None, None]
    centred[..., 0] *= mirror[:, None]
    places[..., :2] = (centred + 1) / 2
    places[..., 2] *= scale[:, None]  # closer by as much as the crop enlarges
    return recolour(images) * 2 - 1, categories[:, 0].long(), places


def recolour(images: Tensor) -> Tensor:
    """Random hue, gain, gamma and noise of images (B, 3, H, W) in [0, 1]: no colour means anything here."""
    count = len(images)
    mix = torch.eye(3)[torch.stack([torch.randperm(3) for _ in range(count)])]
    mix = mix * torch.empty(count, 3, 1).uniform_(0.6, 1.3) + torch.empty(count, 3, 3).uniform_(-0.15, 0.15)
    images = torch.einsum("bij,bjhw->bihw", mix, images) + torch.empty(count, 1, 1, 1).uniform_(-0.1, 0.1)
    images = images.clamp(0, 1) ** torch.empty(count, 1, 1, 1).uniform_(0.6, 1.6)
    return (images + torch.randn_like(images) * torch.empty(count, 1, 1, 1).uniform_(0, 0.04)).clamp(0, 1)


def save_backbone(vit: ViTModel, out: Path) -> None:
    """Write `config.json`, `model.safetensors` (float16) and `preprocessor_config.json`."""
    weights = {name: tensor.to(torch.float16) for name, tensor in vit.state_dict().items()}
    vit.save_pretrained(out, state_dict=weights)
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (out / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")


def _read_frames(path: Path, count: int) -> NDArray[np.uint8]:
    capture = cv2.VideoCapture(str(path))
    frames: list[NDArray[Any]] = []
    for _ in range(count):
        ok, frame = capture.read()
        if not ok:
            raise OSError(
                f"{path} ends after {len(frames)} frames; its dense targets have {count}: render it again"
            )
        small = cv2.resize(frame, (STORED_SIZE, STORED_SIZE), interpolation=cv2.INTER_AREA)
        frames.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB).transpose(2, 0, 1))
    capture.release()
    return np.stack(frames)
