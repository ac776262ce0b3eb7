"""The file that a run leaves: the machine, its limits, and the rows."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from step_ros.atomic_files import write_text
from step_ros.benchmark.roofline import Roofline
from step_ros.benchmark.row import Row

_PACKAGES = ("torch", "transformers", "openvino", "onnxruntime", "tensorrt")


class ResultsError(ValueError):
    """A file does not hold a run's results; the message says what is wrong with it."""


@dataclass
class BackboneFrame:
    """What one frame costs in the backbone alone, preprocessing included."""

    backbone: str
    """As the rows name it."""
    engine: str
    """What ran it."""
    median_ms: float
    """Milliseconds."""


@dataclass
class Results:
    """Everything that a run found out."""

    preset: str
    """Which cases."""
    machine: dict[str, str]
    """Processor, cores, GPU, and the versions of what ran."""
    roofline: Roofline
    """The device's limits."""
    backbone_frames: list[BackboneFrame] = field(default_factory=list)
    """One a backbone."""
    rows: list[Row] = field(default_factory=list)
    """One a case and method."""
    left_out: list[str] = field(default_factory=list)
    """Cases for which there was no time."""

    def in_order(self) -> list[Row]:
        """The rows as one reads them: a backbone's together, from small settings to large ones."""
        names = [each.backbone for each in self.backbone_frames]
        return sorted(
            self.rows, key=lambda row: (names.index(row.backbone), row.cameras, row.frames, row.tasks)
        )

    def row(self, method: str, backbone: str, frames: int, tasks: int, cameras: int = 1) -> Row | None:
        """The row with these properties, if there is one."""
        for row in self.rows:
            if (row.method, row.backbone, row.frames, row.tasks, row.cameras) == (
                *(method, backbone, frames, tasks, cameras),
            ):
                return row
        return None

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            OSError: it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file that `save` wrote.

        Raises:
            ResultsError: it cannot be read, or holds something else.
        """
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                preset=content["preset"],
                machine=content["machine"],
                roofline=Roofline(**content["roofline"]),
                backbone_frames=[BackboneFrame(**each) for each in content["backbone_frames"]],
                rows=[Row.from_json(row) for row in content["rows"]],
                left_out=list(content["left_out"]),
            )
        except OSError as error:
            raise ResultsError(f"{path} cannot be read: {error.strerror or error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(
                f"{path} does not hold what `step-ros benchmark --json` writes ({error!r}); run it again"
            ) from error


def describe_machine(device: torch.device) -> dict[str, str]:
    """What the figures are figures of."""
    machine = {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    if device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(device)
    for package in _PACKAGES:
        try:
            machine[package] = version(package)
        except PackageNotFoundError:
            continue
    return machine


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
