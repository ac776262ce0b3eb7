"""A file of tokens is known when one bit of it is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from step_ros.training.store import TokenStoreError
from step_ros.training.store.tokens_file import read_tokens, write_tokens

ABOUT = {"name": "a", "stamps": [0.0, 0.1]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tokens" / "a.safetensors"
    path.parent.mkdir()
    tensors = {name: torch.arange(12, dtype=kind).view(2, 3, 2) for name, kind in KINDS.items()}
    written = write_tokens(path, tensors, ABOUT)
    assert written.about == ABOUT and read_tokens(path) == written
    return path


KINDS = {"clip.0": torch.float16, "clip.1": torch.bfloat16, "clip.2": torch.uint8, "tokens": torch.float32}


def test_every_byte_counts(path: Path) -> None:
    content = path.read_bytes()
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    padding = range(8 + len(header.rstrip()), 8 + len(header))
    for position in set(range(len(content))) - set(padding):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(TokenStoreError, match="is damaged.*; extract again"):
            read_tokens(path)


@pytest.mark.parametrize("length", [0, 5, 8, 100, -4, -1])
def test_a_truncated_file_is_damaged(length: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(TokenStoreError, match="is damaged.*; extract again"):
        read_tokens(path)


def test_what_it_says_of_itself_counts(path: Path) -> None:
    said = {"about": {**ABOUT, "name": "b"}, "sha256": read_tokens(path).sha256}
    save_file(load_file(path), path, metadata={"step_ros": json.dumps(said)})
    with pytest.raises(TokenStoreError, match="not what was written"):
        read_tokens(path)


def test_a_link_in_its_place_is_replaced_not_followed(path: Path) -> None:
    outside = path.parent.parent / "outside"
    outside.write_text("kept")
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(TokenStoreError, match="not a file in the store"):
        read_tokens(path)
    written = write_tokens(path, {"tokens": torch.zeros(1, 1, 1)}, ABOUT)
    assert read_tokens(path) == written and outside.read_text() == "kept"
