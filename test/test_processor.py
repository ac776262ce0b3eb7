"""What this processor computes fast, in processes that are told to do without some of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from step_ros.processor import choose_device, multiplies_bfloat16

CHOICES = """
import torch
from step_ros.processor import multiplies_bfloat16
from step_ros.probes.streaming.heads import _block_dtype
from step_ros.training.fit import fastest_precision
print(multiplies_bfloat16(), fastest_precision("cpu"), _block_dtype("fast", 16, 256, torch.float32))
"""


def choices(**environment: str) -> list[str]:
    given = {"ATEN_CPU_CAPABILITY": "", "ONEDNN_MAX_CPU_ISA": "", "DNNL_MAX_CPU_ISA": "", **environment}
    call = [sys.executable, "-c", CHOICES]
    return subprocess.run(
        call, env={**os.environ, **given}, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize(
    "limit",
    [{"ATEN_CPU_CAPABILITY": "avx2"}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"DNNL_MAX_CPU_ISA": "avx512_core"}],
    ids=str,
)
def test_bfloat16_is_never_emulated(limit: dict[str, str]) -> None:
    assert choices(**limit) == ["False", "float32", "torch.float32"]


def test_it_is_used_where_the_processor_has_it() -> None:
    has = multiplies_bfloat16()
    assert choices() == [str(has), *(["bfloat16", "torch.bfloat16"] if has else ["float32", "torch.float32"])]


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="abacus"):
        choose_device("abacus")
    assert choose_device("auto").type in ("cpu", "cuda")
