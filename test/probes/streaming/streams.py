"""Heads and streams of frames for the tests of streaming, and what they are held to."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, ProbeConfig, StreamingHeads


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def make_heads(
    classes: tuple[int, ...] = (4,),
    *,
    frames: int = 4,
    patches: int = 5,
    dim: int = 24,
    num_heads: int = 3,
    normalization: str = "layer_norm",
    logit_scale: float = 1.0,
    kind: str = "step",
) -> dict[str, Head]:
    """A head for each number of classes, with no parameter left at zero; scores grow with `logit_scale`."""
    identity = BackboneIdentity("owner/tiny", (32, 32), patches, dim, "ab" * 32)
    heads = {}
    for index, count in enumerate(classes):
        config = HeadConfig(
            task=f"task_{index}",
            labels=tuple(f"label_{label}" for label in range(count)),
            clip=ClipSpec(frames, 1.0),
            probe=ProbeConfig(dim, num_heads, kind=kind, normalization=normalization),
            backbone=identity,
            temperature=1.0 + index,
        )
        head = Head(config).eval()
        with torch.no_grad():
            head.probe.in_proj.bias.normal_()
            head.probe.out_proj.bias.normal_()
            head.probe.in_proj.weight[: 2 * dim].mul_(logit_scale**0.5)
            head.probe.in_proj.bias[: 2 * dim].mul_(logit_scale**0.5)
        if normalization == "channel":
            head.normalization.fit(torch.randn(dim), torch.rand(dim) + 0.5)
        heads[config.task] = head
    return heads


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


@torch.no_grad()
def in_double(head: Head, window: Tensor) -> Tensor:
    """The plain module's logits (K,) of a window (T, P, D), in double precision."""
    logits: Tensor = copy.deepcopy(head).double()(window[None].double())[0]
    return logits


def push_all(streaming: StreamingHeads, stream: Tensor) -> dict[str, Tensor]:
    for index, tokens in enumerate(stream):
        streaming.push(index, tokens)
    logits = streaming.logits()
    assert logits is not None
    return logits
