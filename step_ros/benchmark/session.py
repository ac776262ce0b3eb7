"""One run of a preset, from the limits of the device to the last row."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch

from step_ros.backbones import Backbone, select_engine
from step_ros.backbones.engines.selection import ENGINE_NAMES
from step_ros.benchmark.memory import peak_memory
from step_ros.benchmark.models import random_backbone
from step_ros.benchmark.presets import PRESETS, Preset
from step_ros.benchmark.results import BackboneFrame, Results, describe_machine
from step_ros.benchmark.roofline import Roofline, measure_roofline
from step_ros.benchmark.run import median_encode_ms, run_case

Report = Callable[[str], None]


def run_preset(
    name: str,
    *,
    limit_seconds: float | None = None,
    engine: str = "auto",
    report: Report = lambda line: None,
) -> Results:
    """Measure all cases of a preset.

    Args:
        name: one of `PRESETS`.
        limit_seconds: cases that have not begun by then are left out; None takes the preset's.
        engine: what runs the backbones, see `select_engine`.
        report: is told what is under way.

    Raises:
        EngineError: the engine asked for by name cannot be had.
        ValueError: there is no such preset or engine, or not the device that it runs on.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    if engine not in ENGINE_NAMES:
        raise ValueError(f"there is no engine {engine!r}; engines are {', '.join(ENGINE_NAMES)}")
    preset = PRESETS[name]
    if limit_seconds is not None:
        preset = replace(preset, limit_seconds=limit_seconds)
    return run_cases(name, preset, engine=engine, report=report)


def run_cases(
    name: str,
    preset: Preset,
    *,
    engine: str = "auto",
    report: Report = lambda line: None,
    make_backbone: Callable[[str, Path, torch.device], Backbone] = random_backbone,
    roofline: Roofline | None = None,
) -> Results:
    """Measure the cases of a preset; see `run_preset`.

    Args:
        name: what the results call it.
        preset: the cases.
        engine: see `run_preset`.
        report: see `run_preset`.
        make_backbone: makes a case's backbone, in a folder and on a device.
        roofline: the device's limits; None measures them.
    """
    device = torch.device(preset.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"the preset {name!r} needs an NVIDIA GPU, and PyTorch finds none here")
    if roofline is None:
        report("measuring the device's limits")
        roofline = measure_roofline(device)
    results = Results(name, describe_machine(device), roofline)
    end = time.monotonic() + preset.limit_seconds
    for backbone_name, cases in groupby(preset.cases, key=lambda case: case.backbone):
        waiting = list(cases)
        if time.monotonic() > end:
            results.left_out += map(str, waiting)
            continue
        report(f"{backbone_name}: building its engine")
        with tempfile.TemporaryDirectory(prefix="step_ros_benchmark_") as folder:
            backbone = make_backbone(backbone_name, Path(folder), device)
        with peak_memory(device) as peak:
            backbone.engine = select_engine(backbone.encoder, engine)
            frame_ms = median_encode_ms(backbone)
        if backbone_name not in {each.backbone for each in results.backbone_frames}:
            results.backbone_frames.append(BackboneFrame(backbone_name, str(backbone.engine), frame_ms))
        for case in waiting:
            if time.monotonic() > end:
                results.left_out.append(str(case))
                continue
            report(str(case))
            results.rows += run_case(case, backbone, peak.mb, results.roofline, preset.seconds)
            gc.collect()
    return results
