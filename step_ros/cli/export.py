"""A backbone as ONNX, and as a TensorRT engine where there is a GPU for it: `step-ros export`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def export(backbone: str, out: Path) -> None:
    """Write a backbone as ONNX and, on a machine with TensorRT, as an engine for its GPU.

    Both take preprocessed pixels (B, 3, h, w) in float32, for 1 to 16 images, and give tokens (B, P, D) in
    float32. How to preprocess stands in the ONNX file's metadata. What is written has been run, and its
    tokens compared with those of PyTorch in float32.

    Args:
        backbone: folder or hub name.
        out: folder for backbone.onnx and backbone.<type>.engine.
    """
    from step_ros.backbones import EngineError
    from step_ros.backbones.export import export_onnx, export_tensorrt
    from step_ros.peft.adapter_folder import load_backbone

    console = Console(soft_wrap=True, highlight=False)
    onnx = out / "backbone.onnx"
    loaded = load_backbone(backbone)
    out.mkdir(parents=True, exist_ok=True)
    console.print(f"{onnx}: {export_onnx(loaded.encoder, onnx)}")
    try:
        console.print("{}: {}".format(*export_tensorrt(loaded, out)))
    except EngineError as error:
        console.print(f"no TensorRT engine: {error}")
