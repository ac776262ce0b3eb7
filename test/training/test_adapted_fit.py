"""Training through the backbone: the same commands' inside, on pixels instead of tokens."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.peft import AdapterError
from step_ros.peft.adapter_folder import load_backbone
from step_ros.perception.loading import load_perceiver
from step_ros.probes import Head
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.checkpoint import Checkpoint
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit, save_heads
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import judge
from step_ros.training.lesson import Fitted
from step_ros.training.raw_patches import RawPatches
from step_ros.training.store import ClipSampling, TokenStore
from step_ros.training.window_tokens import read_windows

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> Path:
    """The backbone of the stores, in a folder."""
    folder = tmp_path_factory.mktemp("plain")
    backbone.network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    return folder


@pytest.fixture(scope="module")
def pixel_store(clips_csv: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """6 frames of each clip, as they are."""
    out = tmp_path_factory.mktemp("pixel_store")
    options = ExtractOptions(ClipSampling(6, 0.1), dtype="uint8")
    return extract(read_dataset(clips_csv), RawPatches(backbone.encoder), options, out)


def fast(kind: str, **options: object) -> FitOptions:
    return FitOptions(
        steps=3,
        batch_size=4,
        num_heads=2,
        check_every=2,
        adapter=AdapterOptions(kind, size=4, head_steps=2),
        **options,  # type: ignore[arg-type]
    )


def test_stored_pixels_give_the_backbone_s_own_tokens(
    pixel_store: TokenStore, backbone: Backbone, clips_csv: Path, tmp_path: Path
) -> None:
    tokens = extract(
        read_dataset(clips_csv), backbone, ExtractOptions(ClipSampling(6, 0.1), dtype="float32"), tmp_path
    )
    found = read_windows(pixel_store, backbone)(pixel_store.clip_windows(pixel_store.clips))
    torch.testing.assert_close(found, read_windows(tokens)(tokens.clip_windows(tokens.clips)))


@pytest.mark.parametrize("kind", ["adaptformer", "vpt_deep", "st_adapter"])
@pytest.mark.parametrize("probe", ["linear", "step"])
def test_adapter_and_head_learn_together_and_are_judged_as_they_were_trained(
    kind: str, probe: str, pixel_store: TokenStore, backbone_folder: Path, tmp_path: Path
) -> None:
    options = fast(kind, probe=probe)
    fitted = fit(
        pixel_store,
        ["direction"],
        options,
        checkpoints=tmp_path,
        console=QUIET,
        backbone=backbone_folder,
        backbone_out=tmp_path / "backbone",
    )
    assert fitted.steps == 3 and fitted.adapter_parameters > 0
    save_heads(fitted.heads, tmp_path)
    adapted = load_backbone(tmp_path / "backbone", windows=True)
    plain = Backbone.from_pretrained(backbone_folder)
    assert fitted.backbone is not None and adapted.identity.same_tokens(fitted.backbone.identity)
    assert not adapted.identity.same_tokens(plain.identity)
    head = fitted.heads["direction"]
    head.check_backbone(adapted.identity)
    judged = judge(head, pixel_store, fitted.split.validation, adapted)
    assert judged.metrics.clips == 4
    # What the training saw at its end is what is judged.
    assert judged.metrics.top1 == pytest.approx(fitted.curve[-1]["direction validation accuracy"])


def test_adapted_backbone_serves_the_online_pipeline(
    pixel_store: TokenStore, backbone_folder: Path, tmp_path: Path
) -> None:
    fitted = fit(
        pixel_store,
        ["direction"],
        fast("vpt_deep"),
        console=QUIET,
        backbone=backbone_folder,
        backbone_out=tmp_path / "backbone",
    )
    save_heads(fitted.heads, tmp_path)
    perceiver = load_perceiver([tmp_path / "direction"], engine="eager")
    assert perceiver.backbone.identity.same_tokens(fitted.heads["direction"].config.backbone)
    tokens = perceiver.backbone.encode(np.zeros((1, 32, 32, 3), np.uint8))
    assert tokens.shape == (1, 16, 32)


def test_adapter_of_one_task_is_reused_as_it_is_for_another(
    pixel_store: TokenStore, backbone_folder: Path, tmp_path: Path
) -> None:
    fit(pixel_store, ["direction"], fast("st_adapter"), console=QUIET, backbone=backbone_folder,
        backbone_out=tmp_path)  # fmt: skip
    adapted = load_backbone(tmp_path, windows=True)
    fitted = fit(pixel_store, ["direction"], fast(""), console=QUIET, backbone=tmp_path)
    assert fitted.backbone is not None and fitted.adapter_parameters == 0
    assert fitted.backbone.identity.same_tokens(adapted.identity)
    head = fitted.heads["direction"]
    assert judge(head, pixel_store, fitted.split.validation, adapted).metrics.clips == 4


@pytest.mark.parametrize("kind", ["m2_clip", "vita_clip"])
def test_class_names_join_in_and_leave_a_plain_head(
    kind: str, clips_csv: Path, clip_with_words: Path, tmp_path: Path
) -> None:
    backbone = Backbone.from_pretrained(clip_with_words)
    options = ExtractOptions(ClipSampling(6, 0.1), dtype="uint8")
    store = extract(read_dataset(clips_csv), RawPatches(backbone.encoder), options, tmp_path / "store")
    counts = []
    for text in ("", str(clip_with_words)):
        adapter = AdapterOptions(kind, size=4, head_steps=2, text=text)
        fitted = fit(
            store,
            ["direction"],
            FitOptions(steps=3, batch_size=4, check_every=2, probe="linear", adapter=adapter),
            checkpoints=tmp_path,
            console=QUIET,
            backbone=clip_with_words,
            backbone_out=tmp_path / "backbone",
        )
        counts.append(fitted.adapter_parameters)
    assert counts[1] > counts[0]
    save_heads(fitted.heads, tmp_path)
    head = Head.from_pretrained(tmp_path / "direction")
    assert set(head.probe.state_dict()) == {"classifier.weight", "classifier.bias"}
    judged = judge(head, store, fitted.split.validation, load_backbone(tmp_path / "backbone", windows=True))
    assert judged.metrics.top1 == pytest.approx(fitted.curve[-1]["direction validation accuracy"])


def test_text_side_is_refused_before_training_where_there_is_none(
    pixel_store: TokenStore, backbone_folder: Path, clip_with_words: Path
) -> None:
    options = FitOptions(adapter=AdapterOptions("adaptformer", text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="adaptformer has no text side"):
        fit(pixel_store, ["direction"], options, console=QUIET, backbone=backbone_folder)
    options = FitOptions(adapter=AdapterOptions(text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="no adapter has no text side"):
        fit(pixel_store, ["direction"], options, console=QUIET, backbone=backbone_folder)
    options = FitOptions(adapter=AdapterOptions("m2_clip", text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="D=24, but the backbone has D=32"):
        fit(pixel_store, ["direction"], options, console=QUIET, backbone=backbone_folder)


@pytest.mark.parametrize("killed_after", [1, 2])
def test_killed_training_goes_on_to_the_same_weights(
    killed_after: int,
    pixel_store: TokenStore,
    backbone_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether it was killed once the heads had learned alone or later: they do not learn alone again."""
    whole = fit(pixel_store, ["direction"], fast("adaptformer"), console=QUIET, backbone=backbone_folder)
    save, saved = Checkpoint.save, 0

    def save_and_die(self: Checkpoint, step: int, notes: dict[str, object]) -> None:
        nonlocal saved
        save(self, step, notes)
        saved += 1
        if saved == killed_after:
            raise KeyboardInterrupt

    def train(console: Console) -> Fitted:
        return fit(pixel_store, ["direction"], fast("adaptformer"), checkpoints=tmp_path, console=console,
                   backbone=backbone_folder)  # fmt: skip

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(QUIET)
    shown = io.StringIO()
    again = train(Console(file=shown))
    assert shown.getvalue().count("going on from step 2") == killed_after
    assert whole.backbone is not None and again.backbone is not None
    assert whole.backbone.identity.sha256 == again.backbone.identity.sha256
    assert not list(tmp_path.rglob("*.safetensors*"))


def test_what_does_not_fit_is_named_before_training(
    pixel_store: TokenStore, clip_store: TokenStore, backbone_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match="holds tokens; extract with --pixels"):
        fit(clip_store, ["direction"], fast("vpt_deep"), console=QUIET, backbone=backbone_folder)
    with pytest.raises(AdapterError, match="holds pixels: adapt a backbone"):
        fit(pixel_store, ["direction"], fast(""), console=QUIET)
    with pytest.raises(AdapterError, match="name the backbone to adapt with --backbone"):
        fit(pixel_store, ["direction"], fast("vpt_deep"), console=QUIET)
    other = Backbone.from_pretrained(backbone_folder)
    with torch.no_grad():
        other.network.layernorm.weight.add_(1)
    other.network.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_bytes(
        (backbone_folder / "preprocessor_config.json").read_bytes()
    )
    with pytest.raises(AdapterError, match="holds pixels for .*, not for"):
        fit(pixel_store, ["direction"], fast("vpt_deep"), console=QUIET, backbone=tmp_path)
