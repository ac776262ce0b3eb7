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
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.checkpoint import Checkpoint, remove_checkpoints
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit, save_heads
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import judge
from step_ros.training.lesson import Fitted
from step_ros.training.store import ClipSampling, TokenStore
from step_ros.training.window_tokens import read_windows

from ..adapted_towers import OWN

QUIET = Console(quiet=True)


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


@pytest.mark.parametrize("kind", ["adaptformer", "vpt_deep", "shift", "window_mean"])
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
        adapters=OWN,
    )
    assert fitted.steps == 3 and fitted.adapter_parameters > 0
    save_heads(fitted.heads, tmp_path)
    adapted = load_backbone(tmp_path / "backbone", adapters=OWN)
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
    fit(pixel_store, ["direction"], fast("window_mean"), console=QUIET, backbone=backbone_folder,
        backbone_out=tmp_path, adapters=OWN)  # fmt: skip
    adapted = load_backbone(tmp_path, adapters=OWN)
    fitted = fit(pixel_store, ["direction"], fast(""), console=QUIET, backbone=tmp_path, adapters=OWN)
    assert fitted.backbone is not None and fitted.adapter_parameters == 0
    assert fitted.backbone.identity.same_tokens(adapted.identity)
    head = fitted.heads["direction"]
    assert judge(head, pixel_store, fitted.split.validation, adapted).metrics.clips == 4


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
    remove_checkpoints(tmp_path)
    assert not list(tmp_path.rglob("*.safetensors*"))


def test_what_does_not_fit_is_named_before_training(
    pixel_store: TokenStore, clip_store: TokenStore, backbone_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match="unknown adapter 'window_mean'; known are vpt_shallow"):
        fit(pixel_store, ["direction"], fast("window_mean"), console=QUIET, backbone=backbone_folder)
    text = AdapterOptions("adaptformer", text="clip")
    with pytest.raises(AdapterError, match="adaptformer has no text side; none have one"):
        fit(pixel_store, ["direction"], FitOptions(adapter=text), console=QUIET, backbone=backbone_folder)
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
