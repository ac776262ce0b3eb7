"""From the names of heads to a perceiver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from step_ros.backbones import Backbone, BackboneError
from step_ros.perception import loading
from step_ros.perception.loading import load_perceiver
from step_ros.probes import Head, HeadError


@pytest.fixture
def models(
    tmp_path: Path, backbone_folder: Path, make_head: Callable[..., Head], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Two heads and, beside them, their backbone, below `models/ours` of the shared folder."""
    folder = tmp_path / "models" / "ours"
    folder.mkdir(parents=True)
    (folder / "backbone").symlink_to(backbone_folder)
    for task in ("near", "far"):
        make_head(task).save_pretrained(folder / task)
    monkeypatch.setattr(loading, "shared_folder", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    return folder


def test_heads_find_the_backbone_beside_them(models: Path, backbone: Backbone) -> None:
    perceiver = load_perceiver([models / "near", models / "far"], device="cpu")
    assert list(perceiver.heads) == ["near", "far"]
    assert perceiver.backbone.identity.same_tokens(backbone.identity)
    perceiver.warm_up()
    assert perceiver.account().received == 0


def test_bundled_heads_go_by_name(models: Path) -> None:
    assert list(load_perceiver(["ours/far"], device="cpu").heads) == ["far"]


def test_the_backbone_may_be_bundled_and_named_by_the_head(
    models: Path, make_head: Callable[..., Head], backbone: Backbone, tmp_path: Path
) -> None:
    named = replace(backbone.identity, id="ours/backbone", source="/gone/ours/backbone")
    make_head("lonely", backbone=named).save_pretrained(tmp_path / "elsewhere" / "lonely")
    assert list(load_perceiver([tmp_path / "elsewhere" / "lonely"], device="cpu").heads) == ["lonely"]


def test_a_backbone_that_is_given_is_taken(models: Path) -> None:
    with pytest.raises(BackboneError, match="/nowhere"):
        load_perceiver([models / "near"], backbone="/nowhere", device="cpu")


def test_two_heads_for_one_task_are_refused(models: Path) -> None:
    with pytest.raises(HeadError, match="two heads answer the task 'near'"):
        load_perceiver([models / "near", models / "near"], device="cpu")


def test_no_heads_are_refused() -> None:
    with pytest.raises(HeadError, match="no heads"):
        load_perceiver([])


def test_a_backbone_that_only_a_heads_config_names_is_not_fetched_from_the_network(
    models: Path,
    make_head: Callable[..., Head],
    backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    named = replace(backbone.identity, id="somewhere", source="somebody/somewhere")
    make_head("lonely", backbone=named).save_pretrained(tmp_path / "elsewhere" / "lonely")
    with pytest.raises(BackboneError, match="was trained on a backbone of the Hugging Face hub: .*not asked"):
        load_perceiver([tmp_path / "elsewhere" / "lonely"], device="cpu")


def test_a_head_says_where_its_backbone_was(
    models: Path, backbone_folder: Path, make_head: Callable[..., Head], tmp_path: Path
) -> None:
    """Neither is a name to be downloaded: one is a folder's path, of the other nobody knows what it is."""
    own = tmp_path / "own"
    own.symlink_to(backbone_folder)
    known = Backbone.from_pretrained(own).identity
    assert known.source == str(own)
    make_head("lonely", backbone=known).save_pretrained(tmp_path / "elsewhere" / "lonely")
    assert list(load_perceiver([tmp_path / "elsewhere" / "lonely"], device="cpu").heads) == ["lonely"]
    own.unlink()
    with pytest.raises(
        BackboneError, match=f"'lonely' was trained on the backbone in {own}, which"
    ) as raised:
        load_perceiver([tmp_path / "elsewhere" / "lonely"], device="cpu")
    assert "hf download" not in str(raised.value)
    assert f"put it into {tmp_path / 'elsewhere' / 'backbone'}" in str(raised.value)
    unknown = replace(known, source="", id="heads/backbone")
    make_head("lonely", backbone=unknown).save_pretrained(tmp_path / "elsewhere" / "lonely")
    with pytest.raises(BackboneError, match="heads/backbone .*does not know where that is. Give its folder"):
        load_perceiver([tmp_path / "elsewhere" / "lonely"], device="cpu")


def test_a_links_own_folder_comes_before_its_targets(models: Path, tmp_path: Path) -> None:
    """A head that is linked to from beside the right backbone, while the one beside its target is broken."""
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "near").symlink_to(models / "near")
    assert load_perceiver([tmp_path / "linked" / "near"], device="cpu").backbone.identity.source == str(
        models / "backbone"
    )
    (tmp_path / "linked" / "backbone").symlink_to(models / "backbone")
    assert load_perceiver([tmp_path / "linked" / "near"], device="cpu").backbone.identity.source == str(
        tmp_path / "linked" / "backbone"
    )
