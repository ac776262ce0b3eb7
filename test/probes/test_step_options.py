"""STEP's options: whose they are, and which go together."""

from __future__ import annotations

import pytest

from step_ros.probes import HeadError, StepOptions

from .small_heads import make_head


def test_options_belong_to_step() -> None:
    with pytest.raises(HeadError, match="options are STEP's, but probe.kind is 'linear'"):
        make_head(kind="linear", options=StepOptions(position="none"))
    with pytest.raises(ValueError, match="unknown position 'sinus'; known are learnable"):
        StepOptions(position="sinus")
    with pytest.raises(ValueError, match="needs the global CLS token"):
        StepOptions(pooled="cls", global_cls=False)
