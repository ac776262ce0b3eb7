"""What executes a backbone: TensorRT, torch.compile, OpenVINO, ONNX Runtime or PyTorch itself."""

from step_ros.backbones.engines.engine import MAX_BATCH, Engine, EngineError
from step_ros.backbones.engines.selection import ENGINE_NAMES, EngineSelection, select_engine

__all__ = ["ENGINE_NAMES", "MAX_BATCH", "Engine", "EngineError", "EngineSelection", "select_engine"]
