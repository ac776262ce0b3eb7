"""A head: a trained probe with its labels, kept in a folder or on the hub."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors.torch import save_file
from torch import Tensor, nn

from step_ros.atomic_files import new_files
from step_ros.backbones.finite_weights import not_finite
from step_ros.backbones.identity import BackboneIdentity
from step_ros.backbones.model_file import ModelFileError, read_json
from step_ros.backbones.model_folder import ModelFolderError, model_folder
from step_ros.backbones.size_check import WEIGHTS_FILE
from step_ros.probes.attentive import AttentiveProbe
from step_ros.probes.head_config import HeadConfig, HeadError
from step_ros.probes.linear import LinearProbe
from step_ros.probes.moments import MomentsProbe
from step_ros.probes.normalization import TokenNormalization
from step_ros.probes.probe import Probe
from step_ros.probes.self_attention import SelfAttentionProbe
from step_ros.probes.step import StepProbe
from step_ros.probes.step_ablation import StepAblation
from step_ros.probes.step_options import StepOptions
from step_ros.probes.weights_file import read_weights

CONFIG_FILE = "config.json"

_MAX_TOKEN_VALUES = 2**26
"""Of a window: 64 frames of a ViT-L have a quarter."""


class Head(nn.Module, PyTorchModelHubMixin):
    """Tokens of a window in, probabilities of labels out.

    Example:
        >>> head = Head.from_pretrained("models/tabletop/atomic_action")  # doctest: +SKIP
        >>> head.check_backbone(backbone.identity)  # doctest: +SKIP
        >>> head.probabilities(tokens)  # (B, T, P, D) -> (B, K)  # doctest: +SKIP
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.pooling = config.token_pooling()
        self.normalization = TokenNormalization(config.probe.normalization, config.probe.dim)
        self.probe = make_probe(config)

    @property
    def device(self) -> torch.device:
        """Where the head's weights are."""
        return self._weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the head's weights."""
        return self._weight.dtype

    @property
    def sha256(self) -> str:
        """Digest over the config and the weights as float32: who has the same answers the same."""
        digest = hashlib.sha256(json.dumps(self.config.to_json(), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            values = tensor.detach().to("cpu", torch.float32).contiguous()
            digest.update(f"{name} {tuple(values.shape)}".encode())
            digest.update(values.numpy().data)
        return digest.hexdigest()

    @property
    def step(self) -> StepProbe:
        """The head's probe, which is STEP as published.

        Raises:
            HeadError: it is another one.
        """
        if type(self.probe) is not StepProbe:
            raise HeadError(f"head {self.config.task!r} has a {type(self.probe).__name__}, not a StepProbe")
        return self.probe

    @property
    def _weight(self) -> Tensor:
        return next(self.probe.parameters())

    def prepare(self, tokens: Tensor) -> Tensor:
        """What the probe sees of the backbone's tokens (..., P, D): pooled, then normalised."""
        prepared: Tensor = self.normalization(self.pooling(tokens.to(self.dtype)))
        return prepared

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of patch tokens (B, T, P, D), oldest frame first; float16 tokens are widened.

        Raises:
            ValueError: `tokens` is not (B, T, P, D) with this head's T and D.
        """
        logits: Tensor = self.probe(self.prepare(tokens))
        return logits

    def probabilities(self, tokens: Tensor) -> Tensor:
        """Calibrated probabilities (B, K) of patch tokens (B, T, P, D): softmax(logits / temperature)."""
        logits: Tensor = self(tokens)
        return torch.softmax(logits / self.config.temperature, dim=-1)

    def check_backbone(self, identity: BackboneIdentity) -> None:
        """Make sure that tokens come from the backbone that this head was trained on.

        Raises:
            HeadError: they do not; the message names both backbones.
        """
        if not self.config.backbone.same_tokens(identity):
            raise HeadError(
                f"head {self.config.task!r} was trained on the backbone {self.config.backbone}, but is given "
                f"{identity}; load the backbone it was trained on, or train it on this one"
            )

    @classmethod
    def from_pretrained(  # type: ignore[override]  # a head has nothing else to pass on: no **model_kwargs
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        device: str | torch.device = "cpu",
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Head:
        """Load a head, in evaluation mode, from a folder or from the hub by name.

        Args:
            pretrained_model_name_or_path: folder, or name on the Hugging Face hub.
            device: where the head shall run.
            revision: branch, tag or commit on the hub.
            cache_dir: where the hub's files are kept; by default under ``HF_HOME``.
            force_download: fetch again what is in the cache.
            local_files_only: only look in the cache.
            token: for private repositories on the hub.

        Raises:
            HeadError: there is no such head, or a file of it is missing, corrupt, or does not fit the other.
                Sizes are compared before anything is allocated, and nothing is ever unpickled.
        """
        try:
            folder = model_folder(
                pretrained_model_name_or_path,
                files=(CONFIG_FILE, WEIGHTS_FILE),
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
        except ModelFolderError as error:
            raise HeadError(f"head {error}") from error
        config = _read_config(folder / CONFIG_FILE)
        with torch.device("meta"):  # shapes without memory
            head = cls(config)
        expected = {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()}
        head.load_state_dict(read_weights(folder / WEIGHTS_FILE, expected), assign=True)
        head.eval()
        if not head.gives_numbers():
            raise HeadError(
                f"{folder / WEIGHTS_FILE} gives no probabilities, of whatever tokens: its values are too "
                "large; fetch or save it again"
            )
        return head.to(device)

    @torch.no_grad()
    def gives_numbers(self) -> bool:
        """Whether made-up tokens have probabilities: finite weights may be so large that no tokens have."""
        places = self.pooling.num_tokens
        if isinstance(self.probe, (StepProbe, LinearProbe, AttentiveProbe, SelfAttentionProbe)):
            places = min(places, 4)  # they take as many as there are
        frames, dim = self.probe.num_frames, self.probe.dim
        if frames * places * dim > _MAX_TOKEN_VALUES:
            raise HeadError(
                f"head {self.config.task!r} sees {frames} frames of {places:,} tokens with {dim} channels: "
                "more than any backbone gives"
            )
        tokens = torch.randn(1, frames, places, dim, generator=torch.Generator().manual_seed(0))
        logits = self.probe(self.normalization(tokens.to(self.device, self.dtype)))
        return bool(torch.isfinite(torch.softmax(logits / self.config.temperature, dim=-1)).all())

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write model.safetensors (always float32), README.md where there is none, and config.json.

        Raises:
            HeadError: a value is not finite.
        """
        if broken := not_finite(self.state_dict().items()):
            raise HeadError(
                f"head {self.config.task!r} is not saved: it holds values that are not finite, in {broken[0]}"
            )
        text = json.dumps(self.config.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        weights = {
            name: tensor.detach().to("cpu", torch.float32).contiguous()
            for name, tensor in self.state_dict().items()
        }
        with new_files(save_directory, last=CONFIG_FILE) as draft:
            (draft / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
            save_file(weights, draft / WEIGHTS_FILE, metadata={"format": "pt"})
            if not (save_directory / "README.md").exists():
                self.generate_model_card().save(draft / "README.md")

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The README.md beside a saved head: what it answers and how to load it."""
        config = self.config
        labels = "\n".join(f"- `{label}`" for label in config.labels)
        return ModelCard(
            "---\nlibrary_name: step_ros\npipeline_tag: video-classification\n"
            "tags:\n- robotics\n- ros2\n---\n\n"
            f"# {config.task}\n\n"
            f"A head for `step_ros` (probe: {config.probe.kind}), trained on tokens of "
            f"`{config.backbone.id}`. It sees {config.clip.num_frames} frames over "
            f"{config.clip.window_seconds:g} s and answers with one of\n"
            f"\n{labels}\n\n"
            "```python\nfrom step_ros.probes import Head\n\n"
            'head = Head.from_pretrained("path/or/hub-name")\n```\n'
        )


def make_probe(config: HeadConfig) -> Probe:
    """A probe with fresh weights, as the config says."""
    dim, classes, heads = config.probe.dim, len(config.labels), config.probe.num_heads
    frames, options = config.clip.num_frames, config.probe.options
    if config.probe.kind == "linear":
        return LinearProbe(dim, frames, classes)
    if config.probe.kind == "attentive":
        return AttentiveProbe(dim, frames, classes, heads)
    if config.probe.kind == "moments":
        return MomentsProbe(dim, frames, config.token_grid(), classes)
    if config.probe.kind == "self_attention":
        return SelfAttentionProbe(dim, frames, classes, heads)
    if options == StepOptions():
        return StepProbe(dim, frames, classes, heads)
    return StepAblation(dim, frames, config.token_pooling().num_tokens, classes, heads, options)


def _read_config(path: Path) -> HeadConfig:
    """Read a head's config.json.

    Raises:
        HeadError: the file is missing, is not JSON, or makes no sense; the message names it.
    """
    try:
        content = read_json(path)
    except ModelFileError as error:
        raise HeadError(str(error)) from error
    try:
        return HeadConfig.from_json(content)
    except HeadError as error:
        raise HeadError(f"{path}: {error}") from error
