"""What several tasks cost: adapters need a pass through the backbone a task, probes one for all.

The STEP paper's table V and figure 4. All methods are counted and timed alike: one view of T frames, the same
backbone, the whole way from pixels to logits.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from step_ros.backbones.vision_tower import VisionTower, describe_tower
from step_ros.benchmark.flops import count_flops
from step_ros.benchmark.models import BACKBONES, NUM_CLASSES
from step_ros.paper.adapters import ALL_ADAPTERS
from step_ros.peft import AdaptedTower, AdapterConfig, AdapterError
from step_ros.probes import StepProbe
from step_ros.probes.linear import LinearProbe

COSTED_METHODS: Mapping[str, tuple[str | None, str]] = {
    "STEP": (None, "step"),
    "VPT": ("vpt_deep", "linear"),
    "AdaptFormer": ("adaptformer", "linear"),
    "ST-Adaptor": ("st_adapter", "linear"),
    "M2-CLIP": ("m2_clip", "linear"),
    "VitaCLIP": ("vita_clip", "linear"),
}
"""By the paper's names: which adapter, if any, and which head."""

_IMAGE, _PATCH = 224, 14


@dataclass(frozen=True)
class MethodCost:
    """What one method costs, in parts; operations are multiply-adds, as papers count them."""

    method: str
    adapted: bool
    """Whether the backbone is changed for a task, so that each task needs a pass of its own."""
    sees_time: bool
    """Whether a frame's tokens depend on its window, so that no frame can be encoded once for all."""
    frames: int
    """T."""
    parameters: int
    """That are trained for one task, the classifier's included."""
    pass_macs: int
    """A window's way through the backbone."""
    head_macs: int
    """One head on its tokens."""
    pass_seconds: float | None = None
    """Measured, median; None where it was not."""
    head_seconds: float | None = None
    """Likewise."""

    def passes(self, tasks: int) -> int:
        """Passes through the backbone for so many tasks."""
        return tasks if self.adapted else 1

    def macs(self, tasks: int) -> int:
        """Multiply-adds of one window and so many tasks."""
        return self.passes(tasks) * self.pass_macs + tasks * self.head_macs

    def macs_a_frame(self, tasks: int) -> int:
        """Multiply-adds in the backbones when one more frame comes to a window that is full.

        Where a frame's tokens do not depend on its window, only that frame is encoded; else all T.
        """
        share = 1 if self.sees_time else self.frames
        return self.passes(tasks) * self.pass_macs // share

    def seconds(self, tasks: int) -> float | None:
        """Time for one window and so many tasks, one after the other; None where it was not measured."""
        if self.pass_seconds is None or self.head_seconds is None:
            return None
        return self.passes(tasks) * self.pass_seconds + tasks * self.head_seconds


def count(size: str = "vitb14", frames: int = 16) -> list[MethodCost]:
    """Count every method's operations, without a network's weights: it takes seconds.

    Args:
        size: one of `BACKBONES`.
        frames: T.

    Raises:
        AdapterError: there is no such size.
    """
    with torch.device("meta"):
        pixels = torch.empty(1, frames, 3, _IMAGE, _IMAGE)
        tower = _tower(size)
        return [_counted(name, tower, pixels) for name in COSTED_METHODS]


def measure(
    size: str = "vitb14",
    frames: int = 16,
    *,
    device: str = "cpu",
    rounds: int = 3,
    report: Callable[[str], None] = lambda line: None,
) -> list[MethodCost]:
    """Count every method's operations, and time its parts: random weights, PyTorch itself, nothing fetched.

    Methods take turns, so that what else the machine does falls on all of them.

    Args:
        size: one of `BACKBONES`.
        frames: T.
        device: where; on a GPU in bfloat16, else in float32.
        rounds: how often each is timed, after a first time that does not count.
        report: is told what is under way.

    Raises:
        AdapterError: there is no such size.
    """
    counted = count(size, frames)
    torch.manual_seed(0)
    tower = _tower(size)
    tower.network.to(device)
    pixels = torch.randn(1, frames, 3, _IMAGE, _IMAGE, device=device)
    parts = {name: _parts(name, tower, frames, device) for name in COSTED_METHODS}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COSTED_METHODS}
    for round_ in range(rounds + 1):
        for name, (encode, head) in parts.items():
            report(f"{name}, {'warming up' if round_ == 0 else f'round {round_} of {rounds}'}")
            tokens, of_pass = _timed(encode, pixels)
            _, of_head = _timed(head, tokens)
            if round_ > 0:
                times[name].append((of_pass, of_head))
    return [_with_times(cost, times[cost.method]) for cost in counted]


def _with_times(cost: MethodCost, times: list[tuple[float, float]]) -> MethodCost:
    of_pass, of_head = (statistics.median(column) for column in zip(*times, strict=True))
    return replace(cost, pass_seconds=of_pass, head_seconds=of_head)


def _counted(name: str, tower: VisionTower, pixels: Tensor) -> MethodCost:
    kind, _ = COSTED_METHODS[name]
    frames = pixels.shape[1]
    encode, head = _parts(name, tower, frames, "meta")
    tokens = encode(pixels)
    trained = sum(p.numel() for p in head.parameters())
    sees_time = False
    if isinstance(encode, AdaptedTower):
        trained += encode.num_trained()
        sees_time = encode.config.sees_time
    return MethodCost(
        method=name,
        adapted=kind is not None,
        sees_time=sees_time,
        frames=frames,
        parameters=trained,
        pass_macs=count_flops(lambda: encode(pixels)) // 2,
        head_macs=count_flops(lambda: head(tokens)) // 2,
    )


def _parts(
    name: str, tower: VisionTower, frames: int, device: str
) -> tuple[Callable[[Tensor], Tensor], nn.Module]:
    """What makes tokens (1, T, P, D) of windows, and a head on them."""
    kind, probe = COSTED_METHODS[name]
    heads = max(1, tower.dim // 64)
    head: nn.Module = (
        StepProbe(tower.dim, frames, NUM_CLASSES, heads)
        if probe == "step"
        else LinearProbe(tower.dim, frames, NUM_CLASSES)
    )
    head.to(device)
    if kind is None:
        return lambda pixels: tower.tokens(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2]), head
    config = AdapterConfig.of(kind, num_frames=frames, adapters=ALL_ADAPTERS)
    return AdaptedTower(tower, config, (_IMAGE, _IMAGE), ALL_ADAPTERS).to(device), head


def _tower(size: str) -> VisionTower:
    if size not in BACKBONES:
        raise AdapterError(f"there is no backbone {size!r}; there are {', '.join(BACKBONES)}")
    import transformers

    dim, layers, heads = BACKBONES[size]
    config = transformers.Dinov2Config(
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        image_size=_IMAGE,
        patch_size=_PATCH,
    )
    network: Any = transformers.Dinov2Model(config)
    return describe_tower(network.eval().requires_grad_(False), "dinov2")


def _timed(run: Callable[[Tensor], Tensor], given: Tensor) -> tuple[Tensor, float]:
    on_gpu = given.device.type == "cuda"
    with torch.no_grad(), torch.autocast(given.device.type, torch.bfloat16, enabled=on_gpu):
        start = time.perf_counter()
        result = run(given)
        if on_gpu:
            torch.cuda.synchronize()
        return result, time.perf_counter() - start
