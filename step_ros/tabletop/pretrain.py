"""Trains the tabletop's small backbone: a ViT that says, patch by patch, what is where in one frame.

It sees single frames and dense targets from the renderer (`DenseTargets`), never an action label and never
two frames together: direction is left to the probes. Everything but the ViT is thrown away after training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
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

from step_ros.atomic_files import new_files
from step_ros.processor import multiplies_bfloat16
from step_ros.tabletop.labels import OBJECTS
from step_ros.tabletop.render import CATEGORIES, CELLS

IMAGE_SIZE, PATCH, DIM, LAYERS, HEADS = 128, 16, 192, 6, 3
GRID = IMAGE_SIZE // PATCH
CELLS_A_PATCH = CELLS // GRID
BODIES = 1 + len(OBJECTS)


@dataclass(frozen=True, eq=False)
class Stills:
    """Single frames with their dense targets (`DenseTargets`), in memory or as one batch of them.

    Attributes:
        images: uint8 (N, STILL_SIZE, STILL_SIZE, 3); in a batch float32 (N, 3, IMAGE_SIZE, IMAGE_SIZE), which
            span [-1, 1].
        categories: uint8 (N, CELLS, CELLS).
        places: float32 (N, BODIES, 3): x, y in [0, 1] and metres; NaN where a body is absent.
        axes: float32 (N, BODIES, 2, 3).
        aperture: float32 (N,) in metres.
        in_hand: int64 (N,).
    """

    images: Tensor
    categories: Tensor
    places: Tensor
    axes: Tensor
    aperture: Tensor
    in_hand: Tensor

    @classmethod
    def load(cls, root: Path) -> Stills:
        """Read every still under `root`.

        Raises:
            FileNotFoundError: there is none.
        """
        paths = sorted((root / "stills").glob("[0-9]*[0-9].npz"))
        if not paths:
            raise FileNotFoundError(
                f"{root / 'stills'} holds no stills; run `step-ros tabletop-render` first"
            )
        columns: dict[str, list[NDArray[Any]]] = {field.name: [] for field in fields(cls)}
        for path in track(paths, "Reading stills"):
            with np.load(path) as file:
                for name, column in columns.items():
                    column.append(file[name])
        joined = {name: np.concatenate(column) for name, column in columns.items()}
        joined["aperture"] = joined["aperture"].astype(np.float32)
        return cls(**{name: torch.from_numpy(column) for name, column in joined.items()})

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Tensor, rng: np.random.Generator) -> Stills:
        """These stills, each seen anew: cropped, mirrored and recoloured, with targets to match."""
        count = len(indices)
        scale = rng.uniform(0.78, 1.0, count)
        shift = rng.uniform(-1, 1, (count, 2)) * (1 - scale)[:, None]  # of the centre, in [-1, 1]
        mirror = rng.choice([-1.0, 1.0], count)
        images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        categories = np.empty((count, CELLS, CELLS), np.uint8)
        for i, index in enumerate(indices.tolist()):
            crop = (scale[i] * mirror[i], scale[i], *shift[i])
            images[i] = recolour(warped(self.images[index].numpy(), crop, IMAGE_SIZE, cv2.INTER_LINEAR), rng)
            categories[i] = warped(self.categories[index].numpy(), crop, CELLS, cv2.INTER_NEAREST)
        scales, mirrors = torch.from_numpy(scale).float(), torch.from_numpy(mirror).float()
        places, axes = self.places[indices], self.axes[indices]
        centred = places[..., :2] * 2 - 1 - torch.from_numpy(shift).float()[:, None]
        centred = centred / torch.stack([scales * mirrors, scales], dim=-1)[:, None]
        # A body is closer by as much as the crop enlarges.
        places = torch.cat([(centred + 1) / 2, places[..., 2:] * scales[:, None, None]], dim=-1)
        axes[..., 0] *= mirrors[:, None, None]
        return Stills(
            torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1),
            torch.from_numpy(categories).long(),
            places,
            axes,
            self.aperture[indices],
            self.in_hand[indices],
        )


def warped(image: NDArray[np.uint8], crop: tuple[float, ...], size: int, mode: int) -> NDArray[np.uint8]:
    """A crop of a square image, `size` pixels wide: scales (x, y) and centre (x, y) in [-1, 1]."""
    scale_x, scale_y, x, y = crop
    side = image.shape[0]
    to_source = np.array([[scale_x, 0.0, x], [0.0, scale_y, y]]) * (side / 2)
    to_source[:, 2] += side / 2
    # From pixels of the result, whose centres stand at halves, to pixels of the image.
    to_source[:, :2] *= 2 / size
    to_source[:, 2] += to_source[:, :2] @ np.full(2, 0.5 - size / 2) - 0.5
    flags = mode | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(image, to_source, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.uint8)


def recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random hue, gain, gamma and noise: no colour means anything on the tabletop, channels are shuffled."""
    gamma = (255 * np.linspace(0, 1, 256) ** rng.uniform(0.6, 1.6)).astype(np.uint8)
    mix = np.eye(3)[rng.permutation(3)] * rng.uniform(0.6, 1.3, (3, 1)) + rng.uniform(-0.2, 0.2, (3, 3))
    offset = np.full((3, 1), 255 * rng.uniform(-0.1, 0.1))
    mixed = cv2.transform(cv2.LUT(image, gamma), np.hstack([mix, offset]))
    noise = rng.standard_normal(image.shape[:2], np.float32)[..., None] * np.float32(rng.uniform(0, 10))
    return np.asarray(np.clip(mixed + noise, 0, 255), np.uint8)


