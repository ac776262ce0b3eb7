"""Model folders: a head or a backbone, or an error of ours that names the file, whatever the files hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from step_ros.backbones import Backbone, BackboneError
from step_ros.backbones.identity import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, HeadError, ProbeConfig

from ..tiny_models import save_vit
from .mutations import cases, changed, mutated

IDENTITY = BackboneIdentity(id="a/b", image_size=(32, 32), num_patches=4, dim=16, sha256="0" * 64)
CONFIG = HeadConfig(
    task="atomic_action",
    labels=("idle", "push", "pull"),
    clip=ClipSpec(4, 0.4),
    probe=ProbeConfig(dim=16, num_heads=2),
    backbone=IDENTITY,
    symmetric_pairs=(("push", "pull"),),
    idle_label="idle",
)


@pytest.fixture(scope="module")
def head_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head")
    torch.manual_seed(0)
    Head(CONFIG).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vit(tmp_path_factory.mktemp("backbone"))


def loads_or_says_why(load: Any, folder: Path, error_type: type[Exception]) -> None:
    try:
        load(folder)
    except error_type as error:
        assert str(error)


def written(path: Path, content: Any) -> None:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def test_heads(head_folder: Path) -> None:
    config, weights = (head_folder / name for name in ("config.json", "model.safetensors"))
    good = config.read_bytes(), weights.read_bytes()

    @cases(usually=150)
    @given(
        new_config=st.just(good[0]) | changed(json.loads(good[0])) | mutated([good[0]]),
        new_weights=st.just(good[1]) | mutated([good[1]]),
    )
    def try_them(new_config: Any, new_weights: bytes) -> None:
        written(config, new_config)
        written(weights, new_weights)
        loads_or_says_why(Head.from_pretrained, head_folder, HeadError)

    try_them()


def test_backbones(backbone_folder: Path) -> None:
    names = ("config.json", "preprocessor_config.json", "model.safetensors")
    good = {name: (backbone_folder / name).read_bytes() for name in names}
    parts = [
        st.just(good[name])
        | mutated([good[name]])
        | (changed(json.loads(good[name])) if "json" in name else st.nothing())
        for name in names
    ]

    @cases(usually=40)
    @given(contents=st.tuples(*parts))
    def try_them(contents: tuple[Any, ...]) -> None:
        for name, content in zip(names, contents, strict=True):
            written(backbone_folder / name, content)
        loads_or_says_why(Backbone.from_pretrained, backbone_folder, BackboneError)

    try_them()
