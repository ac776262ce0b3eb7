"""Built engines on disk: found again, never trusted when broken, never in the way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from step_ros.backbones.engines.engine_cache import EngineCache

BUILT_FROM = {
    "weights": "ab" * 32,
    "precision": "bfloat16",
    "gpu": "NVIDIA H200, 9.0, 132",
    "tensorrt": "10.9",
}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_what_is_stored_is_found_again(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "deep" / "cache")
    assert cache.load(BUILT_FROM) is None
    cache.store(BUILT_FROM, b"engine")
    assert EngineCache(cache.folder).load(dict(reversed(BUILT_FROM.items()))) == b"engine"
    assert [path.suffix for path in cache.folder.iterdir()] == [".engine"]


@pytest.mark.parametrize("changed", BUILT_FROM)
def test_an_engine_of_anything_else_is_another_engine(tmp_path: Path, changed: str) -> None:
    cache = EngineCache(tmp_path)
    cache.store(BUILT_FROM, b"engine")
    assert cache.load({**BUILT_FROM, changed: "other"}) is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-1], id="cut off"),
        pytest.param(lambda content: content[:5], id="hardly begun"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:-1] + bytes([content[-1] ^ 1]), id="one bit"),
        pytest.param(lambda content: b"something else altogether" * 9, id="of another program"),
    ],
)
def test_a_corrupt_file_is_named_removed_and_written_anew(
    tmp_path: Path, damage, caplog: pytest.LogCaptureFixture
) -> None:
    cache = EngineCache(tmp_path)
    cache.store(BUILT_FROM, b"engine" * 100)
    path = cache.path(BUILT_FROM)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load(BUILT_FROM) is None
    assert not path.exists()
    assert warnings(caplog) == [f"the cached engine {path} is corrupt; it is removed and built again"]
    cache.store(BUILT_FROM, b"engine")
    assert cache.load(BUILT_FROM) == b"engine"


def test_a_folder_that_cannot_be_written_to_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file where the folder should be: it stops root too, whom permissions do not."""
    (tmp_path / "file").write_text("")
    cache = EngineCache(tmp_path / "file" / "cache")
    assert not cache.writable()
    cache.store(BUILT_FROM, b"engine")
    assert cache.load(BUILT_FROM) is None
    assert "cannot be kept in" in warnings(caplog)[0] and "STEP_ROS_CACHE" in warnings(caplog)[0]


def test_no_cache_at_all_keeps_nothing_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file stands where the folder should be: nobody can write there, not even root."""
    (tmp_path / "cache").write_text("")
    cache = EngineCache(tmp_path / "cache" / "step_ros")
    built_from = {"weights": "0" * 64}
    assert not cache.writable() and cache.load(built_from) is None
    cache.store(built_from, b"plan")
    assert any("cannot be kept in" in record.getMessage() for record in caplog.records)
    assert cache.load(built_from) is None


def test_a_file_that_cannot_be_read_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = EngineCache(tmp_path)
    cache.path(BUILT_FROM).mkdir()
    assert cache.load(BUILT_FROM) is None
    assert "cannot be read" in warnings(caplog)[0]
    cache.store(BUILT_FROM, b"engine")
    assert list(tmp_path.glob("*.part")) == []


def test_a_folder_that_others_can_put_something_into_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = EngineCache(tmp_path / "cache")
    cache.store(BUILT_FROM, b"engine")
    cache.folder.chmod(0o777)
    assert cache.load(BUILT_FROM) is None and not cache.writable()
    assert "others may write to it" in warnings(caplog)[0]
