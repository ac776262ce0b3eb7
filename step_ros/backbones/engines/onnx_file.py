"""An encoder as an ONNX file, for ONNX Runtime and for whatever else reads the format."""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.fixed_size import FixedSizeTower, export_program
from step_ros.extras import optional_package

INPUT = "pixels"
"""(B, 3, h, w) float32, preprocessed."""
OUTPUT = "tokens"
"""(B, P, D) float32."""

_LARGEST_SINGLE_FILE = 2**31 - 2**26
"""Bytes of weights; protobuf ends at 2 GiB, and the graph needs some of it."""


def write_onnx(encoder: Encoder, path: Path) -> None:
    """Write an encoder's network, in float32, for batches of 1 to `MAX_BATCH`.

    Who the encoder is and how its pixels are preprocessed stands in the file's metadata. Weights of more
    than 2 GiB go to a second file beside it, named as the first with ``.data`` at its end.

    Raises:
        MissingPackageError: the packages that write the format are not installed.
        OSError: the file cannot be written.
    """
    for package in ("onnx", "onnxscript"):
        optional_package(package, extra="onnx")
    module = FixedSizeTower(encoder, torch.float32).cpu()
    weights = sum(parameter.nbytes for parameter in module.parameters())
    with _quiet():
        program = torch.onnx.export(
            export_program(module),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no model")
    program.model.metadata_props.update(
        {
            "step_ros.backbone": json.dumps(dataclasses.asdict(encoder.identity)),
            "step_ros.preprocess": json.dumps(dataclasses.asdict(encoder.preprocess)),
        }
    )
    program.save(path, external_data=weights > _LARGEST_SINGLE_FILE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes to its own developers, of which there are hundreds."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
