"""An engine that is two, four and eight times slower: labels go out, and the books balance."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame
from step_ros.perception import Perceiver, Perception, PerceptionWorker
from step_ros.perception.ledger import Overload, Used
from step_ros.probes import Head, HeadConfig, ProbeConfig

from ..tiny_models import save_vit

CLIP = ClipSpec(num_frames=16, window_seconds=0.64)  # a step every 40 ms
ENCODE_SECONDS = 0.015
"""What the engine takes where nothing slows it."""


@pytest.fixture
def perceiver(tmp_path_factory: pytest.TempPathFactory) -> Perceiver:
    backbone = Backbone.from_pretrained(save_vit(tmp_path_factory.mktemp("backbone"), num_hidden_layers=1))
    torch.manual_seed(0)
    config = HeadConfig("verb", ("open", "close"), CLIP, ProbeConfig(dim=16, num_heads=2), backbone.identity)
    return Perceiver(backbone, {"verb": Head(config).eval()})


@pytest.mark.parametrize(("times_slower", "strides"), [(1, {1}), (2, {1}), (4, {1, 2}), (8, {4})])
def test_labels_go_out_however_slow_the_engine_is(
    perceiver: Perceiver, times_slower: int, strides: set[int]
) -> None:
    perceiver.backbone.network.register_forward_pre_hook(lambda *_: time.sleep(ENCODE_SECONDS * times_slower))
    answers: list[tuple[float, Perception]] = []
    rng = np.random.default_rng(0)
    begun = time.monotonic()
    with PerceptionWorker(
        {"": perceiver}, lambda _, answer: answers.append((time.monotonic() - begun, answer))
    ) as worker:
        for index in range(150):  # six seconds
            ahead = begun + index * 0.04 - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            rgb = rng.integers(0, 255, (32, 32, 3), np.uint8)
            worker.submit(Frame(round(1e9 + index * CLIP.step_ns), rgb))
        stride = worker.stride
        assert worker.flush(60)
        account = worker.account()
    late = [at - (answer.stamp_ns - 1e9) / 1e9 for at, answer in answers if at > 3]
    assert len(late) >= 3 * 25 / max(strides) / 2, "labels stopped"
    assert max(late) < 3 * max(strides) * 0.04 + 3 * times_slower * ENCODE_SECONDS
    assert stride in strides
    assert account.unaccounted == 0 and account.received == 150
    assert (account[Overload.THINNED_OUT] > 0) == (max(strides) > 1 and stride > 1)
    assert account[Used.ENCODED] + account.total(Overload) == 150


def test_labels_are_as_dense_as_before_once_the_engine_is_fast_again(perceiver: Perceiver) -> None:
    seconds = 0.12
    perceiver.backbone.network.register_forward_pre_hook(lambda *_: time.sleep(seconds))
    answers: list[Perception] = []
    with PerceptionWorker({"": perceiver}, lambda _, answer: answers.append(answer)) as worker:
        begun, strides = time.monotonic(), []
        for index in range(250):
            seconds = 0.12 if index < 100 else 0.001
            time.sleep(max(0.0, begun + index * 0.04 - time.monotonic()))
            worker.submit(Frame(round(1e9 + index * CLIP.step_ns), np.full((32, 32, 3), index, np.uint8)))
            strides.append(worker.stride)
        assert worker.flush(60)
    assert strides[99] == 4 and strides[-1] == 1
    gaps = {b.stamp_ns - a.stamp_ns for a, b in zip(answers[-10:], answers[-9:], strict=False)}
    assert gaps == {CLIP.step_ns}
