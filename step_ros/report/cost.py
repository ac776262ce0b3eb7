"""What does one more task cost? Figure 4 of the STEP paper, for this run's own backbone and heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from step_ros.perception import Perceiver
from step_ros.report import svg


@dataclass(frozen=True)
class Cost:
    """Floating point operations of one window, in 1e9; a multiplication and an addition are two."""

    backbone: float
    """All T frames through the backbone."""
    heads: dict[str, float]
    """A window through each task's head, as a plain module."""
    parameters: dict[str, int]
    """Of each head: what was trained."""

    def shared(self, tasks: int) -> float:
        """One backbone for the first so many tasks."""
        return self.backbone + sum(list(self.heads.values())[:tasks])

    def separate(self, tasks: int) -> float:
        """A backbone for each of them, as adapters and prompts need."""
        return tasks * self.backbone + sum(list(self.heads.values())[:tasks])


@torch.inference_mode()
def measure_cost(perceiver: Perceiver) -> Cost:
    """Count the operations that PyTorch does for one window."""
    backbone, clip = perceiver.backbone, perceiver.clip
    height, width = backbone.image_size
    pixels = torch.zeros(1, 3, height, width, dtype=backbone.dtype, device=backbone.device)
    tokens = torch.zeros(1, clip.num_frames, backbone.num_patches, backbone.dim, device=backbone.device)
    return Cost(
        backbone=clip.num_frames * _flops(lambda: backbone.tower.tokens(pixels)),
        heads={task: _flops(lambda head=head: head(tokens)) for task, head in perceiver.heads.items()},
        parameters={task: _parameters(head) for task, head in perceiver.heads.items()},
    )


def cost_figure(cost: Cost) -> str:
    """Operations a window against the number of tasks."""
    tasks = np.arange(1, len(cost.heads) + 1)
    shared = [cost.shared(int(n)) for n in tasks]
    separate = [cost.separate(int(n)) for n in tasks]
    with svg.figure(4.6, 3.0) as figure:
        axes = figure.subplots()
        axes.plot(tasks, separate, "^--", color=svg.PARTNER, label="a backbone for each task")
        axes.plot(tasks, shared, "o-", color=svg.RIGHT, label="one backbone for all (this run)")
        axes.set_xticks(tasks)
        axes.set_xlabel("tasks")
        axes.set_ylabel("GFLOPs a window")
        axes.set_ylim(0)
        axes.margins(x=0.15)
        axes.legend(loc="lower right")
        return svg.to_svg(
            figure,
            f"{len(tasks)} tasks cost {shared[-1]:.2f} GFLOPs a window with a shared backbone, "
            f"{separate[-1]:.2f} with a backbone each",
        )


def _flops(run: object) -> float:
    counter = FlopCounterMode(display=False)
    with counter:
        run()  # type: ignore[operator]
    return counter.get_total_flops() / 1e9


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
