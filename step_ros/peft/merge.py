"""Adapters that can be written into a network's own weights, so that nothing is left of them to run.

- *AdaptFormer*: its channels become further hidden units of each MLP. They are ReLU's and an MLP's are
  GELU's, but GELU(c·x) / c comes as near to ReLU(x) as one likes, so each unit is made c times as steep and c
  times as weak. ViT and CLIP keep their kind, with a wider MLP. DINOv2 becomes a ViT, since its own MLP can
  only be a whole number of times as wide as a token: its layer scales go into the matrices in front of them.
- *VPT-Shallow*: its prompts become register tokens, which DINOv2 with registers puts at the very same place.
  ViT and DINOv2 become that; layer scales that they do not have are 1.

Position embeddings are stretched for the image size once and for all, where the network would do that anew
for each image.

The rest cannot be: VPT-Deep's prompts are others in each block, and no kind of network that transformers
knows has those; an adapter that mixes the frames of a window does what no weights of a network for single
images do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from step_ros.peft.adapted_block import part_names
from step_ros.peft.adapted_tower import AdaptedTower, blocks_of
from step_ros.peft.adapter_config import AdapterError
from step_ros.peft.adaptformer import SCALE

_STEEPNESS = 2.0**11
"""c: GELU(c·x) / c is ReLU(x) to within 0.17 / c, and a power of two changes no digit of a weight."""


def why_not_merged(adapted: AdaptedTower) -> str | None:
    """Why an adapter cannot be merged into its network; None where it can be."""
    kind, model_type = adapted.config.kind, adapted.tower.model_type
    settings: Any = adapted.network.config
    grid = adapted.place.grid
    if adapted.config.sees_time:
        return f"{kind} mixes the frames of a window, which a network for single images cannot do"
    if kind == "vpt_deep":
        return "vpt_deep has other prompts in each block, which no plain vision transformer has"
    if grid[0] != grid[1] and not model_type.startswith("clip"):
        return "position embeddings can only be settled for square images"
    if kind == "vpt_shallow":
        if model_type.startswith("clip"):
            return "CLIP norms its tokens before the first block, and has no kind with further tokens"
        return None
    if kind != "adaptformer":
        return f"no plain vision transformer is known to compute what {kind} adds"
    if getattr(settings, "use_swiglu_ffn", False):
        return "the network's MLP is gated, so the adapter cannot become part of it"
    if model_type == "dinov2_with_registers":
        return "DINOv2 with registers has no kind with an MLP of any width"
    return None


@torch.no_grad()
def merged_network(adapted: AdaptedTower) -> Any:
    """A plain network of transformers that gives the same tokens, to about 1e-6 of their size.

    Raises:
        AdapterError: the adapter cannot be merged; the message says why.
    """
    reason = why_not_merged(adapted)
    if reason is not None:
        raise AdapterError(f"the adapter cannot be merged: {reason}")
    network = _with_registers(adapted) if adapted.config.kind == "vpt_shallow" else _with_wider_mlp(adapted)
    return network.eval().requires_grad_(False)


def _with_wider_mlp(adapted: AdaptedTower) -> Any:
    """A ViT (of ViT and DINOv2) or CLIP whose MLPs hold the bottlenecks."""
    import transformers

    old: Any = adapted.network
    settings, width = old.config, adapted.config.size
    if adapted.tower.model_type.startswith("clip"):
        values = {**settings.to_dict(), "intermediate_size": settings.intermediate_size + width}
        new: Any = transformers.CLIPVisionModel(transformers.CLIPVisionConfig.from_dict(values))
        rest = {name: tensor for name, tensor in old.state_dict().items() if not _is_of_block(name, old)}
        new.load_state_dict(rest, strict=False)
        kind = "clip"
    else:
        hidden = int(_block(old, 0).mlp.fc1.out_features)
        config = transformers.ViTConfig(
            **_shared_sizes(adapted), intermediate_size=hidden + width, layer_norm_eps=settings.layer_norm_eps
        )
        new, kind = transformers.ViTModel(config, add_pooling_layer=False), "vit"
        _copy_embeddings(adapted, new)
        new.layernorm.load_state_dict(old.layernorm.state_dict())
    for index in range(adapted.place.num_layers):
        _fill_block(adapted, index, blocks_of(new)[index], kind)
    return new


def _fill_block(adapted: AdaptedTower, index: int, new: Any, kind: str) -> None:
    """Copy a block without its scales, the adapter in its MLP."""
    old = _block(adapted.network, index)
    adapter: Any = adapted.adapters[index]
    _copy_parts(adapted, old, new, kind)
    scale1, scale2 = _scales(adapted, old)
    attention = new.self_attn if kind == "clip" else new.attention
    out = attention.out_proj if kind == "clip" else attention.o_proj
    _scale_rows(out, scale1)
    first, second = old.mlp.fc1, old.mlp.fc2
    down, up = adapter.down, adapter.up
    new.mlp.fc1.weight.copy_(torch.cat([first.weight, _STEEPNESS * down.weight]))
    new.mlp.fc1.bias.copy_(torch.cat([first.bias, _STEEPNESS * down.bias]))
    new.mlp.fc2.weight.copy_(
        torch.cat([scale2[:, None] * second.weight, up.weight * (SCALE / _STEEPNESS)], dim=1)
    )
    new.mlp.fc2.bias.copy_(scale2 * second.bias + SCALE * up.bias)


def _with_registers(adapted: AdaptedTower) -> Any:
    """A DINOv2 with registers whose last registers are the prompts."""
    import transformers

    old: Any = adapted.network
    settings, place = old.config, adapted.place
    values: dict[str, Any] = _shared_sizes(adapted)
    if adapted.tower.model_type == "vit":
        ratio, left = divmod(settings.intermediate_size, settings.hidden_size)
        if left:
            raise AdapterError(
                f"the adapter cannot be merged: an MLP of {settings.intermediate_size} is no whole number "
                f"of times as wide as a token of {settings.hidden_size}"
            )
        values["mlp_ratio"] = ratio
    else:
        values |= {"mlp_ratio": settings.mlp_ratio, "use_swiglu_ffn": settings.use_swiglu_ffn}
    adapter: Any = adapted.adapters[0]
    prompts = adapter.prompts
    known = getattr(old.embeddings, "register_tokens", None)
    registers = prompts[None] if known is None else torch.cat([known, prompts[None]], dim=1)
    config = transformers.Dinov2WithRegistersConfig(
        **values, num_register_tokens=registers.shape[1], layer_norm_eps=settings.layer_norm_eps
    )
    new: Any = transformers.Dinov2WithRegistersModel(config)
    _copy_embeddings(adapted, new)
    new.embeddings.register_tokens.copy_(registers)
    new.layernorm.load_state_dict(old.layernorm.state_dict())
    for index in range(place.num_layers):
        block = _block(old, index)
        target: Any = blocks_of(new)[index]
        _copy_parts(adapted, block, target, "dinov2")
        target.mlp.load_state_dict(block.mlp.state_dict())
        scale1, scale2 = _scales(adapted, block)
        target.layer_scale1.lambda1.copy_(scale1)
        target.layer_scale2.lambda1.copy_(scale2)
    return new


def _copy_parts(adapted: AdaptedTower, old: Any, new: Any, kind: str) -> None:
    """Copy norms and attention; the MLP is the caller's."""
    source, target = part_names(old, adapted.tower.model_type), part_names(new, kind)
    for index in (0, 1, 3):
        state = getattr(old, str(source[index])).state_dict()
        getattr(new, str(target[index])).load_state_dict(state)


