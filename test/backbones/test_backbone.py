"""Backbones of every kind: which tokens come out, that they are frozen, and who they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from step_ros.backbones import Backbone, BackboneError


def frames(batch: int = 2, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@torch.no_grad()
def test_tokens_are_the_patches_after_the_final_norm(backbone_folder: Path) -> None:
    """Recomputed with transformers' own classes: no register and CLS tokens, and the last norm applied."""
    backbone = Backbone.from_pretrained(backbone_folder)
    rgb = frames()
    pixels = backbone.preprocess(torch.from_numpy(rgb))
    kind = json.loads((backbone_folder / "config.json").read_text())["model_type"]
    if kind == "vit":
        network = transformers.ViTForImageClassification.from_pretrained(backbone_folder).eval()
        expected = network.vit(pixels).last_hidden_state[:, 1:]
    elif kind.startswith("dinov2"):
        network = transformers.AutoModel.from_pretrained(backbone_folder).eval()
        expected = network(pixels).last_hidden_state[:, -4:]
    else:
        network = transformers.AutoModel.from_pretrained(backbone_folder).eval()
        tower = network.vision_model if hasattr(network, "vision_model") else network
        expected = tower.post_layernorm(tower(pixels).last_hidden_state[:, 1:])
    tokens = backbone.encode(rgb)
    assert tokens.shape == (2, 4, 16) == (2, backbone.num_patches, backbone.dim)
    assert tokens.dtype == torch.float32 and tokens.is_contiguous()
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


