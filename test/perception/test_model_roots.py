"""Which models may be loaded once a node runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.perception.model_roots import ModelRoots


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("ours/door", "ours/cup", "theirs/door"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "theirs" / "door")
    return tmp_path


def allowed(roots: ModelRoots, name: str | Path) -> bool:
    try:
        roots.check([str(name)])
    except ValueError:
        return False
    return True


def test_siblings_and_owners_of_what_is_given_at_the_start_may_be_loaded(folders: Path) -> None:
    roots = ModelRoots([""], [str(folders / "ours" / "door"), "acme/door-head", ""])
    assert allowed(roots, folders / "ours" / "door") and allowed(roots, folders / "ours" / "cup")
    assert allowed(roots, "acme/cup-head") and allowed(roots, "tabletop/object")
    assert allowed(roots, folders / "ours" / "not_there_yet")
    assert not allowed(roots, folders / "theirs" / "door") and not allowed(roots, "evil/head")


def test_given_roots_replace_them_but_not_what_is_given_at_the_start(folders: Path) -> None:
    given = str(folders / "ours" / "door")
    roots = ModelRoots([str(folders / "theirs"), "acme"], [given])
    assert allowed(roots, given) and allowed(roots, folders / "theirs" / "door")
    assert allowed(roots, "acme/door") and allowed(roots, "tabletop/object")
    assert not allowed(roots, folders / "ours" / "cup")


@pytest.mark.parametrize("way_out", ["ours/../theirs/door", "ours/link", "ours/../../etc", "theirs"])
def test_there_is_no_way_out(folders: Path, way_out: str) -> None:
    roots = ModelRoots([], [str(folders / "ours" / "door")])
    assert not allowed(roots, f"{folders}/{way_out}")


def test_what_lies_at_the_root_of_the_disk_brings_no_siblings() -> None:
    roots = ModelRoots([], ["/model"])
    assert allowed(roots, "/model") and not allowed(roots, "/etc")


def test_a_name_without_an_owner_brings_none() -> None:
    roots = ModelRoots([], ["backbone"])
    assert allowed(roots, "backbone") and not allowed(roots, "backbone/of-somebody")


def test_the_reason_says_where_it_would_have_to_be(folders: Path) -> None:
    roots = ModelRoots([f"{folders}/ours", "acme"], [])
    with pytest.raises(ValueError, match="model_roots") as error:
        roots.check(["", "evil/head"])
    for words in ("evil/head", f"{folders}/ours", "acme"):
        assert words in str(error.value)
