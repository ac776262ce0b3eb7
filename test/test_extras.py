"""A package that an extra brings: what is said where it is missing, and that there is such an extra."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from step_ros.extras import MissingPackageError, optional_package

ROOT = Path(__file__).resolve().parents[1]


def test_a_package_that_is_there_is_given() -> None:
    assert optional_package("json", extra="onnx") is json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"^onnxruntime is not installed; pip install 'step_ros\[onnx\]'$"),
        ("import protobuf_that_is_not_there", r"^protobuf_that_is_not_there is not installed; pip install"),
        ("raise OSError('libgomp.so.1: no such file.')", r"does not load \(libgomp\.so\.1: no such file\)$"),
    ],
    ids=["not there", "needs what is not there", "does not load"],
)
def test_one_that_is_not_is_named_with_its_extra(
    content: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    if content:
        (tmp_path / "onnxruntime.py").write_text(content)
    else:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)  # Python's way of saying that there is none
    with pytest.raises(MissingPackageError, match=message):
        optional_package("onnxruntime", extra="onnx")


def test_every_extra_that_is_named_can_be_installed() -> None:
    (setup,) = (
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
        if isinstance(node, ast.keyword) and node.arg == "extras_require"
    )
    assert isinstance(setup.value, ast.Dict)
    extras = {key.value for key in setup.value.keys if isinstance(key, ast.Constant)}
    code = "\n".join(path.read_text() for path in (ROOT / "step_ros").rglob("*.py"))
    named = set(re.findall(r'extra="(\w+)"', code)) | set(re.findall(r"step_ros\[(\w+)\]", code))
    assert named and named <= extras
