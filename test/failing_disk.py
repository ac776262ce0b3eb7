"""Runs a job again and again, each time with the next one of its writes failing; see `failing_disk.c`.

A program of its own, since that has to be preloaded: `failing_disk.py JOB FOLDER`, where FOLDER holds what
the job needs. Every run is a fork of one warm process. It ends with 1, and says why, if after some failure
there was what is neither whole nor refused, or the run after it did not end as an undisturbed one does.
"""

from __future__ import annotations

import ctypes
import gc
import io
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.paper.trained_heads import train_heads
from step_ros.perception.announcements import Announcement
from step_ros.probes import Head, HeadError
from step_ros.runs.moments import Moment
from step_ros.runs.recorder import RunRecorder, make_room
from step_ros.runs.run import LIVE, Run, RunError, RunTask, RunUpdate, read_run
from step_ros.scores.timeline import TruthTimeline
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit_options import FitOptions
from step_ros.training.store import ClipSampling, TokenStoreError, open_store
from step_ros.training.store.folder import LOCK

Tree = dict[str, bytes | None]
"""Content by path; None of a folder."""


class How(IntEnum):
    """What happens at a write."""

    COUNT = 0
    NO_SPACE = 1
    IO_ERROR = 2
    KILL = 3
    POWER_CUT = 4


@dataclass(frozen=True)
class Job:
    """What writes over what lies there already, and whether a reader takes what it leaves."""

    before: Callable[[Path], None]
    """Makes what lies in the folder."""
    run: Callable[[Path], None]
    """Writes to the folder."""
    is_refused: Callable[[Path], bool]
    """Whether a reader of the folder says that it is not usable; false if it reads it."""


def jobs(given: Path) -> dict[str, Job]:
    """Every job by its name, for the data in a folder."""
    backbone = Backbone.from_pretrained(given / "backbone")

    def extract_from(data: str) -> Callable[[Path], None]:
        clips = given / data / "clips.csv"
        options = ExtractOptions(ClipSampling(2))
        return lambda out: void(extract(read_dataset(clips), backbone, options, out / "store"))

    def store_is_refused(out: Path) -> bool:
        try:
            return bool(open_store(out / "store").verify())
        except TokenStoreError:
            return True

    def train(seed: int) -> Callable[[Path], None]:
        options = FitOptions(
            steps=2, check_every=1, batch_size=2, num_heads=2, token_dropout=0.0, precision="float32",
            seed=seed, validation_share=0.5,
        )  # fmt: skip
        return lambda out: void(
            train_heads(open_store(given / "store"), ["verb"], out, options, overwrite=True)
        )

    def head_is_refused(out: Path) -> bool:
        try:
            Head.from_pretrained(out / "verb")
        except HeadError:
            return True
        return False

    def record(labels: tuple[str, ...]) -> Callable[[Path], None]:
        return lambda out: record_run(out / "run", labels)

    def run_is_refused(out: Path) -> bool:
        try:
            read_run(out / "run")
        except RunError:
            return True
        return False

    return {
        "extract": Job(extract_from("old_data"), extract_from("data"), store_is_refused),
        "train": Job(train(1), train(0), head_is_refused),
        "record": Job(record(("cup", "box")), record(("open", "close")), run_is_refused),
    }


def void(_: object) -> None:
    """Nothing."""


def record_run(out: Path, labels: tuple[str, ...]) -> None:
    """Two updates of a node, in a run's folder."""
    run = Run(
        said_by=LIVE,
        recording="",
        image_topic="/image",
        clip=ClipSpec(8, 0.8),
        tasks={"action": RunTask(labels)},
        span_ns=(0, 2),
        truth={"action": TruthTimeline([(0, labels[0])])},
    )
    make_room(out)
    with RunRecorder(run, out, node="/perception", start_ns=0) as recorder:
        for stamp_ns in (1, 2):
            update = RunUpdate(stamp_ns, stamp_ns, stamp_ns, {"action": np.float32([0.25, 0.75])}, ())
            said = Announcement("action", False, stamp_ns, ((labels[1], 0.75),))
            recorder.add(Moment(update, [said], None, "camera"))
    recorder.finish()


def in_fork(action: Callable[[], None]) -> tuple[bool, str]:
    """Whether an action ends well in a process of its own, and if not, its trace."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with redirect_stdout(io.StringIO()):
                action()
        except BaseException:
            os.write(write, traceback.format_exc().encode()[-4000:])
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        trace = said.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, trace


def tree(folder: Path) -> Tree:
    """All that is in a folder, but for who locks it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.name != LOCK
    }


def check(job: Job, work: Path, disk: ctypes.CDLL) -> int:
    """Let each write of a job fail in every way; returns how many writes there are."""
    out, old = work / "out", work / "old"
    old.mkdir()
    with redirect_stdout(io.StringIO()):
        job.before(old)  # here: what is imported and made once, no fork has to

    def fresh() -> None:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out, copy_function=shutil.copy2)

    def run(at: int, how: How) -> None:
        disk.failing_disk_arm(os.fsencode(out), ctypes.c_long(at), int(how))
        job.run(out)
        if how == How.COUNT:
            (work / "count").write_text(str(disk.failing_disk_count()))

    gc.freeze()  # what no fork collects, it need not copy
    fresh()
    before = tree(out)
    assert in_fork(lambda: run(0, How.COUNT)) == (True, "")
    count, expected = int((work / "count").read_text()), tree(out)
    assert not job.is_refused(out)

    def cut_the_power_after_it() -> None:
        run(count + 1, How.POWER_CUT)
        (out / "one more").touch()

    fresh()
    in_fork(cut_the_power_after_it)
    if tree(out) != expected:
        raise SystemExit("what was written is not on the disk when the job has ended")
    tried: set[frozenset[tuple[str, bytes | None]]] = set()
    for how in (How.NO_SPACE, How.IO_ERROR, How.KILL, How.POWER_CUT):
        for at in range(1, count + 1):
            where = f"write {at} of {count}, {how.name}"
            fresh()
            ended, first_trace = in_fork(lambda at=at, how=how: run(at, how))
            after = tree(out)
            usable = not job.is_refused(out)
            if usable and not any(
                all(after.get(name) == content for name, content in whole.items())
                for whole in (before, expected)
            ):
                raise SystemExit(f"{where}: what is neither the old nor the new can be read\n{first_trace}")
            if ended and not usable:
                raise SystemExit(f"{where}: ended well, but without a result")
            state = frozenset(after.items())
            if state in tried:  # what follows depends on nothing else
                continue
            tried.add(state)
            again, trace = in_fork(lambda: job.run(out))
            found = tree(out)
            if not again or found != expected:
                differing = [name for name in {**found, **expected} if found.get(name) != expected.get(name)]
                differing += [name for name in {*found} ^ {*expected} if name not in differing]
                raise SystemExit(f"{where}: the next run leaves other {differing}\n{first_trace}\n{trace}")
    return count


if __name__ == "__main__":
    torch.set_num_threads(1)  # a fork has none of the others
    name, folder = sys.argv[1], Path(sys.argv[2])
    disk = ctypes.CDLL(os.environ["LD_PRELOAD"])
    memory = Path("/dev/shm")  # where there is no wait for a disk
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as work:
        print(check(jobs(folder)[name], Path(work), disk))
