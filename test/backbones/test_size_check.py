"""Backbones from people one does not know: sizes are compared before memory is taken, and files stay put."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

from step_ros.backbones import Backbone, BackboneError

PREPROCESSOR = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return tmp_path


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_belongs_together_is_loaded(folder: Path) -> None:
    assert Backbone.from_pretrained(folder).dim == 16


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers must be a whole number up to 128, got 1000000000"),
        ({"hidden_size": -16}, "hidden_size must be a whole number"),
        ({"hidden_size": "many"}, "hidden_size must be a whole number"),
        ({"hidden_size": 16_384, "num_attention_heads": 16}, "asks for a network of"),
        ({"num_hidden_layers": 120}, "asks for a network of"),
        ({"intermediate_size": 131_072}, "asks for a network of"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_config_that_asks_for_more_than_there_is_is_refused_before_memory_is_taken(
    folder: Path, changes: dict[str, Any], words: str
) -> None:
    change(folder / "config.json", **changes)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BackboneError, match=words):
        Backbone.from_pretrained(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "weights.bin", 7])
def test_an_index_names_files_beside_it_only(folder: Path, name: Any) -> None:
    shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BackboneError, match="weights lie beside it and are safetensors"):
        Backbone.from_pretrained(folder)


def test_weights_in_several_files_are_loaded(folder: Path) -> None:
    network = transformers.ViTModel.from_pretrained(folder, add_pooling_layer=False)
    (folder / "model.safetensors").unlink()
    network.save_pretrained(folder, max_shard_size="4KB")
    assert (folder / "model.safetensors.index.json").exists()
    assert Backbone.from_pretrained(folder).dim == 16
