"""Video models that one would take instead, from transformers, with random weights: one network a task."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from step_ros.backbones import Backbone
from step_ros.backbones.engines.engine import EngineError, precision_name
from step_ros.backbones.engines.openvino import compile_program
from step_ros.benchmark.flops import count_flops, on_no_device
from step_ros.benchmark.models import NUM_CLASSES
from step_ros.user_cache import compile_privately

VIDEO_MODELS: Mapping[str, tuple[str, str]] = {
    "VideoMAE": ("VideoMAEConfig", "VideoMAEForVideoClassification"),
    "TimeSformer": ("TimesformerConfig", "TimesformerForVideoClassification"),
    "ViViT": ("VivitConfig", "VivitForVideoClassification"),
}
"""By name: the classes of transformers, whose defaults are the base size."""


class VideoModel:
    """A video classifier on the window of T frames, all of them anew at each update.

    It is run by the engine that runs the backbone where that takes it, and else by PyTorch.

    Args:
        name: one of `VIDEO_MODELS`.
        backbone: whose preprocessing and engine it shares.
        frames: T.
    """

    def __init__(self, name: str, backbone: Backbone, frames: int) -> None:
        import transformers

        self.name, self.cameras, self.heads_memory_bytes = name, 1, 0
        self.device, self._preprocess = backbone.device, backbone.preprocess
        config_class, model_class = (getattr(transformers, each) for each in VIDEO_MODELS[name])
        torch.manual_seed(0)
        config = config_class(num_frames=frames, image_size=224, num_labels=NUM_CLASSES)
        self._network = model_class(config).eval().requires_grad_(False).to(backbone.device)
        self._window: deque[Tensor] = deque(maxlen=frames)
        self._example = torch.zeros(1, frames, 3, *backbone.image_size, device=backbone.device)
        self._run, self.engine = _engine_for(self._network, self._example, backbone)

    def update(self, frames: Tensor) -> Tensor:
        """Probabilities (1, 1, K), on the host, once T frames are in.

        Args:
            frames: (1, H, W, 3) uint8, on the host.
        """
        self.show(frames)
        with torch.inference_mode():
            pixels = self._preprocess(torch.cat(list(self._window)))[None]
            return torch.softmax(self._run(pixels.contiguous()).float(), dim=-1)[None].cpu()

    def show(self, frames: Tensor) -> None:
        """Move the window on by a frame, without an answer."""
        self._window.append(frames.to(self.device))

    def look_ahead(self) -> None:
        """There is nothing that can be done before the next frame comes."""

    def flops(self) -> int:
        """Of the matrix products of an update, as FlopCounterMode counts them."""
        pixels = self._example.to("meta")
        network = on_no_device(self._network)
        return count_flops(lambda: network(pixel_values=pixels))

    def bytes_moved(self) -> int:
        """Its weights, in the type of its engine."""
        width = 2 if "16" in self.engine else 4
        return width * sum(int(weight.numel()) for weight in self._network.parameters())


class _Logits(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=pixels).logits
        return logits


def _engine_for(
    network: nn.Module, example: Tensor, backbone: Backbone
) -> tuple[Callable[[Tensor], Tensor], str]:
    """What runs the network, and its name with its type."""
    module = _Logits(network)
    selection = backbone.engine
    precision = selection.engine.precision
    if selection.name == "openvino":
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                request: Any = compile_program(
                    torch.export.export(module, (example,)), precision
                ).create_infer_request()
        except (EngineError, RuntimeError, torch._dynamo.exc.TorchDynamoException) as error:
            warnings.warn(f"OpenVINO does not take {type(network).__name__}: {error}", stacklevel=2)
        else:

            def infer(pixels: Tensor) -> Tensor:
                request.infer([pixels.numpy()], share_inputs=True)
                return torch.from_numpy(request.get_output_tensor(0).data.copy())

            return infer, str(selection)
    if example.device.type == "cuda":
        compiled = compile_privately(module.to(precision), mode="reduce-overhead")
        return lambda pixels: compiled(pixels.to(precision)), f"inductor in {precision_name(precision)}"
    return module, "eager in float32"
