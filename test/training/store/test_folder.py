"""A store's folder is written by one process at a time, says when it was altered, and leads nowhere else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from step_ros.backbones import Backbone
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.store import ClipSampling, TokenStore, TokenStoreError, open_store
from step_ros.training.store.folder import locked, read_manifest, write_manifest

HOLDER = """
import sys, time
from pathlib import Path
from step_ros.training.store.folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_extraction_says_who_is_at_it_until_that_is_killed(
    clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    options = ExtractOptions(ClipSampling(4))
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        for _ in range(2):  # who is refused leaves the holder's name as it is
            with pytest.raises(TokenStoreError, match=f"written by process {holder.pid} on .* since"):
                extract(read_dataset(clips_csv), backbone, options, tmp_path)
        holder.kill()
    assert extract(read_dataset(clips_csv), backbone, options, tmp_path).verify() == []


def test_the_lock_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(TokenStoreError, match="lock is a link"), locked(tmp_path / "store"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def label_altered(manifest: dict[str, Any]) -> None:
    manifest["clips"][0]["labels"]["direction"] = "left"


def digest_removed(manifest: dict[str, Any]) -> None:
    del manifest["sha256"]


def digest_of_tokens_altered(manifest: dict[str, Any]) -> None:
    manifest["videos"]["test_4"]["tokens"] = "0" * 64


def file_elsewhere(manifest: dict[str, Any]) -> None:
    manifest["clips"][0]["file"] = "../../x"


def of_an_older_format(manifest: dict[str, Any]) -> None:
    del manifest["format"]


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (label_altered, "is not what was written"),
        (digest_removed, "is not what was written"),
        (digest_of_tokens_altered, "is not what was written"),
        (file_elsewhere, "is not what was written"),
        (of_an_older_format, "of another format"),
    ],
)
def test_an_altered_manifest_is_refused(
    alter: Callable[[dict[str, Any]], None], message: str, clip_store: TokenStore, tmp_path: Path
) -> None:
    manifest = json.loads((clip_store.root / "manifest.json").read_text())
    alter(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TokenStoreError, match=f"{message}.*extract again"):
        open_store(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "[" * 100_000, '{"format": 2}', "\0"])
def test_a_broken_manifest_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(TokenStoreError, match="extract"):
        open_store(tmp_path)


@pytest.mark.parametrize("key", ["backbone", "clip", "clips", "tasks", "videos", "problems", "sampling"])
@pytest.mark.parametrize("value", [None, 7, "x", [7], {"x": 7}])
def test_a_signed_manifest_of_wrong_types_is_refused_or_does_no_harm(
    key: str, value: object, clip_store: TokenStore, tmp_path: Path
) -> None:
    write_manifest(tmp_path, {**read_manifest(clip_store.root), key: value})
    try:
        open_store(tmp_path)
    except TokenStoreError:
        return
    assert key in ("problems", "sampling")  # the kind of sampling is all that is asked for


@pytest.mark.parametrize("name", ["../../x", "/x", "", "a/b", "a\0b"])
def test_a_signed_name_that_leads_elsewhere_is_refused(
    name: str, clip_store: TokenStore, tmp_path: Path
) -> None:
    manifest = read_manifest(clip_store.root)
    manifest["videos"] = {name: manifest["videos"]["test_4"]}
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    write_manifest(root, manifest)
    shutil.copy(clip_store.root / "tokens" / "test_4.safetensors", tmp_path / "x.safetensors")
    opened = open_store(root)
    assert [line for line in opened.verify() if "is no name of a file in it" in line]
    with pytest.raises(TokenStoreError, match="is no name of a file in it"):
        opened.tokens(name, "clip.0")


def link_a_file(store: Path) -> None:
    path = store / "tokens" / "test_4.safetensors"
    path.rename(store.parent / "outside.safetensors")
    path.symlink_to(store.parent / "outside.safetensors")


def link_all_tokens(store: Path) -> None:
    (store / "tokens").rename(store.parent / "outside")
    (store / "tokens").symlink_to(store.parent / "outside")


def put_a_pipe(store: Path) -> None:
    (store / "tokens" / "test_4.safetensors").unlink()
    os.mkfifo(store / "tokens" / "test_4.safetensors")


@pytest.mark.parametrize("redirect", [link_a_file, link_all_tokens, put_a_pipe])
def test_no_link_is_followed(
    redirect: Callable[[Path], None], clip_store: TokenStore, tmp_path: Path
) -> None:
    store = shutil.copytree(clip_store.root, tmp_path / "store")
    redirect(store)
    opened = open_store(store)
    assert "is not a file in the store" in " ".join(opened.verify())
    started = time.monotonic()
    with pytest.raises(TokenStoreError, match="is not a file in the store"):
        opened.tokens("test_4", "clip.0")
    assert time.monotonic() - started < 60  # a pipe would be waited for


def test_a_manifest_that_is_a_link_is_refused(clip_store: TokenStore, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").symlink_to(clip_store.root / "manifest.json")
    with pytest.raises(TokenStoreError, match="is a link"):
        open_store(tmp_path)
