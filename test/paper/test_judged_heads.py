"""What is said of heads beside their figures: which clips are judged, and what data say of pairs."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.paper.judged_heads import JudgedHeads, judge_heads
from step_ros.scores.verdict import Gravity
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit
from step_ros.training.fit_options import FitOptions
from step_ros.training.store import ClipSampling

CLIPS, FRAMES = 24, 5


@pytest.fixture(scope="module")
def judged(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> tuple[JudgedHeads, str]:
    """Heads of clips that show red or blue, which are said to be a pair, and squares that come or go."""
    folder = tmp_path_factory.mktemp("films")
    rows = ["# colour: red <-> blue", "video,start,end,split,colour,move"]
    for split in ("train", "test"):
        writer = cv2.VideoWriter(str(folder / f"{split}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
        for clip in range(CLIPS):
            colour, move = ("red", "blue")[clip % 2], ("there", "back")[clip // 2 % 2]
            for t in range(FRAMES):
                frame = np.full((64, 64, 3), (0, 0, 200) if colour == "red" else (200, 0, 0), np.uint8)
                x = 9 * (t if move == "there" else FRAMES - 1 - t)
                frame[16:48, x : x + 24] = 255
                writer.write(frame)
            start = clip * FRAMES / 10
            rows.append(f"{split}.mp4,{start},{start + FRAMES / 10},{split},{colour},{move}")
        writer.release()
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    (folder / "clips.yaml").write_text("move: {symmetric_pairs: []}\n")
    options = ExtractOptions(ClipSampling(4))
    store = extract(read_dataset(folder / "clips.csv", overlaps=True), backbone, options, folder / "store")
    quiet = Console(quiet=True)
    fitted = fit(store, ["colour", "move"], FitOptions(probe="moments", time_reversal=False), console=quiet)
    for task, head in fitted.heads.items():
        head.save_pretrained(folder / "heads" / task)
    said = io.StringIO()
    return judge_heads(
        store, folder / "heads", "test", console=Console(file=said, width=1000)
    ), said.getvalue()


def pairs(judged: JudgedHeads, task: str) -> list[str]:
    return [finding.sentence for finding in judged.verdicts[task] if finding.gravity is Gravity.PAIRS]


def test_a_pair_that_stills_tell_apart_is_doubted(judged: tuple[JudgedHeads, str]) -> None:
    (doubt,) = pairs(judged[0], "colour")
    assert doubt.startswith(
        "red and blue are a pair, but a probe that is blind to order tells them apart in 100 %"
    )


def test_two_classes_that_are_each_other_backwards_are_offered(judged: tuple[JudgedHeads, str]) -> None:
    (offer,) = pairs(judged[0], "move")
    assert "there" in offer and "back" in offer and offer.endswith("list them as a pair.")


def test_findings_are_in_order_and_the_yardstick_is_beside(judged: tuple[JudgedHeads, str]) -> None:
    for findings in judged[0].verdicts.values():
        order = [list(Gravity).index(finding.gravity) for finding in findings]
        assert order == sorted(order)
    assert list(judged[0].yardstick) == ["colour, by an order-blind linear probe"]
    assert "judging 24 clips (test)" in judged[1] and "not judged" not in judged[1]
