"""A head's folder: what is written is what is read, and what does not fit is refused by name."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, HeadError, ProbeConfig

IDENTITY = BackboneIdentity("owner/tiny", (32, 32), 4, 16, "ab" * 32)


def make_config(**changes: Any) -> HeadConfig:
    values: dict[str, Any] = {
        "task": "atomic_action",
        "labels": ("open", "close", "idle"),
        "clip": ClipSpec(num_frames=3, window_seconds=1.5),
        "probe": ProbeConfig(dim=16, num_heads=2),
        "backbone": IDENTITY,
        "symmetric_pairs": (("open", "close"),),
        "idle_label": "idle",
        "temperature": 1.7,
        "rejection_threshold": 0.4,
    }
    return HeadConfig(**{**values, **changes})


def saved_head(folder: Path, **changes: Any) -> Head:
    torch.manual_seed(0)
    head = Head(make_config(**changes)).eval()
    head.save_pretrained(folder)
    return head


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_label_of_absurd_length_is_refused() -> None:
    with pytest.raises(HeadError, match=r"at most 1000 characters, got 'xxx.*2000000 characters"):
        make_config(labels=("x" * 2_000_000, "idle"), symmetric_pairs=())


@pytest.mark.parametrize("normalization", ["none", "layer_norm", "channel"])
def test_a_saved_head_comes_back_the_same(tmp_path: Path, normalization: str) -> None:
    probe = ProbeConfig(dim=16, num_heads=2, normalization=normalization)
    head = Head(make_config(probe=probe))
    if normalization == "channel":
        head.normalization.fit(torch.randn(16), torch.rand(16) + 0.5)
    head.save_pretrained(tmp_path)
    loaded = Head.from_pretrained(tmp_path)
    assert loaded.config == head.config
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    tokens = torch.randn(2, 3, 4, 16)
    torch.testing.assert_close(loaded(tokens), head(tokens), rtol=0, atol=0)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors", "README.md"}


@pytest.mark.parametrize("normalization", ["none", "channel"])
def test_the_digest_is_of_all_that_answers_depend_on_and_of_nothing_else(
    tmp_path: Path, normalization: str
) -> None:
    probe = ProbeConfig(dim=16, num_heads=2, normalization=normalization)
    head = saved_head(tmp_path / "here", probe=probe)
    moved = (tmp_path / "here").rename(tmp_path / "there")
    assert Head.from_pretrained(moved).sha256 == head.sha256
    others = [saved_head(tmp_path / "warmer", probe=probe, temperature=2.5)]
    others.append(
        saved_head(tmp_path / "renamed", probe=probe, labels=("shut", "close", "idle"), symmetric_pairs=())
    )
    others.append(saved_head(tmp_path / "trained", probe=probe))
    with torch.no_grad():
        others[-1].step.classifier.bias[0] += 1e-6
    if normalization == "channel":
        others.append(saved_head(tmp_path / "normalised", probe=probe))
        others[-1].normalization.fit(torch.ones(16), torch.ones(16))
    assert len({head.sha256, *(other.sha256 for other in others)}) == len(others) + 1


def test_a_calibrated_head_saves_its_new_temperature(tmp_path: Path) -> None:
    head = saved_head(tmp_path)
    head.config = replace(head.config, temperature=2.5)
    head.save_pretrained(tmp_path)
    assert Head.from_pretrained(tmp_path).config.temperature == 2.5


def test_labels_in_any_script_survive(tmp_path: Path) -> None:
    saved_head(tmp_path, labels=("öffnen", "開ける"), symmetric_pairs=(), idle_label=None)
    assert Head.from_pretrained(tmp_path).config.labels == ("öffnen", "開ける")


def test_the_model_card_is_about_this_head(tmp_path: Path) -> None:
    saved_head(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "# atomic_action" in card and "- `close`" in card and "owner/tiny" in card


def test_weights_are_saved_as_float32_whatever_they_are_in_memory(tmp_path: Path) -> None:
    Head(make_config()).half().save_pretrained(tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.float32}
    Head.from_pretrained(tmp_path)


@torch.no_grad()
def test_probabilities_are_the_softmax_at_the_heads_temperature() -> None:
    head = Head(make_config(temperature=2.0))
    tokens = torch.randn(2, 3, 4, 16)
    probabilities = head.probabilities(tokens)
    expected = (head(tokens) / 2).exp()
    torch.testing.assert_close(probabilities, expected / expected.sum(-1, keepdim=True))


@torch.no_grad()
def test_float16_tokens_from_a_store_are_widened() -> None:
    head = Head(make_config())
    tokens = torch.randn(1, 3, 4, 16).half()
    assert head(tokens).dtype == torch.float32
    torch.testing.assert_close(head(tokens), head(tokens.float()), rtol=0, atol=0)


def test_the_backbone_it_was_trained_on_is_accepted_wherever_it_lies() -> None:
    Head(make_config()).check_backbone(replace(IDENTITY, id="elsewhere/copy"))


@pytest.mark.parametrize(
    "changes", [{"sha256": "cd" * 32}, {"image_size": (64, 64), "num_patches": 16}, {"dim": 32}]
)
def test_another_backbone_is_refused_and_both_are_named(changes: dict[str, Any]) -> None:
    with pytest.raises(HeadError, match=r"(?s)owner/tiny.*abababababab.*other/backbone"):
        Head(make_config()).check_backbone(replace(IDENTITY, id="other/backbone", **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "atomic action"}, "task must be a name"),
        ({"task": ""}, "task must be a name"),
        ({"labels": ("open", "close", "open", "idle")}, "got twice: open"),
        ({"labels": ("open",), "symmetric_pairs": (), "idle_label": None}, "at least 2 labels"),
        ({"labels": ("open", "close", "idle", "")}, "non-empty"),
        ({"labels": "open"}, "labels must be a list, got 'open'"),
        ({"symmetric_pairs": (("open", "shut"),)}, "'shut', which is not a label"),
        ({"symmetric_pairs": (("open", "close"), ("close", "idle"))}, "'close' is in more than one place"),
        ({"symmetric_pairs": (("open", "open"),)}, "'open' is in more than one place"),
        ({"symmetric_pairs": (("open", "close", "idle"),)}, "must be two labels"),
        ({"idle_label": "rest"}, "idle_label 'rest' is not a label"),
        ({"temperature": 0.0}, "temperature must be a positive number"),
        ({"temperature": float("nan")}, "temperature must be a positive number"),
        ({"temperature": float("inf")}, "temperature must be a positive number"),
        ({"temperature": 5e-324}, "temperature must be a positive number, from 1e-06 to 1e.06, got 5e-324"),
        ({"rejection_threshold": 1.5}, r"rejection_threshold must lie in \[0, 1\]"),
        ({"backbone": replace(IDENTITY, dim=32)}, "probe.dim=16 and backbone.dim=32"),
    ],
)
def test_a_config_that_makes_no_sense_names_its_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadError, match=message):
        make_config(**changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 16, "num_heads": 3}, "num_heads=3 and dim=16"),
        ({"dim": 16, "num_heads": 2, "kind": "lstm"}, "unknown probe.kind 'lstm'; known are step"),
        ({"dim": 16, "num_heads": 2, "normalization": "batch"}, "unknown probe.normalization 'batch'"),
        ({"dim": 10**12, "num_heads": 2}, "probe.dim must be a whole number"),
        ({"dim": 16.0, "num_heads": 2}, "probe.dim must be a whole number"),
    ],
)
def test_a_probe_that_makes_no_sense_names_its_field(values: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadError, match=message):
        ProbeConfig(**values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, r"unknown fields \['colour'\]"),
        ({"labels": None}, "labels must be a list, got None"),
        ({"clip": 3}, "clip must be a JSON object, got int"),
        ({"clip": {"num_frames": 0, "window_seconds": 1.0}}, "clip cannot be read"),
        ({"backbone": {"id": "owner/tiny"}}, "backbone cannot be read"),
        (
            {"backbone": {"id": "a", "image_size": [32, 32], "num_patches": 4, "dim": 16, "sha256": "x"}},
            "sha256",
        ),
        ({"probe": {"kind": "step"}}, "probe cannot be read"),
    ],
)
def test_a_config_file_that_makes_no_sense_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    saved_head(tmp_path)
    edit_config(tmp_path, **changes)
    with pytest.raises(HeadError, match=rf"(?s)config\.json: .*{message}"):
        Head.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "\x00\x01", "[" * 100_000])
def test_a_corrupt_config_file_is_named(tmp_path: Path, text: str) -> None:
    saved_head(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(HeadError, match=r"config\.json is not JSON"):
        Head.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    saved_head(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(HeadError, match=rf"{name} cannot be read: No such file"):
        Head.from_pretrained(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(HeadError, match="there is no folder .*nowhere"):
        Head.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "size", [0, 5, 40, -1], ids=["empty", "in the length", "in the header", "in the data"]
)
def test_weights_cut_short_are_named(tmp_path: Path, size: int) -> None:
    saved_head(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(HeadError, match=r"model\.safetensors"):
        Head.from_pretrained(tmp_path)


def test_a_header_that_claims_an_enormous_length_is_not_believed(tmp_path: Path) -> None:
    saved_head(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(HeadError, match="not a safetensors file, or is cut short"):
        Head.from_pretrained(tmp_path)


def test_sizes_that_do_not_fit_are_found_before_they_are_allocated(tmp_path: Path) -> None:
    """D = 65536 would take 64 GiB."""
    saved_head(tmp_path)
    backbone = {**json.loads((tmp_path / "config.json").read_text())["backbone"], "dim": 65_536}
    edit_config(tmp_path, backbone=backbone, probe={"dim": 65_536, "num_heads": 8})
    with pytest.raises(
        HeadError, match=r"probe\.cls should be float32 \(F32\) of shape \[65536\], but is F32"
    ):
        Head.from_pretrained(tmp_path)


@pytest.mark.parametrize("case", ["missing", "unexpected", "dtype", "nan"])
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, case: str) -> None:
    saved_head(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    if case == "missing":
        del weights["probe.cls"]
    elif case == "unexpected":
        weights["extra"] = torch.zeros(1)
    elif case == "dtype":
        weights["probe.cls"] = weights["probe.cls"].half()
    else:
        weights["probe.cls"][3] = float("nan")
    save_file(weights, path)
    name = "extra" if case == "unexpected" else "probe.cls"
    with pytest.raises(HeadError, match=rf"model\.safetensors .*{name}"):
        Head.from_pretrained(tmp_path)
