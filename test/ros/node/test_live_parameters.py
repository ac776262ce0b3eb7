"""What changes while the node runs: heads, tasks, rates; and what is refused, with the reason."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from vision_msgs.msg import Classification, LabelInfo

from step_ros.backbones import Backbone
from step_ros.probes import Head
from step_ros.ros.messages import nanoseconds_of

from ...sure_models import make_head


@pytest.fixture(scope="module")
def node(module_graph: Any, models: Any, tmp_path_factory: Any) -> SimpleNamespace:
    graph = module_graph
    film = graph.film()
    folder = tmp_path_factory.mktemp("new_heads")
    roots = f"model_roots:=[{folder}, {models.heads[0].parent}, {models.foreign_head.parent}]"
    process = graph.start_ready_node("direction.max_rate:=20.0", roots)
    listen = graph.client.listen
    return SimpleNamespace(
        graph=graph,
        client=graph.client,
        process=process,
        film=film,
        folder=folder,
        set=graph.set_parameter,
        heads=[str(head) for head in models.heads],
        labels={task: listen(Classification, f"perception/{task}") for task in (*models.labels, "grip")},
        stable=listen(Classification, "perception/object/stable", latched=True),
        direction=listen(Classification, "perception/atomic_action/direction"),
    )


def new_label(node: Any, task: str) -> Classification:
    """The next label of a task."""
    count = len(node.labels[task])
    node.graph.wait_for(lambda: len(node.labels[task]) > count, f"a label of {task}")
    return node.labels[task][-1]


def stable_class(node: Any) -> str:
    """The class of the newest stable label of `object`; empty where there is none or it was taken back."""
    results = node.stable[-1].results if node.stable else []
    return results[0].class_id if results else ""


def test_top_k_changes_at_once(node: Any) -> None:
    new_label(node, "atomic_action")
    assert node.set("top_k", 1) == ""
    node.graph.wait_for(lambda: len(new_label(node, "atomic_action").results) == 1, "a single label")
    assert node.set("top_k", 3) == ""


def test_the_direction_of_a_label_is_told_for_tasks_with_pairs(node: Any) -> None:
    """These heads say the same whatever they see, also backwards: no direction of theirs is confirmed."""
    node.graph.wait_for(lambda: node.direction, "a direction")
    unknown, label = node.direction[-1].results
    assert (unknown.class_id, label.class_id) == ("unknown", "push")
    assert unknown.score == pytest.approx(1 - label.score) and 0 <= label.score < 0.5
    stamps = {nanoseconds_of(message.header.stamp) for message in node.labels["atomic_action"]}
    node.graph.wait_for(lambda: node.client.count("direction.unconfirmed"), "diagnostics")
    assert node.client.values["direction.confirmed"] == "0"
    stamps |= {nanoseconds_of(new_label(node, "atomic_action").header.stamp)}
    assert nanoseconds_of(node.direction[-2].header.stamp) in stamps
    assert not node.client.count_publishers(node.client.resolve_topic_name("perception/object/direction"))
    assert node.set("direction.max_rate", 0.0) == ""


def test_a_task_can_be_switched_off_and_on(node: Any) -> None:
    new_label(node, "object")
    node.graph.wait_for(lambda: stable_class(node), "the stable label")
    assert node.set("tasks", ["atomic_action"]) == ""
    node.graph.wait_for(lambda: not stable_class(node), "its label to be taken back")
    count = len(node.labels["object"])
    for _ in range(3):
        new_label(node, "atomic_action")
    assert len(node.labels["object"]) == count
    assert "tasks must be [all] or some of atomic_action, object, got [juggling]" in node.set(
        "tasks", ["juggling"]
    )
    assert node.set("tasks", ["all"]) == ""
    new_label(node, "object")


def test_a_head_is_added_while_the_others_go_on(node: Any, models: Any) -> None:
    folder = node.folder / "grip"
    make_head(
        folder, "grip", models.heads[0].parent / "backbone", seed=9, labels=("idle", "grasp", "release")
    )
    assert node.set("models", [*node.heads, str(folder)]) == ""
    infos = node.client.listen(LabelInfo, "perception/grip/labels", latched=True)
    new_label(node, "grip")
    node.graph.wait_for(lambda: infos, "the labels of the new task")
    assert [entry.class_name for entry in infos[-1].class_map] == ["idle", "grasp", "release"]
    node.graph.next_status()
    assert node.client.values["tasks"] == "atomic_action, object, grip"


def test_a_head_that_does_not_fit_changes_nothing_and_the_reason_names_both(node: Any, models: Any) -> None:
    reason = node.set("models", [node.heads[0], str(models.foreign_head)])
    assert "ours/backbone" in reason and "theirs/backbone" in reason
    assert "there is no folder" in node.set("models", [str(node.folder / "nowhere")])
    for task in ("atomic_action", "object", "grip"):
        new_label(node, task)


def test_models_that_lie_elsewhere_are_refused_with_what_to_do(node: Any, tmp_path: Any) -> None:
    for elsewhere in (str(tmp_path), "/etc", f"{node.folder}/../elsewhere", "evil/head"):
        reason = node.set("models", [node.heads[0], elsewhere])
        assert elsewhere in reason and str(node.folder) in reason and "model_roots" in reason
    assert "read-only" in node.set("model_roots", ["/"])
    assert "too long" in node.set("models", ["x" * 300])


def test_a_load_holds_up_no_other_request(node: Any, models: Any) -> None:
    """Of so many heads that it takes seconds, the last of which does not fit: then nothing changes."""
    config = (models.heads[0] / "config.json").read_text()
    many = [node.folder / f"many_{index}" for index in range(200)]
    for index, folder in enumerate(many):
        shutil.copytree(models.heads[0], folder)
        (folder / "config.json").write_text(config.replace("atomic_action", f"many_{index}"))
    client = node.client.create_client(SetParameters, "perception/set_parameters")
    node.graph.wait_for(client.service_is_ready, "the service")
    folders = [node.heads[0], *map(str, many), str(models.foreign_head)]
    parameter = Parameter("models", value=folders).to_parameter_msg()
    loading = client.call_async(SetParameters.Request(parameters=[parameter]))
    assert node.set("top_k", 2) == "" and node.set("max_held", 3) == ""
    answer = node.graph.call(GetParameters, "get_parameters", GetParameters.Request(names=["top_k"]))
    assert answer.values[0].integer_value == 2
    assert "loading other models; set it again" in node.set("models", node.heads)
    assert not loading.done()
    node.graph.wait_for(lambda: len(new_label(node, "object").results) == 2, "two labels")
    node.graph.wait_for(loading.done, "the answer")
    (result,) = loading.result().results
    assert not result.successful and "theirs/backbone" in result.reason
    assert node.set("top_k", 3) == "" and node.set("max_held", -1) == ""
    assert node.set("models", node.heads) == ""


@pytest.mark.parametrize("name", ["models", "annotated_image.attention", "engine"])
def test_no_text_makes_a_parameter_large(node: Any, name: str) -> None:
    text = "x" * 2_000_000
    reason = node.set(name, [text] if name == "models" else text)
    assert f"{name} must have at most 256 texts of at most 4096 characters" in reason
    assert len(reason) < 1000


def test_a_head_is_replaced(node: Any, models: Any) -> None:
    other = node.folder / "other_object"
    make_head(other, "object", models.heads[0].parent / "backbone", seed=5, sure_of="box")
    assert node.set("models", [node.heads[0], str(other)]) == ""
    node.graph.wait_for(
        lambda: new_label(node, "object").results[0].class_id == "box", "the new head's label"
    )
    topic = node.client.resolve_topic_name("perception/grip")
    node.graph.wait_for(lambda: not node.client.count_publishers(topic), "the removed task's topic to go")
    assert node.set("models", node.heads) == ""
    node.graph.wait_for(
        lambda: new_label(node, "object").results[0].class_id == "cup", "the old head's label"
    )


def test_the_log_and_diagnostics_have_the_digests_of_the_models_from_the_start_and_after_each_change(
    node: Any, models: Any
) -> None:
    backbone = Backbone.from_pretrained(models.heads[0].parent / "backbone").identity.sha256
    action, cup = (Head.from_pretrained(head).sha256 for head in models.heads)
    other = make_head(
        node.folder / "noted_object", "object", models.heads[0].parent / "backbone", seed=5, sure_of="box"
    )
    first, *_ = re.findall(r"models from here on, by SHA-256: (.+)", node.process.output)
    assert first == f"atomic_action {action}, object {cup}, backbone {backbone}"
    assert node.set("models", [node.heads[0], str(other)]) == ""
    expected = f"atomic_action {action}, object {Head.from_pretrained(other).sha256}, backbone {backbone}"
    node.graph.wait_for(lambda: expected in node.process.output, "the log")
    node.graph.wait_for(lambda: node.client.values["models_sha256"] == expected, "diagnostics")
    before = node.process.output.count(first)
    assert node.set("models", node.heads) == ""
    node.graph.wait_for(lambda: node.process.output.count(first) > before, "the log")


def test_a_label_that_is_not_sure_enough_is_unknown(node: Any, models: Any) -> None:
    strict = node.folder / "strict_object"
    make_head(strict, "object", models.heads[0].parent / "backbone", seed=2, rejection_threshold=0.9999)
    assert node.set("models", [node.heads[0], str(strict)]) == ""
    node.graph.wait_for(
        lambda: new_label(node, "object").results[0].class_id == "unknown", "a label that is rejected"
    )
    unknown, best, *_ = node.labels["object"][-1].results
    assert best.class_id == "cup" and unknown.score == pytest.approx(1 - best.score)
    node.graph.wait_for(lambda: stable_class(node) == "unknown", "the stable label")
    assert node.set("models", node.heads) == ""
    node.graph.wait_for(lambda: stable_class(node) == "cup", "the stable label")


def test_the_rate_and_the_window_change(node: Any) -> None:
    assert node.set("max_update_rate", 2.0) == ""
    new_label(node, "object")
    first, second, third = (nanoseconds_of(new_label(node, "object").header.stamp) for _ in range(3))
    assert second - first >= 490_000_000 and third - second >= 490_000_000
    assert node.set("max_update_rate", 0.0) == ""
    assert node.set("window_seconds", 1.6) == ""  # a step of 0.2 s
    new_label(node, "object")
    first, second = (nanoseconds_of(new_label(node, "object").header.stamp) for _ in range(2))
    assert second - first >= 100_000_000
    assert node.set("window_seconds", 0.0) == ""
    assert node.set("max_held", 2) == "" and node.set("max_held", -1) == ""
    assert "max_held must be from -1 to T - 1 = 7, got 99" in node.set("max_held", 99)
    new_label(node, "object")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("engine", "onnxruntime", ["engine takes effect when", "it is active", "deactivate"]),
        ("cameras", ["front"], ["cameras takes effect when"]),
        ("diagnostics.period", 2.0, ["read-only"]),
        ("engine", "steam", ["engine must be one of auto"]),
        ("filter.threshold", 1.5, ["filter.threshold"]),
        ("top_k", "many", ["Wrong parameter type"]),
    ],
)
def test_what_cannot_change_now_is_refused_with_the_reason(
    node: Any, name: str, value: Any, words: list[str]
) -> None:
    reason = node.set(name, value)
    for word in words:
        assert word in reason


def test_a_subscriber_that_cannot_hear_is_told_what_to_set(node: Any) -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.client.listen(Classification, "perception/object", qos=latched)
    words = "DURABILITY: a subscriber asks for transient_local messages"
    node.graph.wait_for(lambda: words in node.client.values["qos_trouble"], "the report")
    node.graph.wait_for(
        lambda: (
            words in node.client.statuses[-1].message
            and node.client.statuses[-1].level == DiagnosticStatus.WARN
        ),
        "the warning",
    )


def test_the_advice_is_withdrawn_when_that_subscriber_is_gone(node: Any) -> None:
    (deaf,) = [each for each in node.client.subscriptions if _asks_latched(each, "perception/object")]
    node.client.destroy_subscription(deaf)
    node.graph.wait_for(
        lambda: node.client.values["qos_trouble"] == "" and "QoS" not in node.client.statuses[-1].message,
        "the advice to be withdrawn",
    )
    assert node.client.count("incompatible_qos") == 1


def _asks_latched(subscription: Any, topic: str) -> bool:
    latched = subscription.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return latched and subscription.topic_name.endswith(topic)


def test_every_frame_is_accounted_for(node: Any) -> None:
    node.film.running = False
    values = node.graph.settled_values()
    fates = ["encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting"]
    fates += [name for name in values if name.startswith("dropped.")]
    assert int(values["received"]) == sum(int(values[name]) for name in fates)
