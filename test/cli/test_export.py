"""`step-ros export`: the files that it writes are the backbone, to whoever reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from step_ros.backbones import Backbone, BackboneError
from step_ros.cli.export import export
from step_ros.extras import MissingPackageError

PREPROCESS = {
    "do_resize": True,
    "size": {"height": 64, "width": 64},
    "resample": 2,
    "do_center_crop": False,
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2 that is used at another image size than it was trained at."""
    folder = tmp_path_factory.mktemp("dinov2")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 16}
    transformers.Dinov2Model(transformers.Dinov2Config(**sizes, image_size=112)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESS))
    return folder


@pytest.mark.timeout(600)
def test_the_onnx_file_gives_the_backbones_tokens(folder: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    main = "from step_ros.cli import main; main()"
    command = [sys.executable, "-c", main, "export", "--backbone", str(folder), "--out"]
    done = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "backbone.onnx: cosine 1.000000 on average and 1.000000 at worst, largest error" in done.stdout
    if not torch.cuda.is_available():
        assert "no TensorRT engine: PyTorch finds no NVIDIA GPU" in done.stdout
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["backbone.onnx"]

    session = onnxruntime.InferenceSession(tmp_path / "out" / "backbone.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    preprocess = json.loads(metadata["step_ros.preprocess"])
    backbone = Backbone.from_pretrained(folder)
    assert json.loads(metadata["step_ros.backbone"])["sha256"] == backbone.identity.sha256
    rgb = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    scaled = rgb * np.float32(preprocess["rescale_factor"])
    pixels = (scaled - np.float32(preprocess["mean"])) / np.float32(preprocess["std"])
    for batch in (1, 3):
        (tokens,) = session.run(["tokens"], {"pixels": pixels[:batch].transpose(0, 3, 1, 2)})
        np.testing.assert_allclose(tokens, backbone.encode(rgb[:batch]).numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("backbone", "out", "message"),
    [
        ("no/such/folder", "out", "there is no folder no/such/folder"),
        (None, "file", "File exists"),
    ],
)
def test_what_cannot_be_exported_is_named(
    backbone: str | None, out: str, message: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((BackboneError, OSError), match=message):
        export(backbone or str(folder), tmp_path / out)


def test_a_package_that_is_missing_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # Python's way of saying that it cannot be imported
    with pytest.raises(MissingPackageError, match=r"onnx(script)? is not installed; pip install"):
        export(str(folder), tmp_path)
    assert list(tmp_path.iterdir()) == []