def _copy_embeddings(adapted: AdaptedTower, new: Any) -> None:
    """Copy CLS, patches and positions, these as the old network would stretch them."""
    old: Any = adapted.network
    place = adapted.place
    new.embeddings.cls_token.copy_(old.embeddings.cls_token)
    new.embeddings.patch_embeddings.load_state_dict(old.embeddings.patch_embeddings.state_dict())
    positions = old.embeddings.position_embeddings
    if positions.shape[1] != new.embeddings.position_embeddings.shape[1]:
        height, width = (size * place.patch_size for size in place.grid)
        like = torch.empty(1, 1 + place.grid[0] * place.grid[1], place.dim, device=positions.device)
        positions = old.embeddings.interpolate_pos_encoding(like, height, width)
    new.embeddings.position_embeddings.copy_(positions)


def _shared_sizes(adapted: AdaptedTower) -> dict[str, Any]:
    settings: Any = adapted.network.config
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "patch_size")
    values = {name: getattr(settings, name) for name in (*names, "num_channels", "qkv_bias")}
    return {**values, "image_size": adapted.place.grid[0] * adapted.place.patch_size}


def _scales(adapted: AdaptedTower, block: Any) -> tuple[Tensor, Tensor]:
    names = part_names(block, adapted.tower.model_type)
    ones = torch.ones(adapted.place.dim, device=next(block.parameters()).device)
    first, second = (ones if name is None else getattr(block, name).lambda1 for name in (names[2], names[5]))
    return first, second


def _scale_rows(linear: nn.Linear, scale: Tensor) -> None:
    linear.weight.mul_(scale[:, None])
    linear.bias.mul_(scale)


def _block(network: nn.Module, index: int) -> Any:
    """A block without its adapter."""
    block: Any = blocks_of(network)[index]
    return block.block


def _is_of_block(name: str, network: nn.Module) -> bool:
    blocks = blocks_of(network)
    path = next(name for name, module in network.named_modules() if module is blocks)
    return name.startswith(f"{path}.")
