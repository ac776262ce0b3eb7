"""Windows read backwards: which labels rest on the order of the frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import Frame
from step_ros.perception import Direction, DirectionCheck, Perceiver, Perception
from step_ros.probes import Head

STEP_NS = 100_000_000
PAIRS = (("open", "close"),)


def filmed(
    perceiver: Perceiver, frame_at: Callable[[int], Frame], indices: range = range(1, 8)
) -> list[Perception]:
    perceptions = [perceiver.push(frame_at(index * STEP_NS)) for index in indices]
    return [perception for perception in perceptions if perception is not None]


@pytest.fixture
def perceiver(backbone: Backbone, make_head: Callable[..., Head]) -> Perceiver:
    return Perceiver(backbone, {"atomic_action": make_head(symmetric_pairs=PAIRS)})


def test_backwards_is_the_same_head_on_the_frames_in_reverse_order(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    assert perceiver.read_backwards(["atomic_action"]) == {}  # the window is not whole yet
    filmed(perceiver, frame_at)
    frames = np.stack([frame_at(index * STEP_NS).rgb for index in (7, 6, 5, 4)])
    head = perceiver.heads["atomic_action"]
    with torch.inference_mode():
        expected = head.probabilities(perceiver.backbone.encode(frames)[None])[0].numpy()
    backwards = perceiver.read_backwards(["atomic_action", "no such task"])
    np.testing.assert_allclose(backwards["atomic_action"].probabilities, expected, atol=1e-6)


def test_a_head_that_feels_no_order_confirms_no_direction(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    """Without temporal embeddings the answer is the same backwards, whatever it is."""
    head = perceiver.heads["atomic_action"]
    with torch.no_grad():
        head.probe.position.zero_()
        head.probe.classifier.bias[0] += 5  # "open"
    blind = Perceiver(perceiver.backbone, {"atomic_action": head})
    (direction,) = DirectionCheck().check(filmed(blind, frame_at)[-1], blind, max_rate=100.0)
    assert (direction.label, direction.partner, direction.confirmed) == ("open", "close", False)
    assert direction.confidence < 0.5


def test_a_head_that_reads_the_order_confirms_the_direction(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    """Its classifier is set so that it names one label for the window, and the partner for its reverse."""
    head = perceiver.heads["atomic_action"]
    frames = np.stack([frame_at(index * STEP_NS).rgb for index in (4, 5, 6, 7)])
    with torch.no_grad():
        tokens = perceiver.backbone.encode(frames)
        windows = torch.stack([tokens, tokens.flip(0)])
        pooled: list[torch.Tensor] = []
        handle = head.probe.classifier.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
        head(windows)
        handle.remove()
        forwards, backwards = pooled[0]
        difference = (forwards - backwards) / (forwards - backwards).square().sum()
        head.probe.classifier.weight.zero_()
        head.probe.classifier.weight[0], head.probe.classifier.weight[1] = 20 * difference, -20 * difference
        middle = float((forwards + backwards) @ difference / 2)
        head.probe.classifier.bias[:] = torch.tensor([-20 * middle, 20 * middle, -50.0])
    reader = Perceiver(perceiver.backbone, {"atomic_action": head})
    (direction,) = DirectionCheck().check(filmed(reader, frame_at)[-1], reader, max_rate=100.0)
    assert direction == Direction("atomic_action", "open", "close", pytest.approx(1.0, abs=1e-3), True)


def test_labels_without_a_partner_are_not_read(
    backbone: Backbone, make_head: Callable[..., Head], frame_at: Callable[[int], Frame]
) -> None:
    perceiver = Perceiver(backbone, {"atomic_action": make_head()})
    assert DirectionCheck().check(filmed(perceiver, frame_at)[-1], perceiver, max_rate=100.0) == []


@pytest.mark.parametrize(("max_rate", "expected"), [(10.0, 4), (5.0, 2), (0.0, 0)])
def test_it_keeps_to_its_rate(
    perceiver: Perceiver, frame_at: Callable[[int], Frame], max_rate: float, expected: int
) -> None:
    with torch.no_grad():
        perceiver.heads["atomic_action"].probe.classifier.bias[0] += 50
    perceiver = Perceiver(perceiver.backbone, perceiver.heads)
    check, checked = DirectionCheck(), 0
    for index in range(1, 8):
        perception = perceiver.push(frame_at(index * STEP_NS))
        if perception is not None:
            checked += len(check.check(perception, perceiver, max_rate))
    assert checked == expected
