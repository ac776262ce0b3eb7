"""What every test stands on: a ROS graph of its own, its turn among the others, and the `needs_cuda` mark."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

import pytest

from .side_by_side import give_way, in_order, pytest_xdist_make_scheduler  # noqa: F401


def claim_ros_domain() -> tuple[int, IO[str]]:
    """A ROS domain that no other test run on this machine uses, and the lock that keeps it so while open."""
    # Up to 101 the ports of a domain lie outside the range that the kernel gives away.
    for domain in range(1, 102):
        lock = Path(tempfile.gettempdir(), f"step_ros_domain_{domain}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return domain, lock
    raise RuntimeError("All ROS domains from 1 to 101 are in use by other test runs; end some of them.")


# At import, so that it holds before any test module imports rclpy, and in every process that a test starts.
DOMAIN, DOMAIN_LOCK = claim_ros_domain()
LOG_FOLDER = tempfile.TemporaryDirectory(prefix="step_ros_log_")
os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_LOG_DIR"] = LOG_FOLDER.name


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nodes that are watched by the clock have the processor when they want it."""
    give_way(item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests; skip `needs_cuda` where there is no GPU, unless STEP_ROS_REQUIRE_CUDA=1 promises one."""
    items[:] = in_order(items)
    marked = [item for item in items if item.get_closest_marker("needs_cuda")]
    if not marked or os.environ.get("STEP_ROS_REQUIRE_CUDA") == "1":
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.fixture(scope="session")
def clip_with_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny whole CLIP with a tokenizer of letters; image tokens have D = 24."""
    from .tiny_models import save_clip_with_words

    return save_clip_with_words(tmp_path_factory.mktemp("clip_with_words"))
