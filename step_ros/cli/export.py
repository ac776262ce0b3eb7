"""A backbone as files for other programs: ONNX, and a TensorRT engine where there is a GPU for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from rich.console import Console

from step_ros.backbones import Backbone, Encoder, EngineError, select_engine
from step_ros.backbones.engines.certification import Agreement, certification_frames, certify
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.backbones.engines.onnx_file import write_onnx
from step_ros.backbones.engines.onnxruntime import OnnxRuntimeEngine
from step_ros.backbones.engines.tensorrt import TensorRtEngine
from step_ros.peft.adapter_folder import load_backbone


def export(backbone: str, out: Path) -> None:
    """Write a backbone as ONNX and, on a machine with TensorRT, as an engine for its GPU.

    Both take preprocessed pixels (B, 3, h, w) in float32, for 1 to 16 images, and give tokens (B, P, D) in
    float32. How to preprocess stands in the ONNX file's metadata. What is written has been run, and its
    tokens compared with those of PyTorch in float32.

    Args:
        backbone: folder or hub name.
        out: folder for backbone.onnx and backbone.<type>.engine.
    """
    console = Console()
    try:
        loaded = load_backbone(backbone)
        out.mkdir(parents=True, exist_ok=True)
        onnx = out / "backbone.onnx"
        _report(console, onnx, export_onnx(loaded.encoder, onnx))
        _export_tensorrt(console, loaded, out)
    except (EngineError, OSError) as error:
        raise SystemExit(f"step-ros export: {error}") from error
    except RuntimeError as error:  # of the backbone's files, or of an exporter
        raise SystemExit(f"step-ros export: {backbone} cannot be exported: {error}") from error


def export_onnx(encoder: Encoder, path: Path) -> Agreement:
    """Write an ONNX file and run it in ONNX Runtime.

    Args:
        encoder: in float32, on the CPU.
        path: of the file; one that is there is replaced, unless the new one is wrong.

    Raises:
        EngineError: the packages are missing, or the file's tokens are wrong.
    """
    frames = torch.from_numpy(certification_frames(encoder.identity.image_size))
    # In a folder of its own: large weights go to a file beside it, which the graph knows by name.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export_") as folder:
        draft = Path(folder) / path.name
        write_onnx(encoder, draft)
        reference = EagerEngine(encoder).encode(frames)
        found = certify(OnnxRuntimeEngine(encoder, file=draft), frames, reference)
        for file in sorted(Path(folder).iterdir()):
            os.replace(file, path.with_name(file.name))
    return found


def _export_tensorrt(console: Console, backbone: Backbone, out: Path) -> None:
    if not torch.cuda.is_available():
        console.print("no TensorRT engine: PyTorch finds no NVIDIA GPU")
        return
    try:
        selection = select_engine(backbone.to("cuda").encoder, "tensorrt")
    except EngineError as error:
        console.print(f"no TensorRT engine: {error}")
        return
    if isinstance(selection.engine, TensorRtEngine) and selection.agreement is not None:
        path = out / f"backbone.{selection.precision}.engine"
        path.write_bytes(selection.engine.plan)
        _report(console, path, selection.agreement)


def _report(console: Console, path: Path, found: Agreement) -> None:
    console.print(f"{path}: {found}", soft_wrap=True, highlight=False)
