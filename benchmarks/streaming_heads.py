"""What an update of the heads costs: plain on cached tokens, beside streaming, all from one run.

    python benchmarks/streaming_heads.py --frames 8 16 --dims 384 768 --tasks 1 3 --classes 20

Every update slides the window by one frame. *plain*: the window's tokens are cached, and each head runs
`StepProbe` (fused attention) over all of them. *float32* and *fast*: `StreamingHeads` in these modes. The
variants take turns within each update, so what else the machine does falls on all of them; times are medians
and, in brackets, the fastest update: on a machine that is not quiet only these tell what the code costs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import torch

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, ProbeConfig, StreamingHeads
from step_ros.probes.streaming.heads import MODES

VARIANTS = ("plain", *MODES)


def make_heads(tasks: int, frames: int, dim: int, patches: int, classes: int) -> dict[str, Head]:
    """Heads with random weights; attention heads of 64 channels."""
    backbone = BackboneIdentity("random", (224, 224), patches, dim, "0" * 64)
    labels = tuple(f"label_{index}" for index in range(classes))
    clip, probe = ClipSpec(frames, 2.0), ProbeConfig(dim, max(1, dim // 64))
    return {
        f"task_{index}": Head(HeadConfig(f"task_{index}", labels, clip, probe, backbone)).eval()
        for index in range(tasks)
    }


def measure(heads: dict[str, Head], frames: int, patches: int, dim: int, updates: int) -> dict[str, float]:
    """Milliseconds an update for each variant, how far streaming is from plain, and the memory it takes."""
    streams = {mode: StreamingHeads(heads, mode=mode, memory_limit_mb=8192) for mode in MODES}
    tokens = [torch.randn(patches, dim) for _ in range(frames + 4)]
    answers: dict[str, dict[str, torch.Tensor]] = {}

    def plain(index: int) -> None:
        with torch.inference_mode():
            window = torch.stack([tokens[i % len(tokens)] for i in range(index - frames + 1, index + 1)])
            answers["plain"] = {task: head(window[None])[0] for task, head in heads.items()}

    def streamed(mode: str) -> Callable[[int], None]:
        def update(index: int) -> None:
            streams[mode].push(index, tokens[index % len(tokens)])
            answers[mode] = streams[mode].logits() or {}

        return update

    variants = dict(zip(VARIANTS, [plain, *map(streamed, MODES)], strict=True))
    for index in range(frames - 1):
        for mode in streams:
            streamed(mode)(index)
    times: dict[str, list[float]] = {name: [] for name in variants}
    errors: dict[str, float] = dict.fromkeys(streams, 0.0)
    for index in range(frames - 1, frames + 1 + updates):
        for name, update in variants.items():
            start = time.perf_counter()
            update(index)
            times[name].append((time.perf_counter() - start) * 1e3)
        for mode in streams:
            for task, expected in answers["plain"].items():
                error = (answers[mode][task] - expected).abs().max() / expected.abs().max()
                errors[mode] = max(errors[mode], error.item())
    return {
        **{f"{name}_ms": statistics.median(values[2:]) for name, values in times.items()},
        **{f"{name}_best_ms": min(values[2:]) for name, values in times.items()},
        **{f"{mode}_error": error for mode, error in errors.items()},
        **{f"{mode}_mib": stream.memory_bytes / 2**20 for mode, stream in streams.items()},
    }


def main() -> None:
    """Print a row for each combination of sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[8, 16], help="T")
    parser.add_argument(
        "--dims", type=int, nargs="+", default=[384], help="D; attention heads have 64 channels"
    )
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--patches", type=int, default=256, help="P")
    parser.add_argument("--classes", type=int, default=20, help="K, for every task")
    parser.add_argument("--updates", type=int, default=15, help="how many are measured")
    parser.add_argument("--threads", type=int, help="torch's, by default one a core")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    patches, classes = arguments.patches, arguments.classes
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, P = {patches}, K = {classes}")
    print("   T    D tasks     plain, ms     float32, ms      fast, ms   plain/float32  plain/fast")
    rows = []
    for frames, dim, tasks in product(arguments.frames, arguments.dims, arguments.tasks):
        heads = make_heads(tasks, frames, dim, patches, classes)
        row = measure(heads, frames, patches, dim, arguments.updates)
        rows.append({"frames": frames, "dim": dim, "tasks": tasks, **row})
        print(
            f"{frames:4d} {dim:4d} {tasks:5d} "
            + "".join(f"{row[f'{name}_ms']:8.1f} ({row[f'{name}_best_ms']:5.1f})" for name in VARIANTS)
            + "".join(
                f"   {row['plain_ms'] / row[f'{mode}_ms']:4.1f} "
                f"({row['plain_best_ms'] / row[f'{mode}_best_ms']:4.1f})"
                for mode in MODES
            )
            + "".join(
                f"   {mode}: error {row[f'{mode}_error']:.0e}, {row[f'{mode}_mib']:.0f} MiB" for mode in MODES
            )
        )
        sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"patches": patches, "classes": classes, "rows": rows}, indent=2)
        )


if __name__ == "__main__":
    main()
