"""A network in fewer products: the same tokens, and fewer products."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from step_ros.backbones import Backbone
from step_ros.backbones.engines.fixed_size import FixedSizeTower
from step_ros.backbones.engines.joined_projections import join_projections

LAYERS = 2


def products(module: nn.Module, pixels: Tensor) -> tuple[int, Tensor]:
    """How many matrix products and convolutions a compiler is left with, and what comes out."""
    from torch._dynamo.backends.common import aot_autograd

    found: list[str] = []

    def count(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        names = ("aten.addmm.default", "aten.mm.default", "aten.convolution.default")
        found.extend(str(node.target) for node in graph.graph.nodes if str(node.target) in names)
        return graph

    torch._dynamo.reset()
    with torch.no_grad():
        tokens: Tensor = torch.compile(module, backend=aot_autograd(fw_compiler=count), fullgraph=True)(
            pixels
        )
    return len(found), tokens


def test_queries_keys_and_values_come_from_one_product(backbone: Backbone) -> None:
    module = FixedSizeTower(backbone.encoder, torch.float32)
    pixels = torch.randn(2, 3, *backbone.image_size)
    before, expected = products(module, pixels)
    join_projections(module.network)
    after, tokens = products(module, pixels)
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)
    assert (before, after) == (1 + 6 * LAYERS, 1 + 4 * LAYERS)
