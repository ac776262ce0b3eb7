"""Which backbone tokens came from: what a head remembers of the backbone that it was trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import nn


@dataclass(frozen=True)
class BackboneIdentity:
    """Names a backbone and says whether another one gives the same tokens.

    Two backbones are the same when everything but `id` and `source` is equal: a folder may be moved or
    renamed.
    """

    id: str
    """Hub name (``facebook/dinov2-small``), or the last two parts of the folder's path."""
    image_size: tuple[int, int]
    """Height and width, in pixels, of the image that the network sees."""
    num_patches: int
    """P, patch tokens a frame."""
    dim: int
    """D, channels of a token."""
    sha256: str
    """Digest over the weights, see `weights_sha256`."""
    preprocess: str = ""
    """What is done to pixels first, see `Preprocess`; empty where nobody knows: then it is not compared."""
    source: str = ""
    """Where it was loaded from: a hub name, or a folder's whole path; empty where nobody knows."""

    def __post_init__(self) -> None:
        """Take lists for tuples, as JSON gives them."""
        object.__setattr__(self, "image_size", tuple(self.image_size))

    def same_tokens(self, other: BackboneIdentity) -> bool:
        """Whether both give the same tokens for the same frame, wherever their weights lie."""
        unknown = not (self.preprocess and other.preprocess)
        mine, others = (replace(each, id="", source="", preprocess="") for each in (self, other))
        return mine == others and (unknown or self.preprocess == other.preprocess)

    def __str__(self) -> str:
        """One line for messages: ``facebook/dinov2-small (224x224, 256 patches, D=384, sha256 12ab34…)``."""
        height, width = self.image_size
        sizes = f"{height}x{width}, {self.num_patches} patches, D={self.dim}"
        pixels = f", {self.preprocess}" if self.preprocess else ""
        return f"{self.id} ({sizes}, sha256 {self.sha256[:12]}{pixels})"


def weights_sha256(network: nn.Module) -> str:
    """SHA-256 over a network's parameters as float32: their shapes and values, in a fixed order.

    The parameters' names stay out of it, because they change from one release of transformers to the next
    while the weights do not; the order is that of the parameters' own digests. So the same weights have the
    same digest under every release, on every device, and whether they are stored as float16 or widened.
    """
    digests = []
    for parameter in network.parameters():
        values = parameter.detach().to("cpu", torch.float32).contiguous()
        digest = hashlib.sha256(repr(tuple(values.shape)).encode())
        digest.update(values.numpy().data)
        digests.append(digest.digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()
