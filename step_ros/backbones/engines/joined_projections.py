"""The same network in fewer matrix products: on a GPU one frame's are so small that their number counts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"))


def join_projections(network: nn.Module) -> None:
    """Let each attention's queries, keys and values come from one product, and patches from a product, too.

    Queries, keys and values are each asked for by themselves, as before: whoever comes first computes all,
    and the others take their part. So the network must be run by one thread at a time.

    Args:
        network: an image encoder of transformers, whose modules are replaced.
    """
    for module in list(network.modules()):
        for names in _SIBLINGS:
            parts = [getattr(module, name, None) for name in names]
            linears = [part for part in parts if isinstance(part, nn.Linear)]
            if len(linears) == len(names):
                joined = _Joined(linears)
                for index, name in enumerate(names):
                    setattr(module, name, _Part(joined, index))
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d) and _cuts_into_patches(child):
                setattr(module, name, _PatchProduct(child))


class _Joined(nn.Module):
    """Linear layers of one input as one."""

    def __init__(self, linears: list[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.cat([linear.weight for linear in linears]), requires_grad=False)
        biases: list[Tensor] = [linear.bias for linear in linears if linear.bias is not None]
        self.bias = nn.Parameter(torch.cat(biases), requires_grad=False) if biases else None
        self._sizes = [linear.out_features for linear in linears]
        self._outputs: tuple[Tensor, ...] | None = None
        self._taken = 0

    def forward(self, given: Tensor, index: int) -> Tensor:
        """The output of one of the layers; all are asked for, one after the other, with the same input."""
        if self._outputs is None:
            self._outputs = F.linear(given, self.weight, self.bias).split(self._sizes, dim=-1)
        output = self._outputs[index]
        self._taken += 1
        if self._taken == len(self._sizes):
            self._outputs, self._taken = None, 0
        return output


class _Part(nn.Module):
    """Stands in the place of one of the joined layers."""

    def __init__(self, joined: _Joined, index: int) -> None:
        super().__init__()
        self.joined, self.index = joined, index

    def forward(self, given: Tensor) -> Tensor:
        output: Tensor = self.joined(given, self.index)
        return output


class _PatchProduct(nn.Module):
    """A convolution whose kernels do not overlap, as a product of patches."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.kernel_size = convolution.kernel_size

    def forward(self, images: Tensor) -> Tensor:
        """(B, D, rows, columns) of images (B, C, h, w)."""
        height, width = self.kernel_size
        patches = images.unflatten(3, (-1, width)).unflatten(2, (-1, height))  # B C rows height columns width
        given = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return F.linear(given, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def _cuts_into_patches(convolution: nn.Conv2d) -> bool:
    return (
        convolution.stride == convolution.kernel_size
        and convolution.padding == (0, 0)
        and convolution.dilation == (1, 1)
        and convolution.groups == 1
    )
