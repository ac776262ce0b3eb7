"""What an update costs here, next to other ways to get the same answer: `step-ros benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from step_ros.cli.output_files import check_outputs

if TYPE_CHECKING:
    from step_ros.benchmark.results import Results


def benchmark(
    preset: str = "cpu",
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
    engine: str = "auto",
    limit: float | None = None,
) -> None:
    """Measure streaming heads beside recomputing, cached tokens, adapters and video models, in one run.

    Networks have real sizes and random weights, and nothing is downloaded.

    Args:
        preset: cpu (two cores, less than ten minutes) or gpu (one NVIDIA GPU).
        json_file: where to write the figures as well; "{gpu}" in it becomes the GPU's name.
        engine: what runs the backbones: auto, tensorrt, inductor, openvino, onnxruntime or eager.
        limit: seconds after which no further case is begun; the least important are left out, and named.
    """
    from step_ros.benchmark.session import run_preset

    check_outputs(json_file)
    console = Console()
    results = run_preset(
        preset, limit_seconds=limit, engine=engine, report=lambda line: console.print(line, style="dim")
    )
    _print(console, results)
    if json_file is not None:
        gpu = results.machine.get("gpu", "cpu").lower().replace(" ", "-")
        results.save(Path(str(json_file).replace("{gpu}", gpu)))


def _print(console: Console, results: Results) -> None:
    from step_ros.benchmark.table import rich_table, target_table
    from step_ros.benchmark.targets import targets

    console.print(rich_table(results))
    console.print(target_table(targets(results)))
    for case in results.left_out:
        console.print(f"left out for lack of time: {case}", style="yellow")
