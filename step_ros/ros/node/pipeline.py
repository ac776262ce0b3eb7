"""What `configure` makes and `cleanup` takes away: models, engine, worker and cameras."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from step_ros.perception import EngineKeeper, Perceiver, PerceptionWorker
from step_ros.perception.camera_names import camera_names, check_unlike_tasks
from step_ros.perception.loading import chosen_tasks, load_heads, load_perceiver
from step_ros.probes import Head, HeadError
from step_ros.ros.node.camera import Camera, configs_of
from step_ros.ros.node.outputs import ALIVE_TOPIC
from step_ros.ros.node.parameters import value_of

CLOSING_SECONDS = 5.0
"""How long `close` waits for threads that are at work."""


class Pipeline:
    """Everything that is there while the node is configured.

    Args:
        node: whose pipeline it is; all of its parameters are declared.
        callback_groups: makes a callback group for each camera's images.
        progress: called with what is being done.

    Raises:
        HeadError, BackboneError, EngineError, ValueError: the models cannot be had or do not fit each other.
    """

    def __init__(
        self,
        node: Node,
        callback_groups: Callable[[], CallbackGroup],
        progress: Callable[[str], None],
    ) -> None:
        self._node = node
        names = camera_names(value_of(node, "cameras"))
        models = value_of(node, "models")
        progress(f"loading {', '.join(models)}")
        if value_of(node, "num_threads"):
            torch.set_num_threads(value_of(node, "num_threads"))
        first = load_perceiver(
            models,
            backbone=value_of(node, "backbone") or None,
            device=value_of(node, "device"),
            engine=value_of(node, "engine"),
            heads_memory_mb=0,  # each camera's own heads stream, not these
        )
        self.backbone = first.backbone
        self._heads = first.heads  # those that are off among them
        heads = chosen_heads(self._heads, value_of(node, "tasks"))
        check_unlike_tasks(names, heads)
        window_seconds = value_of(node, "window_seconds") or None
        self.perceivers = {
            name: Perceiver(
                self.backbone,
                heads,
                max_held=max_held_of(node),
                window_seconds=window_seconds,
                heads_mode=value_of(node, "heads_mode"),
                heads_memory_mb=value_of(node, "heads_memory_mb"),
            )
            for name in names
        }
        progress("warming up")
        for perceiver in self.perceivers.values():
            perceiver.warm_up(batch=len(names))
        self.keeper = EngineKeeper(self.backbone)
        self.worker = PerceptionWorker(
            self.perceivers,
            lambda camera, perception: self.cameras[camera].publish(perception),
            queue_size=value_of(node, "queue_size"),
            keeper=self.keeper,
            hang_seconds=value_of(node, "watchdog.timeout"),
        )
        self.worker.max_update_rate = value_of(node, "max_update_rate")
        self.cameras: dict[str, Camera] = {}
        try:
            for name, perceiver in self.perceivers.items():
                group = callback_groups()
                self.cameras[name] = Camera(node, name, perceiver, self.worker, self.keeper, group)
        except Exception:
            self.close()
            raise
        self._note_models(heads)

    @property
    def tasks(self) -> list[str]:
        """The tasks that are answered now."""
        return list(next(iter(self.perceivers.values())).heads)

    def facts(self) -> dict[str, str]:
        """What runs on what, for diagnostics."""
        device, engine = self.backbone.device, self.backbone.engine
        streaming = next(iter(self.perceivers.values()))
        return {
            "engine": engine.name,
            "engine_precision": engine.precision,
            "engines_refused": "; ".join(f"{name}: {cause}" for name, cause in engine.refused.items()),
            "engine_replacements": str(self.keeper.replacements),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
            "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
            "backbone": str(self.backbone.identity),
            "models_sha256": self._digests,
            "tasks": ", ".join(self.tasks),
            "tasks_streaming": ", ".join(streaming.streaming_tasks),
            "streaming_memory_mb": f"{streaming.streaming_memory_mb:.1f}",
            "window_frames": str(streaming.clip.num_frames),
            "window_seconds": f"{streaming.clip.window_seconds:.9g}",
            "cameras": ", ".join(filter(None, self.cameras)),
            "image_transport": value_of(self._node, "image_transport"),
        }

    def apply(self, values: Mapping[str, Any]) -> None:
        """Take new values of parameters over, all or none.

        Raises:
            HeadError, ValueError: they do not fit; nothing has changed.
        """
        clip = next(iter(self.perceivers.values())).clip
        if "max_held" in values and values["max_held"] >= clip.num_frames:
            raise ValueError(
                f"max_held must be from -1 to T - 1 = {clip.num_frames - 1}, got {values['max_held']}"
            )
        if {"models", "tasks", "window_seconds"} & set(values):
            self._replace_heads(values)
        if "max_held" in values:
            held = values["max_held"]
            self.worker.call(lambda: self._set_max_held(None if held < 0 else held))
        if "max_update_rate" in values:
            self.worker.max_update_rate = values["max_update_rate"]
        if "watchdog.timeout" in values:
            self.worker.hang_seconds = values["watchdog.timeout"]

    def reset(self) -> None:
        """Forget all images; labels come again when the windows are full."""
        self.worker.reset()
        for camera in self.cameras.values():
            camera.reset()

    def close(self) -> bool:
        """Take everything away; returns whether all threads ended, or one still works in what is gone."""
        ended = [camera.close(CLOSING_SECONDS) for camera in self.cameras.values()]
        ended.append(self.worker.close(CLOSING_SECONDS))
        self.cameras.clear()
        self.perceivers.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return all(ended)

    def _replace_heads(self, values: Mapping[str, Any]) -> None:
        """Load and check, while those of now go on; then change over between two updates."""
        heads: Mapping[str, Head] = self._heads
        if "models" in values:
            heads = load_heads(values["models"], device=self.backbone.device)
        tasks = values.get("tasks", value_of(self._node, "tasks"))
        seconds = values.get("window_seconds", value_of(self._node, "window_seconds")) or None
        chosen = chosen_heads(heads, tasks)
        prepared = {}
        for name, perceiver in self.perceivers.items():
            kept = self.worker.call(perceiver.kept)
            prepared[name] = perceiver.prepare(chosen, window_seconds=seconds, kept=kept)
        # Topics first: the first answer of a new head must find them.
        before = {task: config for task, config in self._configs().items()}
        configs = {task: head.config for task, head in chosen.items()}
        for camera in self.cameras.values():
            camera.set_heads({**before, **configs})
        self.worker.adopt(prepared)
        for camera in self.cameras.values():
            camera.set_heads(configs)
        self._heads = dict(heads)
        self._note_models(chosen)

    def _note_models(self, heads: Mapping[str, Head]) -> None:
        """Put on record which models answer from here on, for who has to find out later."""
        digests = {
            **{task: head.sha256 for task, head in heads.items()},
            "backbone": self.backbone.identity.sha256,
        }
        self._digests = ", ".join(f"{name} {digest}" for name, digest in digests.items())
        self._node.get_logger().info(f"the models from here on, by SHA-256: {self._digests}")

    def _configs(self) -> dict[str, Any]:
        return configs_of(next(iter(self.perceivers.values())))

    def _set_max_held(self, value: int | None) -> None:
        for perceiver in self.perceivers.values():
            perceiver.max_held = value


def max_held_of(node: Node) -> int | None:
    """The parameter `max_held` as `TokenWindow` has it."""
    value = value_of(node, "max_held")
    return None if value < 0 else value


def chosen_heads(heads: Mapping[str, Head], tasks: Sequence[str]) -> dict[str, Head]:
    """The heads whose tasks are on.

    Raises:
        HeadError: there is no head for a task, no task is on, or one has the name of a topic of the node's.
    """
    chosen = chosen_tasks(heads, tasks)
    if ALIVE_TOPIC in chosen:
        raise HeadError(
            f"a task must not be named {ALIVE_TOPIC}: ~/{ALIVE_TOPIC} is the node's own; rename it"
        )
    return chosen
