"""Packages whose names come on demand: all of them do, and the package itself costs nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ("step_ros.backbones", "step_ros.peft", "step_ros.perception", "step_ros.probes")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_that_a_package_lists_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert all(getattr(package, listed) is not None for listed in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = package.nothing


def test_the_packages_alone_load_no_torch() -> None:
    code = f"import sys, {', '.join(PACKAGES)}, step_ros.frames; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