def test_a_frame_has_the_same_tokens_alone_and_in_a_batch(backbone_folder: Path) -> None:
    backbone = Backbone.from_pretrained(backbone_folder)
    rgb = frames(3)
    alone = torch.cat([backbone.encode(rgb[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(backbone.encode(rgb), alone, rtol=1e-5, atol=1e-5)


def test_arrays_and_tensors_give_the_same_tokens_and_are_left_alone(vit_folder: Path) -> None:
    backbone = Backbone.from_pretrained(vit_folder)
    rgb = frames()
    before = rgb.copy()
    rgb.flags.writeable = False
    tokens = backbone.encode(rgb)
    torch.testing.assert_close(backbone.encode(torch.from_numpy(before)), tokens, rtol=0, atol=0)
    torch.testing.assert_close(backbone(rgb[:, :, ::-1][:, :, ::-1]), tokens, rtol=0, atol=0)
    assert np.array_equal(rgb, before)


def test_it_is_frozen_even_inside_a_model_that_trains(vit_folder: Path) -> None:
    backbone = Backbone.from_pretrained(vit_folder)
    probe = torch.nn.Linear(16, 2)
    model = torch.nn.Sequential(backbone, probe).train()
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    model(torch.from_numpy(frames())).sum().backward()  # tokens may be trained on
    assert probe.weight.grad is not None
    assert all(parameter.grad is None for parameter in backbone.parameters())


def test_identity_says_what_the_network_is(vit_folder: Path) -> None:
    identity = Backbone.from_pretrained(vit_folder).identity
    assert (identity.image_size, identity.num_patches, identity.dim) == ((32, 32), 4, 16)
    assert identity.id == "/".join(vit_folder.parts[-2:])
    assert len(identity.sha256) == 64


def test_identity_does_not_depend_on_where_the_weights_lie_or_how_they_are_run(
    backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(backbone_folder, copy, dirs_exist_ok=True)
    identity = Backbone.from_pretrained(backbone_folder).identity
    assert identity.same_tokens(Backbone.from_pretrained(copy, dtype=torch.bfloat16).identity)


def test_identity_notices_a_single_changed_weight(vit_folder: Path) -> None:
    before = Backbone.from_pretrained(vit_folder).identity
    path = vit_folder / "model.safetensors"
    weights = load_file(path)
    next(tensor for name, tensor in weights.items() if "layernorm.weight" in name)[0] += 1e-3
    save_file(weights, path, metadata={"format": "pt"})
    assert not before.same_tokens(Backbone.from_pretrained(vit_folder).identity)


def test_identity_notices_other_pixels(vit_folder: Path) -> None:
    before = Backbone.from_pretrained(vit_folder).identity
    path = vit_folder / "preprocessor_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "image_mean": [0.4, 0.5, 0.6]}))
    after = Backbone.from_pretrained(vit_folder).identity
    assert before.sha256 == after.sha256
    assert not before.same_tokens(after)
    assert "minus (0.4, 0.5, 0.6)" in str(after)
    assert replace(before, preprocess="").same_tokens(after)  # nobody wrote down what it was


def test_clip_is_the_same_backbone_from_the_full_repository_and_from_its_vision_tower(
    clip_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    vision = tmp_path_factory.mktemp("vision")
    transformers.CLIPVisionModel.from_pretrained(clip_folder).save_pretrained(vision)
    shutil.copy(clip_folder / "preprocessor_config.json", vision)
    full = Backbone.from_pretrained(clip_folder)
    assert full.identity.same_tokens(Backbone.from_pretrained(vision).identity)


def test_weights_saved_in_float16_are_run_in_float32(vit_folder: Path) -> None:
    path = vit_folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, {"format": "pt"})
    edit_json(vit_folder / "config.json", dtype="float16", torch_dtype="float16")
    backbone = Backbone.from_pretrained(vit_folder)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert backbone.encode(frames()).dtype == torch.float32


def test_a_narrower_type_still_gives_float32_tokens(vit_folder: Path) -> None:
    exact = Backbone.from_pretrained(vit_folder).encode(frames())
    narrow = Backbone.from_pretrained(vit_folder, dtype=torch.bfloat16)
    tokens = narrow.encode(frames())
    assert narrow.dtype == torch.bfloat16 and tokens.dtype == torch.float32
    assert (tokens - exact).abs().max() < 0.1


def test_loading_leaves_transformers_logging_as_it_was(
    vit_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logging = transformers.utils.logging
    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    Backbone.from_pretrained(vit_folder)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert "UNEXPECTED" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("rgb", "found"),
    [
        (np.zeros((8, 8, 3), np.uint8), r"\(8, 8, 3\)"),
        (np.zeros((1, 8, 8, 4), np.uint8), r"\(1, 8, 8, 4\)"),
        (np.zeros((1, 8, 8, 3), np.float32), "float32"),
    ],
)
def test_what_is_not_a_batch_of_frames_is_named(vit_folder: Path, rgb: np.ndarray, found: str) -> None:
    with pytest.raises(ValueError, match=f"uint8, got .*{found}"):
        Backbone.from_pretrained(vit_folder).encode(rgb)


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(BackboneError, match="there is no folder models/no/where"):
        Backbone.from_pretrained("models/no/where")


def test_without_a_connection_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty cache and a hub address that nothing listens on."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError) as caught:
        Backbone.from_pretrained("facebook/dinov2-small")
    message = str(caught.value)
    for part in ("facebook/dinov2-small", "no connection", "hf download", "HF_HOME", "folder"):
        assert part in message


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(vit_folder: Path, name: str) -> None:
    (vit_folder / name).unlink()
    with pytest.raises(BackboneError, match=name):
        Backbone.from_pretrained(vit_folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_corrupt_file_is_named(vit_folder: Path, name: str) -> None:
    (vit_folder / name).write_bytes((vit_folder / name).read_bytes()[:50])
    with pytest.raises(BackboneError, match="weights" if name == "model.safetensors" else name):
        Backbone.from_pretrained(vit_folder)


def test_weights_that_lack_a_tensor_are_not_filled_with_random_ones(vit_folder: Path) -> None:
    path = vit_folder / "model.safetensors"
    weights = load_file(path)
    lost = next(name for name in weights if "layernorm_before" in name)
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, path, {"format": "pt"})
    with pytest.raises(BackboneError, match="lack 1 of the network's tensors"):
        Backbone.from_pretrained(vit_folder)


def change_biases(folder: Path, change: Callable[[torch.Tensor], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(next(tensor for name, tensor in weights.items() if name.endswith("layernorm_before.bias")))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_named(vit_folder: Path, value: float) -> None:
    change_biases(vit_folder, lambda biases: biases[3].fill_(value))
    with pytest.raises(BackboneError, match=r"not finite, in .*layernorm_before\.bias; fetch or save them"):
        Backbone.from_pretrained(vit_folder)


def test_weights_of_which_nothing_has_finite_tokens_are_refused(vit_folder: Path) -> None:
    change_biases(vit_folder, lambda biases: biases.fill_(3e38))
    with pytest.raises(BackboneError, match="not finite, even of a grey picture: its weights are too large"):
        Backbone.from_pretrained(vit_folder)


def test_no_file_is_opened_that_a_config_or_another_file_leads_to(vit_folder: Path, tmp_path: Path) -> None:
    expected = Backbone.from_pretrained(vit_folder).identity
    (vit_folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/nowhere"}')
    kernel = {"_attn_implementation": "somebody/kernels", "configuration_files": ["config.9.9.9.json"]}
    edit_json(vit_folder / "config.json", **kernel, quantization_config={"quant_method": "awq"})
    assert Backbone.from_pretrained(vit_folder).identity.same_tokens(expected)


def test_only_safetensors_are_read(vit_folder: Path) -> None:
    path = vit_folder / "model.safetensors"
    torch.save(load_file(path), vit_folder / "pytorch_model.bin")
    path.unlink()
    with pytest.raises(BackboneError, match=r"no model.safetensors, found .*pytorch_model\.bin"):
        Backbone.from_pretrained(vit_folder)


def test_a_model_of_another_kind_is_refused(vit_folder: Path) -> None:
    edit_json(vit_folder / "config.json", model_type="bert")
    with pytest.raises(BackboneError, match="type 'bert'; backbones are of type dinov2, "):
        Backbone.from_pretrained(vit_folder)


def test_preprocessing_for_another_image_size_is_refused(vit_folder: Path) -> None:
    edit_json(vit_folder / "preprocessor_config.json", size={"height": 48, "width": 48})
    with pytest.raises(BackboneError, match="48x48 pixels, but the network .* takes 32x32"):
        Backbone.from_pretrained(vit_folder)


@pytest.mark.needs_cuda
def test_a_gpu_gives_the_same_tokens(backbone_folder: Path) -> None:
    exact = Backbone.from_pretrained(backbone_folder).encode(frames())
    backbone = Backbone.from_pretrained(backbone_folder, device="cuda")
    tokens = backbone.encode(frames())
    assert tokens.device.type == backbone.device.type == "cuda"
    # A resized pixel may differ by one grey level.
    assert (tokens.cpu() - exact).abs().max() < 0.05
