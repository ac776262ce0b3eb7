"""The processes that train together: one alone, or those that `accelerate launch` started."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from step_ros.extras import optional_package


class Processes:
    """This process and no other; of several, Accelerate's `Accelerator` offers the same.

    Args:
        device: where it computes.
    """

    process_index = 0
    """Which one this is."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
        """Model and optimizer that learn from the batches of all."""
        return model, optimizer

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss (), averaged over all processes."""
        loss.backward()


def join_processes(device: str) -> Processes:
    """The processes that this one trains with; if there are others, Accelerate says where it computes.

    Raises:
        MissingPackageError: there are others, and Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes(device)
    processes: Processes = optional_package("accelerate", extra="training").Accelerator()
    return processes


def is_first_process() -> bool:
    """Whether this process, of several that train together, is the one that writes files."""
    return int(os.environ.get("RANK", "0")) == 0
