"""Which part of a checkpoint encodes images, and which of its outputs are patch tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from step_ros.backbones.errors import BackboneError
from step_ros.backbones.finite_weights import not_finite
from step_ros.backbones.model_file import ModelFileError, read_json
from step_ros.backbones.size_check import (
    INDEX_FILE,
    WEIGHTS_FILE,
    check_config,
    check_weights,
    network_config,
)

_MODEL_TYPES = ("dinov2", "dinov2_with_registers", "clip", "clip_vision_model", "vit")


@dataclass(frozen=True)
class VisionTower:
    """An image encoder of transformers, and how to read it."""

    network: nn.Module
    """Takes (B, 3, h, w) pixels."""
    model_type: str
    """As in config.json: vit, dinov2, dinov2_with_registers, clip or clip_vision_model."""
    dim: int
    """D, channels of a token."""
    patch_size: int
    """Width and height of a patch, in pixels."""
    image_size: int | None
    """The only width and height, in pixels, that the network takes; None where it takes any."""
    num_prefix_tokens: int
    """CLS and register tokens, which come before the patches."""
    final_norm: Callable[[Tensor], Tensor] | None
    """What is still to be applied to the network's last hidden state."""

    def tokens(self, pixels: Tensor) -> Tensor:
        """Patch tokens (B, P, D) of preprocessed images (B, 3, h, w)."""
        hidden: Tensor = self.network(pixel_values=pixels).last_hidden_state
        patches = hidden[:, self.num_prefix_tokens :]
        return patches if self.final_norm is None else self.final_norm(patches)


def load_vision_tower(folder: Path) -> VisionTower:
    """Load the image encoder of a checkpoint in float32, from safetensors only.

    Raises:
        BackboneError: a file is missing or corrupt, weights are missing, or it is of no supported kind.
    """
    # Here because it takes seconds, which who only reads a head's config need not wait for.
    import transformers

    config = read_config(folder / "config.json")
    model_type = str(config.get("model_type"))
    if model_type not in _MODEL_TYPES:
        raise BackboneError(
            f"{folder} holds a model of type {model_type!r}; backbones are of type {', '.join(_MODEL_TYPES)}"
        )
    if not any((folder / name).exists() for name in (WEIGHTS_FILE, INDEX_FILE)):
        raise BackboneError(
            f"{folder} holds no model.safetensors, found {sorted(path.name for path in folder.iterdir())}; "
            "weights in other formats are not loaded, convert them or take a revision that has safetensors"
        )
    class_name, options = {
        "vit": ("ViTModel", {"add_pooling_layer": False}),
        "dinov2": ("Dinov2Model", {}),
        "dinov2_with_registers": ("Dinov2WithRegistersModel", {}),
    }.get(model_type, ("CLIPVisionModel", {}))
    if not hasattr(transformers, class_name):
        raise BackboneError(
            f"{model_type} needs transformers 4.48 or newer, this is {transformers.__version__}"
        )
    network = load_network(getattr(transformers, class_name), folder, config, options)
    return describe_tower(network, model_type)


def describe_tower(network: Any, model_type: str) -> VisionTower:
    """How to read an image encoder of transformers, of a type that `load_vision_tower` takes."""
    config = network.config
    is_clip = model_type.startswith("clip")
    return VisionTower(
        network=network,
        model_type=model_type,
        dim=int(config.hidden_size),
        patch_size=int(config.patch_size),
        # DINOv2 stretches its position embeddings over whatever comes; the others have one size.
        image_size=None if model_type.startswith("dinov2") else int(config.image_size),
        num_prefix_tokens=1 + int(getattr(config, "num_register_tokens", 0)),
        # CLIP norms its CLS token only; transformers 5 dropped the wrapper around the tower.
        final_norm=getattr(network, "vision_model", network).post_layernorm if is_clip else None,
    )


def load_network(model_class: Any, folder: Path, content: dict[str, Any], options: dict[str, Any]) -> Any:
    """A network of transformers in float32, from safetensors only.

    Transformers is given what was checked here and opens no file itself: by a config.json, and by what else
    lies in a folder, it can be led to others.

    Args:
        model_class: of transformers.
        folder: where the weights are.
        content: of its config.json.
        options: what else is to be said of the network.

    Raises:
        BackboneError: the config makes no sense, or weights cannot be loaded, lack some, or hold what is no
            number.
    """
    check_config(folder, content)
    config = network_config(folder, model_class, content)
    files = check_weights(folder, model_class, config)
    try:
        weights = {name: tensor for file in files for name, tensor in load_file(file).items()}
        with quiet_transformers():
            network, info = model_class.from_pretrained(
                None, config=config, state_dict=weights, output_loading_info=True, **options
            )
    except Exception as error:  # transformers and safetensors raise what they like for a broken file
        raise BackboneError(f"the weights in {folder} cannot be loaded: {error}") from error
    if info["missing_keys"]:  # transformers would go on with random numbers in their place
        missing = sorted(info["missing_keys"])
        raise BackboneError(
            f"the weights in {folder} lack {len(missing)} of the network's tensors: {missing[:5]}"
        )
    network = network.to(torch.float32)
    if broken := not_finite(network.state_dict().items()):
        raise BackboneError(
            f"the weights in {folder} hold values that are not finite, in {broken[0]}; "
            "fetch or save them again"
        )
    return network


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bar, and no report of the classifier or text tower that is left out on purpose."""
    import transformers

    logging: Any = transformers.utils.logging
    verbosity, progress_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if progress_bar:
            logging.enable_progress_bar()


def read_config(path: Path) -> dict[str, Any]:
    """What a config.json holds.

    Raises:
        BackboneError: it cannot be read, or is no JSON object.
    """
    try:
        content = read_json(path)
    except ModelFileError as error:
        raise BackboneError(str(error)) from error
    if not isinstance(content, dict):
        raise BackboneError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content
