"""How much memory something takes at its peak: the process's resident memory, or a GPU's."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """Filled when the block ends."""

    mb: float = 0.0
    """MiB above what was in use when it began; NaN where the system does not tell."""


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Watch a block: how far does memory in use rise above where it began?"""
    peak = Peak()
    _give_back()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        allocated = torch.cuda.memory_allocated(device)
        yield peak
        peak.mb = (torch.cuda.max_memory_allocated(device) - allocated) / 2**20
        return
    before = _resident("VmRSS")
    try:
        _CLEAR.write_text("5")  # the mark starts again from here
    except OSError:  # not Linux, or not allowed
        before = float("nan")
    yield peak
    peak.mb = (_resident("VmHWM") - before) / 2**10


def _resident(field: str) -> float:
    """Size in KiB that the kernel says, or NaN."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return float("nan")
    return next((float(line.split()[1]) for line in lines if line.startswith(field)), float("nan"))


def _give_back() -> None:
    """Return what was freed, so that it does not hide what is allocated next."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another C library
        pass
