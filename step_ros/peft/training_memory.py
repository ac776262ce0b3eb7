"""Does the memory suffice to train through a backbone? Asked before training starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from step_ros.peft.adapted_tower import AdaptedTower
from step_ros.peft.adapter_config import AdapterError

# Float32 values a token and channel that a block keeps for the way back: both norms, q, k, v, what attention
# gives and what is projected of it, and an MLP four times as wide before and after its activation.
_VALUES_OF_A_BLOCK = 16


def training_bytes(adapted: AdaptedTower, frames: int, *, checkpointing: bool) -> int:
    """About what the activations of one step take.

    Args:
        adapted: the network.
        frames: of a batch: windows times T.
        checkpointing: whether blocks are computed again on the way back.
    """
    place = adapted.place
    tokens = frames * (place.num_prefix_tokens + place.grid[0] * place.grid[1])
    kept = place.num_layers + _VALUES_OF_A_BLOCK if checkpointing else place.num_layers * _VALUES_OF_A_BLOCK
    return tokens * place.dim * kept * torch.float32.itemsize


def check_memory(adapted: AdaptedTower, frames: int, *, checkpointing: bool, device: torch.device) -> None:
    """Make sure that a step's activations fit into what is free.

    Args:
        adapted: the network.
        frames: of a batch: windows times T.
        checkpointing: whether blocks are computed again on the way back.
        device: where training runs.

    Raises:
        AdapterError: they do not.
    """
    needed, free = training_bytes(adapted, frames, checkpointing=checkpointing), free_bytes(device)
    if free is None or needed <= free:
        return
    again = "" if checkpointing else ", or --adapter.checkpointing, which computes blocks again instead"
    raise AdapterError(
        f"training through this backbone takes about {needed / 1e9:.1f} GB for {frames} frames at a time, "
        f"but {device} has {free / 1e9:.1f} GB free; take a smaller --batch-size{again}"
    )


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device; None where the system does not say."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    try:
        lines: dict[str, Any] = dict(
            line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines()
        )
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
