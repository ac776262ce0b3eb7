"""An adapted backbone as a folder: merged or not, it is loaded with the tokens that it was saved with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from step_ros.backbones import Backbone, BackboneError, select_engine
from step_ros.backbones.engines.fixed_size import FixedSizeTower, export_program
from step_ros.peft import ADAPTERS, AdaptedTower, AdapterError
from step_ros.peft.adapter_folder import load_backbone, save_adapted
from step_ros.peft.training_memory import check_memory, training_bytes

from ..adapted_towers import OWN

Make = Callable[..., Any]

PREPROCESS = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}


@pytest.fixture
def base_folder(make_tower: Make, tmp_path: Path) -> Path:
    """A DINOv2's folder."""
    folder = tmp_path / "base_model"
    make_tower("dinov2").network.save_pretrained(folder)
    asked = {**PREPROCESS, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True, "resample": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(asked))
    return folder


@pytest.fixture
def save(base_folder: Path, make_adapted: Make, tmp_path: Path) -> Callable[[str], tuple[Path, AdaptedTower]]:
    """Saves a trained adapter of a kind; its folder, and the adapter."""

    def saved(kind: str) -> tuple[Path, AdaptedTower]:
        base = Backbone.from_pretrained(base_folder)
        adapted = make_adapted(base.tower, kind)
        save_adapted(adapted, base, tmp_path / kind, source=base_folder)
        return tmp_path / kind, adapted

    return saved


def frames(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 40, 50, 3), np.uint8)


@pytest.mark.parametrize("kind", ["vpt_shallow", "vpt_deep", "adaptformer", "shift", "window_mean"])
def test_saved_backbone_gives_the_same_tokens(kind: str, save: Make, base_folder: Path) -> None:
    folder, adapted = save(kind)
    base = Backbone.from_pretrained(base_folder)
    loaded = load_backbone(folder, adapters=OWN)
    pixels = base.preprocess(torch.from_numpy(frames()))
    torch.testing.assert_close(loaded.encode(frames()), adapted.tower.tokens(pixels), atol=1e-5, rtol=1e-5)
    # It is another backbone, whose heads are not the plain one's; and it is told from another adapter.
    assert not loaded.identity.same_tokens(base.identity)
    assert loaded.identity.preprocess == base.identity.preprocess
    assert load_backbone(folder, adapters=OWN).identity == loaded.identity
    assert isinstance(loaded, Backbone) and not any(p.requires_grad for p in loaded.parameters())


