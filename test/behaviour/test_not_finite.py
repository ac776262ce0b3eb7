"""The real node never publishes NaN: backbones and heads that overflow, how they are told, and recovery."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diagnostic_msgs.msg import DiagnosticStatus
from safetensors.torch import load_file, save_file
from vision_msgs.msg import Classification

from ..sure_models import make_head
from ..tiny_models import overflow_in_white, save_vit

GREY, WHITE = 128, 255


def rewrite(model: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change a model's weights in its folder."""
    weights = load_file(model / "model.safetensors")
    change(weights)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


def listen(graph: Any, tasks: tuple[str, ...]) -> dict[str, list[Any]]:
    """Everything that is published about tasks, by topic."""
    topics = [
        (f"{task}{part}", part == "/stable") for task in tasks for part in ("", "/stable", "/direction")
    ]
    return {
        topic: graph.client.listen(Classification, f"perception/{topic}", latched=latched)
        for topic, latched in topics
    }


def assert_all_are_numbers(heard: dict[str, list[Any]]) -> None:
    scores = [result.score for each in heard.values() for m in each for result in m.results]
    assert scores and all(map(math.isfinite, scores))


def wait_for_labels(graph: Any, heard: dict[str, list[Any]], *tasks: str) -> None:
    """Until each task has new labels, and diagnostics have nothing to complain about."""
    counts = {task: len(heard[task]) for task in tasks}
    graph.wait_for(
        lambda: (
            all(len(heard[task]) > count + 3 and heard[f"{task}/stable"] for task, count in counts.items())
            and all(heard[f"{task}/stable"][-1].results for task in tasks)
            and graph.client.statuses[-1].level != DiagnosticStatus.ERROR
        ),
        f"labels of {tasks}",
    )


def wait_for_error(graph: Any, *words: str) -> None:
    def told() -> bool:
        status = graph.client.statuses[-1]
        return status.level == DiagnosticStatus.ERROR and all(word in status.message for word in words)

    graph.wait_for(told, f"an error with {words}")


def test_a_backbone_that_overflows_gives_no_label_until_images_are_darker(graph: Any, tmp_path: Path) -> None:
    backbone = overflow_in_white(save_vit(tmp_path / "backbone"))
    heads = [make_head(tmp_path / task, task, backbone, seed=2) for task in ("atomic_action", "object")]
    film = graph.film()
    film.shade = GREY
    heard = listen(graph, ("atomic_action", "object"))
    graph.start_ready_node("staleness.timeout:=0.7", models=heads)
    wait_for_labels(graph, heard, "atomic_action", "object")
    film.shade = WHITE
    wait_for_error(graph, "inference fails", "backbone's tokens are not finite", "atomic_action, object")
    graph.wait_for(lambda: not heard["object/stable"][-1].results, "the label to be taken back")
    assert graph.client.count("update_error.not_finite") > 0
    wait_for_error(graph, "no labels go out", "backbone's tokens are not finite")
    film.shade = GREY
    wait_for_labels(graph, heard, "atomic_action", "object")
    assert_all_are_numbers(heard)


def test_a_head_that_overflows_is_named_and_replaced_while_another_goes_on(
    graph: Any, tmp_path: Path
) -> None:
    """A head that overflows on the backbone's large tokens alone: of others it gives probabilities."""
    backbone = save_vit(tmp_path / "backbone")
    rewrite(backbone, lambda weights: weights["layernorm.weight"].mul_(1e4))
    good = [make_head(tmp_path / task, task, backbone, seed=2) for task in ("atomic_action", "object")]
    bad = make_head(tmp_path / "bad" / "object", "object", backbone, seed=2)
    config = json.loads((bad / "config.json").read_text())
    config["probe"]["normalization"] = "none"
    (bad / "config.json").write_text(json.dumps(config))
    rewrite(bad, lambda weights: weights["probe.classifier.weight"].mul_(1e37))
    graph.film()
    heard = listen(graph, ("atomic_action", "object"))
    graph.start_ready_node(f"model_roots:=[{good[0].parent}, {tmp_path}]", models=good)
    wait_for_labels(graph, heard, "atomic_action", "object")
    assert graph.set_parameter("models", [str(good[0]), str(bad)]) == ""
    wait_for_error(graph, "not_finite", "the head of object gives")
    graph.wait_for(lambda: not heard["object/stable"][-1].results, "the label to be taken back")
    counts = {topic: len(messages) for topic, messages in heard.items()}
    graph.wait_for(
        lambda: len(heard["atomic_action"]) > counts["atomic_action"] + 5, "the other task's labels"
    )
    assert len(heard["object"]) == counts["object"] and heard["atomic_action/stable"][-1].results
    assert graph.set_parameter("models", [str(head) for head in good]) == ""
    wait_for_labels(graph, heard, "atomic_action", "object")
    assert_all_are_numbers(heard)
