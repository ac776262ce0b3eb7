"""A backbone as files for other programs, each run once and compared with PyTorch before it is there."""

from __future__ import annotations

from pathlib import Path

import torch

from step_ros.atomic_files import new_file, new_files
from step_ros.backbones.backbone import Backbone
from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.certification import Agreement, certification_frames, certify
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.backbones.engines.engine import EngineError
from step_ros.backbones.engines.onnx_file import write_onnx
from step_ros.backbones.engines.onnxruntime import OnnxRuntimeEngine
from step_ros.backbones.engines.selection import select_engine
from step_ros.backbones.engines.tensorrt import TensorRtEngine


def export_onnx(encoder: Encoder, path: Path) -> Agreement:
    """Write an ONNX file and run it in ONNX Runtime.

    Args:
        encoder: in float32, on the CPU.
        path: of the file; one that is there is replaced, unless the new one is wrong.

    Raises:
        EngineError: the file's tokens are wrong.
        MissingPackageError: packages that write the format, or run it, are not installed.
    """
    frames = torch.from_numpy(certification_frames(encoder.identity.image_size))
    # In a folder of its own: large weights go to a file beside it, which the graph knows by name.
    with new_files(path.parent, last=path.name) as folder:
        draft = folder / path.name
        write_onnx(encoder, draft)
        reference = EagerEngine(encoder).encode(frames)
        found = certify(OnnxRuntimeEngine(encoder, file=draft), frames, reference)
    return found


def export_tensorrt(backbone: Backbone, folder: Path) -> tuple[Path, Agreement]:
    """Write a TensorRT engine for this machine's GPU: ``backbone.<type>.engine``.

    Args:
        backbone: is moved to the GPU.
        folder: where the file goes; one that is there is replaced.

    Returns:
        The file, and how close its tokens are to those of eager float32.

    Raises:
        EngineError: there is no GPU for it, or no TensorRT.
    """
    if not torch.cuda.is_available():
        raise EngineError("PyTorch finds no NVIDIA GPU")
    selection = select_engine(backbone.to("cuda").encoder, "tensorrt")
    assert isinstance(selection.engine, TensorRtEngine) and selection.agreement is not None
    path = folder / f"backbone.{selection.precision}.engine"
    with new_file(path) as draft:
        draft.write_bytes(selection.engine.plan)
    return path, selection.agreement
