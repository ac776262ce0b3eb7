"""The documentation's pages: their order, and those that the code itself writes.

A hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks). A page of `ORDER` that does not
exist is left out; one that is not in it comes last.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

ORDER = {
    "index.md": "Quick start",
    "camera.md": "Your own camera",
    "training.md": "Your own task",
    "adapters.md": "Adapters",
    "models.md": "Models",
    "replay.md": "Replay and reports",
    "planner.md": "A planner",
    "robot.md": "On a robot",
    "interface.md": "Topics and parameters",
    "performance.md": "Performance",
    "performance-gpu.md": "Performance on a GPU",
    "results.md": "Results",
    "architecture.md": "Architecture",
    "faq.md": "Questions",
}
GENERATED = "interface.md"


def on_config(config: Any) -> Any:
    """Set the navigation: every page that there is."""
    there = {path.name for path in DOCS.glob("*.md")} | {GENERATED}
    known = [{title: name} for name, title in ORDER.items() if name in there]
    config.nav = known + sorted(there - set(ORDER))
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the page on topics and parameters."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, GENERATED, content=interface_page()))
    return files


def interface_page() -> str:
    """Topics, services and parameters of the node, as its code describes them.

    Raises:
        ImportError: there is no ROS 2; the node's descriptions are ROS's.
    """
    sys.path.insert(0, str(ROOT))
    from step_ros.ros.node.process import USAGE
    from step_ros.runs.parameters import PARAMETERS

    usage, _, _ = USAGE.partition("\nparameters\n")
    rows = ["| parameter | default | values | set | |", "|---|---|---|---|---|"]
    for spec in PARAMETERS:
        default = f"[{', '.join(spec.default)}]" if isinstance(spec.default, list) else spec.default
        shown = f'"{default}"' if default == "" else default
        values = "; ".join(filter(None, [spec.constraint(), spec.within and spec.within.unit]))
        rows.append(f"| `{spec.name}` | `{shown}` | {values} | {spec.when()} | {_cell(spec.description)} |")
    return (
        "# Topics and parameters\n\n"
        "What `ros2 run step_ros perception --help` says. A planner needs `~/<task>/stable`; everything else "
        "is for those who want more.\n\n"
        f"```text\n{usage.strip()}\n```\n\n"
        "## Parameters\n\n"
        "`config/perception.yaml` has them all, to be copied and given as `--params-file`. Many "
        "can be set while the node runs: `ros2 param set /perception filter.threshold 0.6`.\n\n"
        + "\n".join(rows)
        + "\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
