"""NaN never becomes a label: backbones that overflow, engines and heads that give NaN, and what follows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone, BackboneIdentity
from step_ros.backbones.engines import EngineError, EngineSelection
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.frames import ClipSpec, Frame
from step_ros.perception import FilterSettings, Perceiver, Perception, PerceptionWorker, Prediction
from step_ros.perception.announcements import Announcements
from step_ros.perception.ledger import Inference, LostUpdate, Used
from step_ros.perception.not_finite import NotFiniteError
from step_ros.probes import Head, HeadConfig, ProbeConfig

from ..tiny_models import overflow_in_white, save_vit

STEP_NS = 100_000_000  # the fixture's window: 4 positions, 100 ms apart, of which 2 may be held
WAIT = 60


def shade(index: int, value: int) -> Frame:
    return Frame(index * STEP_NS, np.full((24, 32, 3), value, np.uint8))


def grey(index: int) -> Frame:
    return shade(index, 127 + index % 2)


def white(index: int) -> Frame:
    return shade(index, 255)


def pushed(perceiver: Perceiver, frames: Iterable[Frame]) -> tuple[dict[int, Perception], dict[int, str]]:
    """What is said, and why nothing is, by the frame's place."""
    said: dict[int, Perception] = {}
    errors: dict[int, str] = {}
    for frame in frames:
        try:
            perception = perceiver.push(frame)
        except NotFiniteError as error:
            errors[frame.stamp_ns // STEP_NS] = str(error)
            continue
        if perception is not None:
            assert all(np.isfinite(each.probabilities).all() for each in perception.predictions.values())
            said[frame.stamp_ns // STEP_NS] = perception
    return said, errors


def broken(head: Head, value: float = float("nan")) -> Head:
    """A copy with weights that are no numbers, or far too large: one of two logits is then infinite."""
    other = copy.deepcopy(head)
    with torch.no_grad():
        other.probe.out_proj.weight.mul_(1e10)
        other.probe.classifier.weight[0] = value
        other.probe.classifier.weight[1] = -value
    return other


@pytest.fixture(params=[torch.float32, torch.float16], ids=["float32", "float16"])
def overflowing(request: pytest.FixtureRequest, tmp_path: Path) -> Backbone:
    """A backbone whose tokens of white frames are not finite."""
    folder = save_vit(tmp_path / "overflowing", num_hidden_layers=2, initializer_range=0.3)
    overflow_in_white(folder, 1e18 if request.param == torch.float32 else 1e3)
    return Backbone.from_pretrained(folder, dtype=request.param)


@pytest.mark.parametrize("memory_mb", [1024, 0], ids=["streaming", "plain"])
@pytest.mark.parametrize("bad", [{6}, {6, 7}, {5, 6, 7, 8, 9}, {1}, {1, 2, 3, 4, 5}], ids=str)
def test_frames_that_overflow_are_as_if_they_had_not_come(
    overflowing: Backbone, make_head: Callable[..., Head], memory_mb: int, bad: set[int]
) -> None:
    heads = {"atomic_action": make_head(backbone=overflowing.identity)}
    frames = [white(index) if index in bad else grey(index) for index in range(1, 16)]
    said, errors = pushed(Perceiver(overflowing, heads, heads_memory_mb=memory_mb), frames)
    without = Perceiver(overflowing, heads, heads_memory_mb=memory_mb)
    expected, none = pushed(without, [frame for frame in frames if frame.stamp_ns // STEP_NS not in bad])
    assert errors and not none
    assert all("backbone's tokens" in each and "atomic_action" in each for each in errors.values())
    assert 15 in said and set(said) == set(expected) - set(errors)
    for index, perception in said.items():
        theirs = expected[index]
        assert perception.held_positions == theirs.held_positions
        np.testing.assert_allclose(
            perception.predictions["atomic_action"].probabilities,
            theirs.predictions["atomic_action"].probabilities,
            atol=1e-5,
        )


@pytest.mark.parametrize("memory_mb", [1024, 0], ids=["streaming", "plain"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38], ids=str)
def test_a_head_that_gives_no_number_is_left_out_until_it_is_replaced(
    perceiver: Perceiver, frame_at: Callable[[int], Frame], value: float, memory_mb: int
) -> None:
    good = perceiver.heads
    perceiver = Perceiver(perceiver.backbone, good, heads_memory_mb=memory_mb)
    said, errors = pushed(perceiver, (frame_at(index * STEP_NS) for index in range(1, 6)))
    assert set(said) == {4, 5}
    perceiver.adopt(perceiver.prepare({**good, "object": broken(good["object"], value)}))
    said, errors = pushed(perceiver, (frame_at(index * STEP_NS) for index in range(6, 9)))
    assert not errors and [set(each.predictions) for each in said.values()] == [{"atomic_action"}] * 3
    assert {each.not_finite for each in said.values()} == {("object",)}
    with pytest.raises(NotFiniteError, match="head of object"):
        perceiver.read_backwards({"object"})
    perceiver.adopt(perceiver.prepare(good, kept=perceiver.kept()))
    said, errors = pushed(perceiver, [frame_at(9 * STEP_NS)])
    assert set(said[9].predictions) == {"atomic_action", "object"} and said[9].not_finite == ()


def test_heads_that_are_swapped_while_tokens_are_bad_do_not_keep_them(
    overflowing: Backbone, make_head: Callable[..., Head]
) -> None:
    heads = {"atomic_action": make_head(backbone=overflowing.identity)}
    perceiver = Perceiver(overflowing, heads)
    pushed(perceiver, [grey(1), grey(2), white(3)])
    prepared = perceiver.prepare(heads, kept=perceiver.kept())
    _, errors = pushed(perceiver, [white(4)])
    assert errors
    perceiver.adopt(prepared)
    said, errors = pushed(perceiver, [grey(4), grey(5)])
    assert set(said) == {5} and not errors


def test_without_any_answer_the_update_is_lost_and_its_heads_are_named(
    perceiver: Perceiver, frame_at: Callable[[int], Frame]
) -> None:
    heads = {task: broken(head) for task, head in perceiver.heads.items()}
    said, errors = pushed(
        Perceiver(perceiver.backbone, heads), (frame_at(index * STEP_NS) for index in range(1, 6))
    )
    assert not said and set(errors) == {4, 5}
    assert all("the head of atomic_action, object" in each for each in errors.values())


def test_a_stable_label_is_taken_back_when_its_head_gives_no_number() -> None:
    config = HeadConfig(
        task="door",
        labels=("open", "close"),
        clip=ClipSpec(num_frames=4, window_seconds=0.4),
        probe=ProbeConfig(dim=16, num_heads=2),
        backbone=BackboneIdentity("tiny", (32, 32), 4, 16, "0" * 64),
    )
    announcements = Announcements({"door": config})
    settings = FilterSettings(on_seconds=0.0, off_seconds=0.5, threshold=0.6)
    sure = Prediction("door", config.labels, np.array([0.9, 0.1], np.float32))

    def stable(perception: Perception) -> list[tuple[int, int]]:
        found = announcements.of(perception, top_k=1, settings=settings)
        return [(each.stamp_ns, len(each.results)) for each in found if each.stable]

    assert stable(Perception(1, 0, {"door": sure}, 0)) == [(1, 1)]
    assert stable(Perception(2, 0, {}, 0, not_finite=("door",))) == [(2, 0)]
    assert stable(Perception(3, 0, {}, 0, not_finite=("door",))) == []
    assert stable(Perception(4, 0, {"door": sure}, 0)) == [(4, 1)]


class NanEngine(EagerEngine):
    """PyTorch, but for tokens that are NaN while it is told so."""

    name = "openvino"  # it takes this one's place
    wrong = False

    def encode_batch(self, frames: torch.Tensor) -> torch.Tensor:
        tokens = super().encode_batch(frames)
        return tokens * float("nan") if self.wrong else tokens


@pytest.fixture
def engine(perceiver: Perceiver, monkeypatch: pytest.MonkeyPatch) -> NanEngine:
    """Of the perceiver; no other can be built on this machine."""

    def select(encoder: object, name: str) -> EngineSelection:
        raise EngineError(f"{name} is not installed")

    monkeypatch.setattr("step_ros.perception.engine_keeper.select_engine", select)
    engine = NanEngine(perceiver.backbone.encoder)
    perceiver.backbone.engine = EngineSelection(engine)
    return engine


@pytest.mark.parametrize("bad", [range(6, 20), range(1, 20)], ids=["after a while", "from the start"])
def test_an_engine_that_keeps_giving_nan_is_replaced_and_labels_come_again(
    perceiver: Perceiver, engine: NanEngine, frame_at: Callable[[int], Frame], bad: range
) -> None:
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, lambda _, one: perceived.append(one)) as worker:
        for index in range(1, 20):
            engine.wrong = index in bad
            worker.submit(frame_at(index * STEP_NS))
            assert worker.flush(WAIT)
            assert worker.account().unaccounted == 0
        lost = worker.lost_updates()
        assert lost[LostUpdate.NOT_FINITE] >= 1 and lost[LostUpdate.HEAD_ERROR] == 0
        assert "backbone's tokens" in worker.errors()[LostUpdate.NOT_FINITE]
    assert perceiver.backbone.engine.name == "eager"
    assert "not finite" in perceiver.backbone.engine.refused["openvino"]
    assert perceived[-1].stamp_ns == 19 * STEP_NS
    for perception in perceived:
        assert all(np.isfinite(each.probabilities).all() for each in perception.predictions.values())


def test_one_bad_frame_costs_one_update_and_no_engine(
    perceiver: Perceiver, engine: NanEngine, frame_at: Callable[[int], Frame]
) -> None:
    perceived: list[Perception] = []
    with PerceptionWorker({"": perceiver}, lambda _, one: perceived.append(one)) as worker:
        for index in range(1, 12):
            engine.wrong = index == 6
            worker.submit(frame_at(index * STEP_NS))
            assert worker.flush(WAIT)
        assert worker.lost_updates()[LostUpdate.NOT_FINITE] == 1
        assert worker.account()[Used.ENCODED] == 11 and worker.account().total(Inference) == 0
    assert perceiver.backbone.engine.engine is engine
    assert [one.stamp_ns // STEP_NS for one in perceived] == [4, 5, 7, 8, 9, 10, 11]


def test_a_camera_whose_frames_overflow_does_not_silence_another(
    overflowing: Backbone, make_head: Callable[..., Head]
) -> None:
    heads = {"atomic_action": make_head(backbone=overflowing.identity)}
    cameras = {name: Perceiver(overflowing, heads) for name in ("front", "wrist")}
    perceived: list[tuple[str, int]] = []
    with PerceptionWorker(
        cameras, lambda camera, one: perceived.append((camera, one.stamp_ns // STEP_NS))
    ) as worker:
        for index in range(1, 10):
            worker.submit(white(index) if index > 5 else grey(index), "front")
            worker.submit(grey(index), "wrist")
            assert worker.flush(WAIT)
        assert worker.lost_updates("front")[LostUpdate.NOT_FINITE] == 4
        assert worker.lost_updates("wrist")[LostUpdate.NOT_FINITE] == 0
    assert [index for camera, index in perceived if camera == "front"] == [4, 5]
    assert [index for camera, index in perceived if camera == "wrist"] == [4, 5, 6, 7, 8, 9]


def test_the_worker_names_a_head_that_gives_no_number_and_the_others_go_on(
    perceiver: Perceiver, engine: NanEngine, frame_at: Callable[[int], Frame]
) -> None:
    good = perceiver.heads
    perceived: list[set[str]] = []
    with PerceptionWorker({"": perceiver}, lambda _, one: perceived.append(set(one.predictions))) as worker:
        bad = perceiver.prepare({**good, "object": broken(good["object"])})
        for index, prepared in ((0, None), (5, bad), (7, perceiver.prepare(good))):
            if prepared is not None:
                worker.adopt({"": prepared})
            for place in range(index + 1, index + 6 if index == 0 else index + 3):
                worker.submit(frame_at(place * STEP_NS))
                assert worker.flush(WAIT)
        assert worker.lost_updates()[LostUpdate.NOT_FINITE] == 2
        assert "head of object" in worker.errors()[LostUpdate.NOT_FINITE]
    both = {"atomic_action", "object"}
    assert perceived == [both, both, {"atomic_action"}, {"atomic_action"}, both, both]
    assert perceiver.backbone.engine.engine is engine


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_prediction(value: float) -> None:
    with pytest.raises(NotFiniteError, match="head of door"):
        Prediction("door", ("open", "close"), np.array([value, 0.5], np.float32))
