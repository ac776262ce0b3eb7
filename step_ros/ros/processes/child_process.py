"""A process that is started, watched and ended by another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from step_ros.ros.processes.environment import process_environment

LOG_TAIL = 15
"""Lines of a process' output that are shown when it has failed."""


class ChildError(RuntimeError):
    """A process ended when it should not have; the message holds its last words."""


class ChildProcess:
    """A Python module run with the environment that large images need, its output in a log.

    Args:
        name: for messages.
        arguments: the module and what it is given.
        log: file for its output.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env={**os.environ, **process_environment(os.environ)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def check_alive(self) -> None:
        """Make sure that it still runs.

        Raises:
            ChildError: it has ended.
        """
        if self.exit_code is not None:
            raise ChildError(f"the {self.name} died with exit code {self.exit_code}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:]
        return "\n".join(f"    {line}" for line in lines)

    def stop(self, patience: float = 20.0) -> int:
        """Ask it to end, insist after `patience` seconds, and return its exit code; may be called again."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            return self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()
