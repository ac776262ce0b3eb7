"""Classifiers made of class names: beside what transformers' own CLIP makes of them, and in training."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from rich.console import Console
from torch.nn import functional as F

from step_ros.backbones import Backbone
from step_ros.paper.adapters import ALL_ADAPTERS, NAME_READERS
from step_ros.paper.adapters.text_side import ClipText, TextSide
from step_ros.peft import AdapterError
from step_ros.peft.adapter_folder import load_backbone
from step_ros.probes import Head, LinearProbe
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.class_names import merge_text_side, put_text_side
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit as fit_known
from step_ros.training.fit import save_heads
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import judge
from step_ros.training.raw_patches import RawPatches
from step_ros.training.store import ClipSampling, TokenStore

LABELS = ("open_drawer", "close_drawer", "idle")
NAMES = ["open drawer", "close drawer", "idle"]
DIM = 24
"""Channels of an image token of `clip_with_words`."""

fit = partial(fit_known, adapters=ALL_ADAPTERS, name_readers=NAME_READERS, console=Console(quiet=True))


@pytest.fixture(scope="module")
def clip_text(clip_with_words: Path) -> ClipText:
    return ClipText(clip_with_words)


def features(folder: Path, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What transformers makes of texts, projected, at length 1."""
    clip: Any = transformers.CLIPModel.from_pretrained(folder).eval()
    with torch.no_grad():
        pooled = clip.text_model(input_ids=ids, attention_mask=mask).pooler_output
        return F.normalize(clip.text_projection(pooled), dim=-1)


def test_names_are_classified_as_clip_does_before_anything_is_learned(
    clip_with_words: Path, clip_text: ClipText
) -> None:
    read = transformers.AutoTokenizer.from_pretrained(clip_with_words)(
        NAMES, padding=True, return_tensors="pt"
    )
    expected = features(clip_with_words, read["input_ids"], read["attention_mask"])
    clip: Any = transformers.CLIPModel.from_pretrained(clip_with_words)
    tokens = torch.randn(7, DIM)
    cosine = F.normalize(clip.visual_projection(tokens), dim=-1) @ expected.T
    logits = tokens @ clip_text.side(LABELS, "m2_clip", DIM)().T
    torch.testing.assert_close(F.normalize(logits, dim=-1), F.normalize(cosine, dim=-1))


def test_prompts_stand_where_words_would(clip_with_words: Path, clip_text: ClipText) -> None:
    side = clip_text.side(LABELS, "vita_clip", DIM)
    assert side.prompts is not None and side.prompts.shape == (3, 16, 16)
    words = "abcdefghijklmnop"
    tokenizer = transformers.AutoTokenizer.from_pretrained(clip_with_words)
    sentences = [" ".join(words) + " " + name for name in NAMES]
    read = tokenizer(sentences, padding=True, return_tensors="pt")
    ids = read["input_ids"]
    with torch.no_grad():
        side.prompts.copy_(side.text_model.embeddings.token_embedding(ids[:, 1:17]))
    expected = features(clip_with_words, ids, read["attention_mask"]) @ side.visual_projection.weight
    torch.testing.assert_close(side() / side.scale, expected)


@pytest.mark.parametrize(("kind", "trained"), [("vita_clip", 3 * 16 * 16 + 1), ("m2_clip", 2 * 148 + 1)])
def test_only_the_text_side_s_own_parts_learn_and_plain_weights_are_left(
    kind: str, trained: int, clip_text: ClipText
) -> None:
    torch.manual_seed(1)
    probe = LinearProbe(DIM, 4, len(LABELS))
    side = clip_text.side(LABELS, kind, DIM)
    put_text_side(probe, side)
    # Classes start about as far apart as those of any linear layer.
    assert probe.classifier.weight.norm(dim=1).mean().item() == pytest.approx(3**-0.5, rel=1e-3)
    frozen = copy.deepcopy(side.text_model.state_dict())
    learning = [parameter for parameter in probe.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.05)
    tokens, targets = torch.randn(6, 4, 5, DIM), torch.tensor([0, 1, 2, 0, 1, 2])
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(probe(tokens), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, tensor in side.text_model.state_dict().items():
        assert torch.equal(tensor, frozen[name]), name
    logits = probe(tokens)
    assert merge_text_side(probe) == trained
    torch.testing.assert_close(probe(tokens), logits)
    assert set(probe.state_dict()) == {"classifier.weight", "classifier.bias"}
    assert merge_text_side(probe) == 0


def test_classifiers_share_a_tower_without_reading_each_other_s_prompts(clip_text: ClipText) -> None:
    one, other = (clip_text.side(LABELS, kind, DIM) for kind in ("vita_clip", "m2_clip"))
    assert isinstance(other, TextSide) and one.text_model is other.text_model
    alone = other()
    one()
    torch.testing.assert_close(other(), alone)


@pytest.mark.parametrize(
    ("labels", "kind", "dim", "words"),
    [
        (("CID01", "CID02"), "vita_clip", DIM, "'CID01', 'CID02' are no words"),
        (("open", "7"), "vita_clip", DIM, "'7' are no words"),
        (LABELS, "adaptformer", DIM, "adaptformer has no text side"),
        (LABELS, "m2_clip", 32, "D=24, but the backbone has D=32"),
        (("a" * 62, "b"), "vita_clip", DIM, "takes 80 tokens with its prompts"),
    ],
)
def test_names_that_cannot_be_read_are_refused_in_words(
    labels: tuple[str, ...], kind: str, dim: int, words: str, clip_text: ClipText
) -> None:
    with pytest.raises(AdapterError, match=words):
        clip_text.side(labels, kind, dim)


def test_what_is_no_whole_clip_is_refused_in_words(clip_with_words: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="text side: there is no folder"):
        ClipText(tmp_path / "nothing")
    vit = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    vit.save_pretrained(tmp_path)
    with pytest.raises(AdapterError, match="of type 'vit'"):
        ClipText(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((clip_with_words / name).read_bytes())
    with pytest.raises(AdapterError, match="holds no tokenizer"):
        ClipText(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(AdapterError, match="tokenizer in .* cannot be read"):
        ClipText(tmp_path)


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
            backbone=clip_with_words,
            backbone_out=tmp_path / "backbone",
        )
        counts.append(fitted.adapter_parameters)
    assert counts[1] > counts[0]
    save_heads(fitted.heads, tmp_path)
    head = Head.from_pretrained(tmp_path / "direction")
    assert set(head.probe.state_dict()) == {"classifier.weight", "classifier.bias"}
    judged = judge(
        head, store, fitted.split.validation, load_backbone(tmp_path / "backbone", adapters=ALL_ADAPTERS)
    )
    assert judged.metrics.top1 == pytest.approx(fitted.curve[-1]["direction validation accuracy"])


def test_text_side_is_refused_before_training_where_there_is_none(
    pixel_store: TokenStore, backbone_folder: Path, clip_with_words: Path
) -> None:
    options = FitOptions(adapter=AdapterOptions("adaptformer", text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="adaptformer has no text side"):
        fit(pixel_store, ["direction"], options, backbone=backbone_folder)
    options = FitOptions(adapter=AdapterOptions(text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="no adapter has no text side"):
        fit(pixel_store, ["direction"], options, backbone=backbone_folder)
    options = FitOptions(adapter=AdapterOptions("m2_clip", text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="D=24, but the backbone has D=32"):
        fit(pixel_store, ["direction"], options, backbone=backbone_folder)
