"""A replay follows the node's parameters, or says of which it cannot."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from step_ros.frames import BagError
from step_ros.probes import HeadError
from step_ros.runs.parameters import BY_NAME, PARAMETERS
from step_ros.runs.replay import Replay, choose_image_topics
from step_ros.runs.settings import NO_PART, SettingsError, read_settings

from ..moving_square import CAMERA, write_recording


def every_node(folder: Path, content: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"/**:\n  ros__parameters: {{{content}}}\n")
    return path


def test_every_parameter_is_followed_or_has_no_part() -> None:
    followed = read_settings().to_json()
    assert followed.keys().isdisjoint(NO_PART)
    assert followed.keys() | NO_PART.keys() == BY_NAME.keys()
    assert followed == {name: BY_NAME[name].default for name in followed}


def test_what_is_read_can_be_written_and_read_again(tmp_path: Path) -> None:
    path = every_node(tmp_path, "tasks: [object], filter.threshold: 7e-1, direction: {max_rate: 0.0}")
    settings = read_settings(path)
    assert read_settings(**settings.to_json()) == settings
    assert settings.tasks == ("object",)
    assert (settings.filter.threshold, settings.direction_max_rate) == (0.7, 0.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("top_k: many", "top_k must be of type int, got 'many'"),
        ("top_k: 3.0", "top_k must be of type int, got 3.0"),
        ("filter.threshold: 1", "filter.threshold must be of type float, got 1; write 1.0"),
        ("filter.threshold: yes", "filter.threshold must be of type float, got True"),
        ("filter.threshold: 1.5", "filter.threshold must be from 0.0 to 1.0, got 1.5"),
        ("filter.threshold: .nan", "filter.threshold must be from 0.0 to 1.0, got nan"),
        ("heads_mode: slow", "heads_mode must be one of fast, float32, got 'slow'"),
        ("tasks: object", "tasks must be of type list, got 'object'"),
        ("models: [1, 2]", r"models must be a list of texts, got \[1, 2\]"),
        ("device: 0", "device must be of type str, got 0"),
        ("use_sim_time: 1", "use_sim_time must be of type bool, got 1"),
        ("queue_size: 0", "queue_size must be from 1 to 1000, got 0"),
        ("cameras: [front, front]", r"cameras must have names of their own, got \[front, front\]"),
        (
            "cameras: [front], front: {image_transport: smoke}",
            "front.image_transport must be one of raw, compressed",
        ),
        ("cameras: [a/b]", "cameras must be names of letters"),
    ],
)
def test_what_the_node_refuses_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"mine.yaml: {message}"):
        read_settings(every_node(tmp_path, content))


def test_what_cannot_be_followed_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mine.yaml: a replay cannot follow staleness.max_age: 0.2; "):
        read_settings(every_node(tmp_path, "staleness: {max_age: 0.2}"))


@pytest.mark.parametrize(
    "content",
    [
        *(f"staleness.max_age: {seconds}" for seconds in (0.0, 1.0, 30.0)),
        "autostart: false, num_threads: 1, image_reliability: best_effort, watchdog.timeout: 1.0",
        "image_queue_size: 1000, queue_size: 1, diagnostics: {period: 0.1, latency_warning: 50.0}",
        "annotated_image: {max_rate: 1.0, max_width: 64, attention: object, jpeg_quality: 1}",
    ],
)
def test_what_changes_no_label_is_taken(tmp_path: Path, content: str) -> None:
    assert read_settings(every_node(tmp_path, content)) == read_settings()


def test_a_misspelt_parameter_is_named_with_the_one_that_was_meant(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = every_node(
        tmp_path, "filter: {on_second: 1.0}, use_sim_time: true, qos_overrides: {a: 1}, xyzzy: 1"
    )
    with caplog.at_level(logging.WARNING):
        read_settings(path)
    (message,) = caplog.messages
    assert "filter.on_second (did you mean filter.on_seconds?), xyzzy" in message
    assert "use_sim_time" not in message and "qos_overrides" not in message


def test_of_several_nodes_one_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "/**:\n  ros__parameters: {top_k: 1, max_held: 2}\n"
        "left:\n  perception:\n    ros__parameters: {top_k: 2}\n"
        "/*/perception:\n  ros__parameters: {max_held: 3}\n"
    )
    assert (read_settings(path).node, read_settings(path).top_k) == ("/left/perception", 2)
    path.write_text(path.read_text() + "/right/perception:\n  ros__parameters: {top_k: 4}\n")
    with pytest.raises(SettingsError, match="one of them with --node: /left/perception, /right/perception"):
        read_settings(path)
    said = {
        node: (settings.top_k, settings.max_held)
        for node in ("/left/perception", "right/perception", "/a/b/perception", "/perception")
        for settings in [read_settings(path, node=node)]
    }
    assert list(said.values()) == [(2, 3), (4, 3), (1, 2), (1, 2)]


def test_the_ends_of_a_range_belong_to_it() -> None:
    for spec in PARAMETERS:
        for end in spec.within[:2] if spec.within else ():
            spec.check(type(spec.default)(end))  # type: ignore[arg-type]  # of a number


class TestFollowed:
    """What a parameter does to a replay; that the node does the same is test_replay_agrees' business."""

    @pytest.fixture
    def given(self, models: dict[str, Path]) -> dict[str, Any]:
        return {"models": [str(folder) for folder in models.values()], "engine": "eager", "device": "cpu"}

    def test_tasks(self, recording: Path, given: dict[str, Any]) -> None:
        settings = read_settings(**given, tasks=["object"])
        moments = list(Replay(recording, CAMERA, settings.load(), settings))
        assert {task for moment in moments for task in moment.update.probabilities} == {"object"}
        with pytest.raises(HeadError, match=r"some of motion, object, got \[objekt\]"):
            read_settings(**given, tasks=["objekt"]).load()

    def test_window_seconds(self, recording: Path, given: dict[str, Any]) -> None:
        settings = read_settings(**given, window_seconds=1.6)
        perceiver = settings.load()
        assert perceiver.clip.window_seconds == 1.6
        first = next(iter(Replay(recording, CAMERA, perceiver, settings))).update
        assert first.window_start_ns is not None and first.stamp_ns - first.window_start_ns > 1.3e9

    def test_max_update_rate(self, recording: Path, given: dict[str, Any]) -> None:
        settings = read_settings(**given, max_update_rate=2.0)
        stamps = [m.update.stamp_ns for m in Replay(recording, CAMERA, settings.load(), settings)]
        steps = [after - before for before, after in zip(stamps, stamps[1:], strict=False)]
        assert len(steps) > 5 and min(steps) >= 0.99 * 0.5e9

    def test_direction(self, recording: Path, given: dict[str, Any]) -> None:
        settings = read_settings(**given, **{"direction.max_rate": 5.0})
        perceiver = settings.load()
        checked = [m.update.directions for m in Replay(recording, CAMERA, perceiver, settings)]
        assert {direction.task for directions in checked for direction in directions} == {"motion"}
        settings = read_settings(**given, **{"direction.max_rate": 0.0})
        assert not any(m.update.directions for m in Replay(recording, CAMERA, perceiver, settings))

    def test_stable_labels_are_taken_back_when_none_has_come_for_too_long(
        self, recording: Path, given: dict[str, Any]
    ) -> None:
        settings = read_settings(**given, max_update_rate=1.0, **{"staleness.timeout": 0.5})
        perceiver = settings.load()
        first, *others = Replay(recording, CAMERA, perceiver, settings)
        assert all(announcement.results for announcement in first.announcements)
        log_time_ns = first.update.log_time_ns
        for moment in others:
            taken_back = [a for a in moment.announcements if not a.results]
            assert [a.task for a in taken_back] == ["motion", "object"]
            assert {a.stamp_ns for a in taken_back} == {log_time_ns + 500_000_000}
            assert moment.announcements[:2] == taken_back
            log_time_ns = moment.update.log_time_ns
        settings = read_settings(**given, max_update_rate=1.0, **{"staleness.timeout": 5.0})
        assert all(a.results for m in Replay(recording, CAMERA, perceiver, settings) for a in m.announcements)

    def test_cameras(self, tmp_path: Path, given: dict[str, Any]) -> None:
        image = "sensor_msgs/msg/Image"
        names = ("/front/image", "/robot/wrist/image", "/wrist/image")
        bag = write_recording(tmp_path / "two", seconds=0.5, images=dict.fromkeys(names, image))
        settings = read_settings(**given, cameras=["front", "wrist"])

        def chosen(*wanted: str, settings: Any = settings) -> list[tuple[str, str]]:
            return [(topic.camera, topic.name) for topic in choose_image_topics(bag, wanted, settings)]

        assert chosen() == [("front", "/front/image"), ("wrist", "/wrist/image")]
        assert chosen("/robot/wrist/image", "/front/image") == [
            ("front", "/robot/wrist/image"),
            ("wrist", "/front/image"),
        ]
        with pytest.raises(BagError, match="cameras are front, wrist: name one topic for each"):
            chosen("/front/image")
        with pytest.raises(BagError, match="no images on /robot/front/image; with --image-topics"):
            chosen(settings=read_settings(**given, node="/robot/perception", cameras=["front", "wrist"]))
        own = read_settings(**given, cameras=["front", "wrist"], **{"wrist.image_transport": "compressed"})
        assert own.camera_transports == ("raw", "compressed") and read_settings(**own.to_json()) == own
        with pytest.raises(BagError, match="no images on /wrist/image/compressed"):
            chosen(settings=own)
        with pytest.raises(ValueError, match="must not be named like a task, and object is"):
            read_settings(**given, cameras=["front", "object"]).load()
