"""Where models run on this machine, and what its processor computes fast."""

from __future__ import annotations

import os

import torch

_ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""By these variables oneDNN is told to do without newer instructions."""

_WITHOUT_BFLOAT16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}


def multiplies_bfloat16() -> bool:
    """Whether products of bfloat16 run in hardware: elsewhere they are emulated, far slower than float32.

    False also where PyTorch or oneDNN are told to do without the instructions, and where an old PyTorch does
    not tell what there is.
    """
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if not any(bool(has) for name, has in capabilities.items() if name.endswith("bf16")):
        return False
    if os.environ.get("ATEN_CPU_CAPABILITY", "").lower() in ("default", "avx2"):
        return False
    return not any(os.environ.get(limit, "").upper() in _WITHOUT_BFLOAT16 for limit in _ISA_LIMITS)


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first GPU where there is one, else the CPU.

    Raises:
        ValueError: torch knows no such device, or it is not on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used ({reason}); give auto, cpu or cuda:0") from error
    return device
