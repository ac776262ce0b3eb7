"""What this device could do at most: its matrix rate and its memory's bandwidth, as measured here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from step_ros.probes.streaming.batched_product import multiply

_MATRIX = {"cpu": 1024, "cuda": 8192}
_COPIED_BYTES = {"cpu": 256 * 2**20, "cuda": 2 * 2**30}
_REPEATS = 20


@dataclass(frozen=True)
class Roofline:
    """The two limits of a device."""

    flops_per_second: float
    """Of products of large square matrices, in the type that is the fastest here."""
    bytes_per_second: float
    """Read, and as many written, by a copy of memory that fits no cache; both are counted."""

    def floor_seconds(self, flops: int, bytes_moved: int) -> float:
        """The least time for this work, were nothing else to be done and nothing to be waited for."""
        return max(flops / self.flops_per_second, bytes_moved / self.bytes_per_second)

    def to_json(self) -> dict[str, float]:
        """As the file holds it."""
        return asdict(self)


def measure_roofline(device: torch.device) -> Roofline:
    """Take the best of a few runs of each."""
    size = _MATRIX.get(device.type, 1024)
    rates = []
    for dtype in (torch.float32, torch.bfloat16) if device.type == "cpu" else (torch.bfloat16,):
        # A batch of one for each core: how a single product is split over cores is not the question.
        batch = torch.get_num_threads() if device.type == "cpu" else 1
        left, right = (torch.randn(batch, size, size, device=device).to(dtype) for _ in range(2))
        products: list[Callable[[], object]] = [lambda a=left, b=right: a @ b]  # type: ignore[misc]
        if dtype == torch.float32:
            out = torch.empty(batch, size, size)
            products.append(lambda a=left, b=right, c=out: multiply(a, b, c))  # type: ignore[misc]
        rates += [2 * batch * size**3 / _least_seconds(product, device) for product in products]
    source = torch.ones(_COPIED_BYTES.get(device.type, 2**28), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = _least_seconds(lambda: target.copy_(source), device)
    return Roofline(max(rates), 2 * source.nbytes / seconds)


def _least_seconds(run: Callable[[], object], device: torch.device) -> float:
    seconds = []
    for _ in range(1 + _REPEATS):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
