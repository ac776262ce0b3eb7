"""The text sides of Vita-CLIP and M2-CLIP: a classifier whose weights are class names, as CLIP reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.backbones import BackboneError
from step_ros.backbones.model_folder import ModelFolderError, display_name, model_folder
from step_ros.backbones.vision_tower import load_network, read_config
from step_ros.peft.adapter_config import AdapterError

TEXT_SIDES = ("m2_clip", "vita_clip")
"""Adapters that have one."""

_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_FILES = (
    *("config.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors"),
    *("tokenizer_config.json", "special_tokens_map.json", *(name for names in _TOKENIZERS for name in names)),
)
_PROMPTS = 16
_BOTTLENECK = 4  # width of the tower over that of an adapter
_CODE = re.compile(r"[a-z]{0,4}[\s_-]*\d+", re.IGNORECASE)


class TextSide(nn.Module):
    """Weights (K, D) of a classifier, made of K class names by CLIP's frozen text tower.

        W = s · normalise(E(names)) · V

    E is the tower with its projection, V CLIP's own projection of images, s a learned scale. Of tokens m, W·m
    ranks the classes as CLIP's cosine does, which only divides by |V·m| besides. What is trained of E:

        vita_clip    16 vectors before each name, each class its own (Wasim et al., CVPR 2023, eq. 11)
        m2_clip      x + GELU(x·down)·up before each block, zero at first (Wang et al., AAAI 2024)

    The authors classify the mean of the frames' projected CLS tokens; here it is whatever the probe pools.
    M2-CLIP's decoder with its other losses is left out.

    Args:
        clip: transformers' CLIPModel.
        ids: (K, L) of the names' tokens, begin and end included.
        mask: (K, L), 1 where there is a token.
        kind: one of `TEXT_SIDES`.
    """

    def __init__(self, clip: Any, ids: Tensor, mask: Tensor, kind: str) -> None:
        super().__init__()
        self.text_model = clip.text_model.eval().requires_grad_(False)
        self.text_projection = clip.text_projection.requires_grad_(False)
        self.visual_projection = clip.visual_projection.requires_grad_(False)
        width = self.text_projection.in_features
        self.prompts: nn.Parameter | None = None
        self.adapters = nn.ModuleList()
        if kind == "vita_clip":
            self.prompts = nn.Parameter(torch.empty(len(ids), _PROMPTS, width))
            nn.init.normal_(self.prompts, std=0.02)
            # Any token but the last one will do in their place.
            ids, mask = (
                torch.cat([x[:, :1], x[:, :1].expand(-1, _PROMPTS), x[:, 1:]], 1) for x in (ids, mask)
            )
        else:
            self.adapters.extend(_text_adapter(width) for _ in self.text_model.encoder.layers)
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("mask", mask, persistent=False)
        self.scale = nn.Parameter(torch.ones(()))
        with torch.no_grad():
            # Where nn.Linear's weights start: uniform within 1 / sqrt(D), in each column 1/3 of its square.
            self.scale.div_(self().norm(dim=1).mean() * 3**0.5)

    def forward(self, replaced: Tensor | None = None) -> Tensor:
        """The weights (K, D); what they stand in for is not read."""
        with self._trained_parts():
            pooled = self.text_model(input_ids=self.ids, attention_mask=self.mask).pooler_output
        names = F.normalize(self.text_projection(pooled), dim=-1)
        weights: Tensor = self.scale * names @ self.visual_projection.weight
        return weights if replaced is None else weights.to(replaced.dtype)

    def train(self, mode: bool = True) -> TextSide:
        """Stay in evaluation mode: the frozen tower's dropout is not switched on."""
        return super().train(False)

    @contextmanager
    def _trained_parts(self) -> Iterator[None]:
        """Put prompts and adapters into the tower, which several classifiers may share."""
        hooks = []
        if self.prompts is not None:
            prompts = self.prompts

            def prompted(module: nn.Module, args: object, embedded: Tensor) -> Tensor:
                return torch.cat([embedded[:, :1], prompts, embedded[:, 1 + _PROMPTS :]], dim=1)

            hooks.append(self.text_model.embeddings.token_embedding.register_forward_hook(prompted))
        for layer, adapter in zip(self.text_model.encoder.layers, self.adapters, strict=False):

            def adapted(module: nn.Module, args: Any, adapter: nn.Module = adapter) -> Any:
                return args[0] + adapter(args[0]), *args[1:]

            hooks.append(layer.register_forward_pre_hook(adapted))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class ClipText:
    """What reads class names: a whole CLIP and its tokenizer.

    Args:
        source: folder or hub name.

    Raises:
        AdapterError: it cannot be had, is no CLIP, or its files are not usable.
    """

    def __init__(self, source: str | Path) -> None:
        import transformers

        self._name = display_name(source)
        try:
            folder = model_folder(source, files=_FILES)
            config = read_config(folder / "config.json")
            if config.get("model_type") != "clip":
                raise BackboneError(
                    f"{self._name} is of type {config.get('model_type')!r}; names are read by a whole CLIP"
                )
            self._clip = load_network(transformers.CLIPModel, folder, config, {})
        except (ModelFolderError, BackboneError) as error:
            raise AdapterError(f"text side: {error}") from error
        # Without these transformers makes a tokenizer that knows no word, and says nothing.
        if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
            raise AdapterError(
                f"text side: {folder} holds no tokenizer: tokenizer.json, or vocab.json and merges.txt"
            )
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # transformers and tokenizers raise what they like
            raise AdapterError(f"text side: the tokenizer in {folder} cannot be read: {error}") from error

    def side(self, labels: Sequence[str], kind: str, dim: int) -> TextSide:
        """The classifier of these labels.

        Args:
            labels: K class names.
            kind: one of `TEXT_SIDES`.
            dim: D, channels of the tokens to classify.

        Raises:
            AdapterError: the kind has no text side, labels are no words, or too long, or CLIP's images have
                other tokens.
        """
        if kind not in TEXT_SIDES:
            raise AdapterError(f"{kind or 'no adapter'} has no text side; {', '.join(TEXT_SIDES)} have one")
        codes = [label for label in labels if _CODE.fullmatch(label) or not re.search(r"[^\W\d_]", label)]
        if codes:
            raise AdapterError(
                f"a text side reads class names, but {', '.join(map(repr, codes[:5]))} are no words; "
                "name the classes, or train without --adapter.text"
            )
        width = self._clip.visual_projection.in_features
        if width != dim:
            raise AdapterError(
                f"{self._name} projects image tokens of D={width}, but the backbone has D={dim}; "
                "take the CLIP whose image tower the backbone is"
            )
        names = [" ".join(re.split(r"[\W_]+", label)).strip() for label in labels]
        read = self._tokenizer(names, padding=True, return_tensors="pt")
        most = int(self._clip.config.text_config.max_position_embeddings)
        longest = int(read["attention_mask"].sum(1).max()) + (_PROMPTS if kind == "vita_clip" else 0)
        if longest > most:
            name = max(names, key=len)
            raise AdapterError(f"{name!r} takes {longest} tokens with its prompts; {self._name} reads {most}")
        return TextSide(self._clip, read["input_ids"], read["attention_mask"], kind)


def _text_adapter(width: int) -> nn.Module:
    down, up = nn.Linear(width, width // _BOTTLENECK), nn.Linear(width // _BOTTLENECK, width)
    nn.init.zeros_(up.weight)
    nn.init.zeros_(up.bias)
    return nn.Sequential(down, nn.GELU(), up)
