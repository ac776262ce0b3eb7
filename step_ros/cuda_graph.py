"""What a call launches on a GPU, recorded once and launched again as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result", Tensor, tuple[Tensor, ...])

_WARM_UPS = 3


def capture(
    run: Callable[[], Result], device: torch.device, *, urgent: bool = True
) -> tuple[torch.cuda.CUDAGraph, Result]:
    """Record what a call launches on a GPU.

    The call is made a few times: what it writes to is written to.

    Args:
        run: reads and writes memory that stays where it is, and never waits for the GPU.
        device: the GPU.
        urgent: whether it goes before what is not, where both are waiting for the same GPU.

    Returns:
        The graph, and the memory that each replay leaves the call's result in.
    """
    stream = torch.cuda.Stream(device, priority=-1 if urgent else 0)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):  # compiles, chooses kernels, allocates workspaces: none may be captured
            run()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # What other threads do on the GPU meanwhile is none of the capture's business.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        result = run()
    return graph, result
