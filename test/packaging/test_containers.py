"""The workflow and the Dockerfiles, which run elsewhere, speak of what there is here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ros.yml"
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


def test_every_release_that_the_readme_names_is_tested_in_its_official_image() -> None:
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["workspace"]
    (named,) = re.findall(r"\*\*Which ROS\.\*\* (.+?) are supported", (ROOT / "README.md").read_text())
    assert job["strategy"]["matrix"]["distribution"] == re.split(r", | and ", named.lower())
    assert job["container"] == "ros:${{ matrix.distribution }}-ros-base"


def test_every_image_is_built() -> None:
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["images"]
    assert job["strategy"]["matrix"]["file"] == sorted(
        (path.name.removesuffix(".Dockerfile") for path in DOCKERFILES), reverse=True
    )


@pytest.mark.parametrize("path", [WORKFLOW, *DOCKERFILES], ids=lambda path: path.name)
def test_what_it_names_of_the_package_exists(path: Path) -> None:
    text = path.read_text()
    named = re.findall(r"src/step_ros/(\S+)|\b((?:test|docker|launch)/[\w/.]+)", text)
    files = {next(filter(None, pair)) for pair in named} | {
        f"launch/{name}" for name in re.findall(r"\w+\.launch\.py", text)
    }
    assert files
    for name in files:
        if "${{" not in name and not name.endswith("/"):
            assert (ROOT / name).exists(), name