class DenseReadout(nn.Module):
    """Linear readouts of the patch tokens: a category a cell, where each body is, and its pose there."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Linear(DIM, CELLS_A_PATCH**2 * len(CATEGORIES))
        self.scores = nn.Linear(DIM, BODIES)  # is it in this patch?
        self.poses = nn.Linear(DIM, BODIES * 9)  # x and y in the patch, distance, two axes
        self.hand = nn.Linear(DIM, 2 + len(OBJECTS))  # aperture, and what it holds

    def losses(self, tokens: Tensor, truth: Stills) -> dict[str, Tensor]:
        """How far the readout of tokens (B, P, D) is from the truth, by kind of target."""
        batch, c = len(tokens), CELLS_A_PATCH
        cells = self.cells(tokens).view(batch, GRID, GRID, c, c, len(CATEGORIES))
        cells = cells.permute(0, 5, 1, 3, 2, 4).reshape(batch, len(CATEGORIES), CELLS, CELLS)
        seen = ((truth.places[..., :2] > 0) & (truth.places[..., :2] < 1)).all(-1)  # NaN is not
        image, body = seen.nonzero(as_tuple=True)
        places = truth.places[image, body]
        column, row = (places[:, :2] * GRID).long().unbind(-1)
        patch = row * GRID + column
        poses = self.poses(tokens[image, patch]).view(-1, BODIES, 9)[torch.arange(len(body)), body]
        in_patch = torch.cat([(places[:, :2] * GRID) % 1.0, places[:, 2:]], dim=-1)
        hand_seen = body == 0
        hand = self.hand(tokens[image[hand_seen], patch[hand_seen]])
        return {
            "category": F.cross_entropy(cells, truth.categories),
            "where": F.cross_entropy(self.scores(tokens).transpose(1, 2)[image, body], patch),
            "place": (poses[:, :3] - in_patch).abs().mean(),
            "axes": (poses[:, 3:].unflatten(-1, (2, 3)) - truth.axes[image, body]).abs().mean(),
            "aperture": (hand[:, 0] - truth.aperture[image[hand_seen]]).abs().mean(),
            "in_hand": F.cross_entropy(hand[:, 1:], truth.in_hand[image[hand_seen]]),
        }


PEAK_LEARNING_RATE = 3e-3
LOSS_WEIGHTS = {"category": 1.0, "where": 0.3, "place": 0.5, "axes": 0.5, "aperture": 8.0, "in_hand": 0.3}


def pretrain(root: Path, out: Path, *, epochs: float = 7.0, batch_size: int = 32, seed: int = 0) -> None:
    """Train the backbone on the stills under `root` and write it, in float16, as a model folder to `out`."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    stills = Stills.load(root)
    vit = new_backbone()
    readout = DenseReadout()
    parameters = [*vit.parameters(), *readout.parameters()]
    total = int(epochs * len(stills) / batch_size)
    optimizers = make_optimizers(vit, readout, PEAK_LEARNING_RATE)
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            optimizer, PEAK_LEARNING_RATE, total, pct_start=0.1, cycle_momentum=False
        )
        for optimizer in optimizers
    ]
    order = torch.cat([torch.randperm(len(stills)) for _ in range(int(np.ceil(epochs)))])
    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[losses]}")) as progress:
        bar = progress.add_task("Training the backbone", total=total, losses="")
        for step in range(total):
            batch = stills.batch(order[step * batch_size : (step + 1) * batch_size], rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
                tokens = vit(batch.images).last_hidden_state[:, 1:]
            losses = readout.losses(tokens.float(), batch)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            torch.stack([LOSS_WEIGHTS[name] * loss for name, loss in losses.items()]).sum().backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
            if step % 20 == 0:
                text = " ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
                progress.update(bar, completed=step, losses=text)
                if step % 500 == 0:
                    progress.console.print(f"step {step}: {text}")
            if step % 2000 == 1999:
                save_backbone(vit, out)
    save_backbone(vit, out)


def new_backbone() -> ViTModel:
    """A ViT that starts from what any image asks for, which on few images saves most of the training.

    Patches are projected onto their lowest spatial frequencies (the DCT's), and positions start as sines of
    their place in the image.
    """
    config = ViTConfig(
        hidden_size=DIM,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * DIM,
        image_size=IMAGE_SIZE,
        patch_size=PATCH,
    )
    vit = ViTModel(config, add_pooling_layer=False)
    vit.set_attn_implementation("eager")  # in bfloat16 on CPUs nearly twice as fast as the fused one
    steps = torch.arange(PATCH)
    waves = torch.cos(torch.pi * (steps + 0.5) * steps[:, None] / PATCH) * (2 / PATCH) ** 0.5
    waves[0] /= 2**0.5
    lowest = sorted(
        ((u, v) for u in range(PATCH) for v in range(PATCH)), key=lambda uv: uv[0] ** 2 + uv[1] ** 2
    )
    filters = torch.zeros(DIM, 3, PATCH, PATCH)
    for index, (u, v) in enumerate(lowest[: DIM // 3]):
        gain = 0.25 * (1 + (u * u + v * v) ** 0.5) ** 0.7  # natural images have less of high frequencies
        for channel in range(3):
            filters[3 * index + channel, channel] = gain * torch.outer(waves[u], waves[v])
    rates = torch.pi / 2 ** torch.linspace(0, 3, DIM // 4)
    across = torch.arange(GRID)[:, None] * rates  # GRID D/4
    across = torch.cat([across.sin(), across.cos()], dim=1)  # GRID D/2
    places = torch.cat(
        [across.repeat(GRID, 1), across.repeat_interleave(GRID, dim=0)], dim=1
    )  # P D: of the column, then of the row
    with torch.no_grad():
        vit.embeddings.patch_embeddings.projection.weight.copy_(filters)
        vit.embeddings.position_embeddings[0, 1:] = 0.3 * places
    return vit


def make_optimizers(
    vit: ViTModel, readout: DenseReadout, learning_rate: float
) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al., 2024) for the matrices between the layers, AdamW for everything else."""
    matrices = [p for name, p in vit.named_parameters() if p.ndim == 2 and "embeddings" not in name]
    others = [p for p in [*vit.parameters(), *readout.parameters()] if all(p is not m for m in matrices)]
    return [
        torch.optim.Muon(
            matrices, learning_rate, weight_decay=0.05, momentum=0.9, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, learning_rate, weight_decay=0.05, betas=(0.9, 0.98)),
    ]


def save_backbone(vit: ViTModel, out: Path) -> None:
    """Write `config.json`, `model.safetensors` (float16) and `preprocessor_config.json`."""
    weights = {name: tensor.to(torch.float16) for name, tensor in vit.state_dict().items()}
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
    with new_files(out, last="config.json") as draft:
        vit.save_pretrained(draft, state_dict=weights)
        (draft / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
