"""How many floating-point operations something takes, by torch's own counter."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from step_ros.backbones import Backbone, BackboneIdentity
from step_ros.probes import Head, StreamingHeads
from step_ros.probes.streaming.fused_step import FusedStep

Module = TypeVar("Module", bound=nn.Module)


def count_flops(run: Callable[[], object]) -> int:
    """Operations of the matrix products and convolutions in a call; a multiply-add is two."""
    with FlopCounterMode(display=False, custom_mapping=_onednn_products()) as counter, torch.no_grad():
        run()
    return int(counter.get_total_flops())


def on_no_device(module: Module) -> Module:
    """A copy without weights, whose operations are counted but not done."""
    # By way of meta tensors in the memo, so that weights are never copied.
    memo: dict[int, Any] = {
        id(tensor): type(tensor)(tensor.to("meta")) if isinstance(tensor, nn.Parameter) else tensor.to("meta")
        for tensor in (*module.parameters(), *module.buffers())
    }
    return copy.deepcopy(module, memo)


def backbone_flops(backbone: Backbone) -> int:
    """Of one frame, in the network as it is, whatever engine runs it."""
    pixels = torch.empty(1, 3, *backbone.image_size, device="meta")
    network = on_no_device(backbone.network)
    return count_flops(lambda: network(pixel_values=pixels))


def head_flops(head: nn.Module, frames: int, backbone: BackboneIdentity) -> int:
    """Of a plain module on a window of tokens (1, T, P, D)."""
    tokens = torch.empty(1, frames, backbone.num_patches, backbone.dim, device="meta")
    return count_flops(lambda: on_no_device(head)(tokens))


def streaming_flops(heads: Mapping[str, Head]) -> int:
    """Of all heads, when a frame comes to a window that is full."""
    streamed = StreamingHeads(heads).streaming_tasks
    plain = [task for task in heads if task not in streamed]
    total = 0
    if streamed:  # heads that are alike cost the same
        total += len(streamed) * _update_flops(heads[streamed[0]])
    for task in plain:
        total += head_flops(heads[task], heads[task].config.clip.num_frames, heads[task].config.backbone)
    return total


def _update_flops(head: Head) -> int:
    config = head.config
    frames, shape = config.clip.num_frames, (config.backbone.num_patches, config.probe.dim)
    on_gpu = head.device.type == "cuda"
    with _in_this_thread():
        if on_gpu:  # inside CUDA graphs, which no counter sees
            stream: Any = FusedStep([on_no_device(head)], shape[0], torch.float32)
        else:
            stream = StreamingHeads({config.task: head}, memory_limit_mb=math.inf)
        tokens = torch.zeros(shape, device="meta" if on_gpu else "cpu")

        def update(index: int) -> None:
            stream.push(*((tokens,) if on_gpu else (index, tokens)))
            stream.logits()

        for index in range(frames):
            update(index)
        return count_flops(lambda: update(frames))


@contextmanager
def _in_this_thread() -> Iterator[None]:
    """The counter sees what its own thread does, so heads must not be dealt out to others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _onednn_products() -> dict[Any, Callable[..., int]]:
    """What the counter does not know of itself: the product that streaming heads take float32 to."""

    def linear(left: Any, right: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        return 2 * int(torch.Size(left).numel()) * int(right[0])

    try:
        return {torch.ops.mkldnn._linear_pointwise: linear}
    except AttributeError:
        return {}
