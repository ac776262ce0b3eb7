"""Names that a package offers, each imported when it is first asked for (PEP 562).

Importing any module of a package runs the package's `__init__`. Where that imports everything it offers,
who wants a light module (options, an error) pays for torch as well. So such an `__init__` keeps its ordinary
import lines, for readers and type checkers, and has them followed one by one at run time:

    if TYPE_CHECKING:
        from step_ros.probes.head import Head
    else:
        __getattr__ = names_on_demand(__name__)
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def names_on_demand(package: str) -> Callable[[str], Any]:
    """A package's `__getattr__`: it imports a name from where the `from ... import` lines of its file say.

    Args:
        package: its full name; it is being imported.
    """
    module = sys.modules[package]
    lines = ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
    imports = [line for line in lines if isinstance(line, ast.ImportFrom) and line.module]
    home = {alias.name: line.module for line in imports for alias in line.names}

    def __getattr__(name: str) -> Any:
        if name.startswith("__") or name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(str(home[name])), name)
        setattr(module, name, value)  # next time it is simply there
        return value

    return __getattr__