def test_merged_one_is_a_plain_checkpoint_that_needs_no_base(save: Make, base_folder: Path) -> None:
    folder, _ = save("adaptformer")
    shutil.rmtree(base_folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "vit"
    assert Backbone.from_pretrained(folder).encode(frames()).shape == (4, 16, 16)


@pytest.mark.parametrize("kind", ["window_mean", "st_adapter", "m2_clip", "vita_clip"])
def test_what_mixes_frames_cannot_encode_them_one_by_one(kind: str, save: Make) -> None:
    folder, _ = save("window_mean")
    config = json.loads((folder / "config.json").read_text())
    assert config["adapter"] == {"kind": "window_mean", "size": 5, "num_frames": 4}
    config["adapter"]["kind"] = kind
    (folder / "config.json").write_text(json.dumps(config))
    message = f"with {kind}, whose tokens depend on all 4 frames of a window.*step-ros evaluate"
    with pytest.raises(BackboneError, match=message):
        load_backbone(folder)


def test_adapter_that_the_table_lacks_is_named(save: Make) -> None:
    for kind, table in (("shift", ADAPTERS), ("window_mean", {"other": OWN["window_mean"]})):
        folder, _ = save(kind)
        with pytest.raises(BackboneError, match=f"config.json: unknown adapter '{kind}'; known are"):
            load_backbone(folder, adapters=table)


def test_plain_backbone_is_loaded_as_ever(base_folder: Path) -> None:
    assert load_backbone(base_folder).identity == Backbone.from_pretrained(base_folder).identity
    with pytest.raises(BackboneError, match="there is no folder"):
        load_backbone("./nowhere")


def test_base_is_looked_for_below_the_folder_first(save: Make, base_folder: Path) -> None:
    folder, _ = save("vpt_deep")
    before = load_backbone(folder).identity
    base_folder.rename(folder / "base")
    assert load_backbone(folder).identity == before


def test_adapter_of_another_backbone_is_named(save: Make, make_tower: Make, base_folder: Path) -> None:
    folder, _ = save("vpt_deep")
    other = make_tower("dinov2")
    with torch.no_grad():
        other.network.layernorm.weight.add_(1)
    other.network.save_pretrained(base_folder)
    with pytest.raises(BackboneError, match="was trained on the backbone .*base_model .* but .*base_model"):
        load_backbone(folder)


def test_adapter_of_another_depth_is_named(save: Make) -> None:
    folder, _ = save("vpt_deep")
    config = json.loads((folder / "config.json").read_text())
    config["adapter"]["size"] = 6
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BackboneError, match="another adapter or another depth: .*3 blocks"):
        load_backbone(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adapter": {"kind": "lora", "size": 3}}, "unknown adapter 'lora'"),
        ({"base_identity": {}}, "missing"),
        ({"adapter": None}, "must be a JSON object"),
    ],
)
def test_config_that_makes_no_sense_is_named(save: Make, change: dict[str, Any], message: str) -> None:
    folder, _ = save("vpt_deep")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(BackboneError, match=message):
        load_backbone(folder)


def test_weights_that_are_cut_short_are_named(save: Make) -> None:
    folder, _ = save("vpt_deep")
    (folder / "model.safetensors").write_bytes(b"\x00")
    with pytest.raises(BackboneError, match=r"model\.safetensors is not a safetensors file"):
        load_backbone(folder)


def test_weights_that_are_no_numbers_are_named(save: Make) -> None:
    folder, _ = save("vpt_deep")
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[-1]
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(BackboneError, match=f"not finite, in {name}; train the adapter again"):
        load_backbone(folder)


def test_too_little_memory_is_named_before_training(make_tower: Make, make_adapted: Make) -> None:
    adapted = make_adapted(make_tower("vit"), "adaptformer")
    kept, again = (training_bytes(adapted, 64, checkpointing=c) for c in (False, True))
    assert again < kept
    check_memory(adapted, 64, checkpointing=True, device=torch.device("cpu"))
    with pytest.raises(AdapterError, match="GB for 1000000000 frames at a time.*--adapter.checkpointing"):
        check_memory(adapted, 10**9, checkpointing=False, device=torch.device("cpu"))


@pytest.mark.parametrize("kind", ["vpt_deep", "vpt_shallow", "adaptformer"])
def test_adapted_backbone_becomes_a_graph_for_any_number_of_frames(kind: str, save: Make) -> None:
    folder, _ = save(kind)
    backbone = load_backbone(folder)
    tower = FixedSizeTower(backbone.encoder, torch.float32)
    graph = export_program(tower).module()
    for count in (1, 2, 5):
        pixels = backbone.preprocess(torch.from_numpy(frames(count)))
        torch.testing.assert_close(graph(pixels), backbone.encode(frames(count)))


@pytest.mark.parametrize("kind", ["vpt_deep", "vpt_shallow", "adaptformer"])
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_run_an_adapted_backbone(kind: str, engine: str, save: Make) -> None:
    pytest.importorskip(engine)
    if engine == "onnxruntime":
        pytest.importorskip("onnxscript")
    folder, _ = save(kind)
    backbone = load_backbone(folder)
    expected = backbone.encode(frames())
    backbone.engine = select_engine(backbone.encoder, engine)
    assert backbone.engine.name == engine
    assert torch.nn.functional.cosine_similarity(backbone.encode(frames()), expected, dim=-1).min() > 0.98
