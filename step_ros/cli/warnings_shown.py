"""Shows what the package warns of, above whatever progress is on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler

_log = logging.getLogger("step_ros")


@contextmanager
def warnings_shown(console: Console) -> Iterator[None]:
    """Print the package's warnings on a console for as long as this lasts."""
    handler = RichHandler(logging.WARNING, console, show_time=False, show_path=False)
    _log.addHandler(handler)
    propagate, _log.propagate = _log.propagate, False  # not a second time by the root logger's last resort
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.propagate = propagate
