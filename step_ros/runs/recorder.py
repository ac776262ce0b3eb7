"""Writes a run to its folder while it is being said."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from step_ros.atomic_files import new_file, remove_drafts, write_text
from step_ros.runs.evaluate import evaluate
from step_ros.runs.moments import Moment
from step_ros.runs.run import (
    METRICS,
    PREDICTIONS_BAG,
    PREDICTIONS_CSV,
    PREDICTIONS_JSONL,
    REPORT,
    RUN,
    Run,
    update_line,
    write_run,
)
from step_ros.runs.writers.bag import prediction_bag
from step_ros.runs.writers.csv import write_csv
from step_ros.scores.clips import ClipScores

_log = logging.getLogger("step_ros")


class RunWriter(Protocol):
    """A context manager that writes one more file, such as `RunVideo`."""

    def add(self, moment: Moment) -> None:
        """Take the next moment."""

    def __enter__(self) -> RunWriter: ...

    def __exit__(self, kind: object, error: object, trace: object, /) -> None: ...


MakeWriter = Callable[[Path, Run], RunWriter]
"""Makes a writer for a file's path and the run, whose tasks are known by then; a live one's truth grows."""

NOTHING_ELSE: Mapping[str, MakeWriter] = MappingProxyType({})


class _ByProduct:
    """A further file, whose failure is told and keeps nothing of the run from being written.

    Args:
        path: of the file; it is gone if it could not be written to its end.
        writer: what writes it.
    """

    def __init__(self, path: Path, writer: RunWriter) -> None:
        self._path = path
        self._writer = writer
        self._failed = False

    def add(self, moment: Moment) -> None:
        if not self._failed:
            try:
                self._writer.add(moment)
            except Exception as error:  # encoders and disks raise what they like
                self._fail(error)

    def __enter__(self) -> _ByProduct:
        self._writer.__enter__()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
        except Exception as failure:
            self._fail(failure)
        if self._failed:
            with suppress(OSError):
                self._path.unlink()

    def _fail(self, error: Exception) -> None:
        if not self._failed:
            _log.warning("%s cannot be written: %s; the run goes on without it", self._path, error)
        self._failed = True


def not_written(also: Mapping[str, MakeWriter], out: Path) -> list[str]:
    """The further files of a run that could not be written, or had nothing to show; its warnings say why."""
    return [name for name in also if not (out / name).exists()]


class RunRecorder(ExitStack):
    """Keeps a run in a folder: the node's topics, all probabilities, a csv, scores; run.json comes last.

    A context manager; an earlier run in the folder is replaced.

    Args:
        run: to be filled; its tasks are known.
        out: folder, made if it does not exist.
        node: full name of the node that said it, or would have.
        start_ns: when the recording begins.
        also: further files by name, and what writes them.
    """

    def __init__(
        self,
        run: Run,
        out: Path,
        *,
        node: str,
        start_ns: int,
        also: Mapping[str, MakeWriter] = NOTHING_ELSE,
    ) -> None:
        super().__init__()
        self.run = run
        self._out = out
        self._node = node
        self._start_ns = start_ns
        self._also = also
        self._writers: list[_ByProduct] = []

    def add(self, moment: Moment) -> None:
        """Take the next moment."""
        self.run.updates.append(moment.update)
        self._lines.write(update_line(moment.update) + "\n")
        self._add_to_bag(moment)
        for writer in self._writers:
            writer.add(moment)

    def finish(self, clips: Mapping[str, ClipScores] = MappingProxyType({})) -> dict[str, Any]:
        """Score the run, once it is whole, and write what stands for all of it; returns metrics.json."""
        metrics = evaluate(self.run, clips).to_json()
        write_text(self._out / METRICS, json.dumps(metrics, indent=2) + "\n")
        write_csv(self.run, self._out / PREDICTIONS_CSV)
        write_run(self.run, self._out)
        return metrics

    def __enter__(self) -> RunRecorder:
        make_room(self._out)
        enter = self.enter_context
        try:
            bag = prediction_bag(self._out / PREDICTIONS_BAG, self._node, self.run.tasks, self._start_ns)
            self._add_to_bag = enter(bag)
            self._lines = enter(enter(new_file(self._out / PREDICTIONS_JSONL)).open("w", encoding="utf-8"))
            for name, make in self._also.items():
                path = self._out / name
                path.unlink(missing_ok=True)
                self._writers.append(enter(_ByProduct(path, make(path, self.run))))
        except BaseException:
            self.close()
            raise
        return self


def make_room(out: Path) -> None:
    """Make a run's folder, and take away what must not pass for the new run's."""
    out.mkdir(parents=True, exist_ok=True)
    remove_drafts(out)
    for old in (RUN, METRICS, REPORT):
        (out / old).unlink(missing_ok=True)


class WarningsOf(logging.Handler):
    """Collects what the package's log warns of meanwhile, each once; a context manager."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(level=logging.WARNING)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        """Take a warning in."""
        message = record.getMessage()
        if message not in self._found:
            self._found.append(message)

    def __enter__(self) -> WarningsOf:
        _log.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _log.removeHandler(self)


def versions(*packages: str) -> dict[str, str]:
    """Of what decides about a run: Python, these packages where they are installed, and the machine."""
    installed = {name: _version(name) for name in ("step_ros", "torch", "transformers", "numpy", *packages)}
    return {
        "python": platform.python_version(),
        **{name: version for name, version in installed.items() if version},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
