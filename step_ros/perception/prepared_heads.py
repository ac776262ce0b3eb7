"""Heads that are made ready in one thread and take over in another, as if they had always been there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.perception.window_pass import WindowPass
from step_ros.probes import Head, HeadError, StreamingHeads


@dataclass(frozen=True)
class PreparedHeads:
    """Heads that are ready to take a perceiver over; see `Perceiver.prepare`."""

    heads: dict[str, Head]
    """By task."""
    clip: ClipSpec
    """The window that they see."""
    streaming: StreamingHeads
    """With what was in the window when they were prepared."""
    newest_index: int | None
    """Grid index of the newest tokens that they have seen."""

    def catch_up(self, window: WindowPass) -> StreamingHeads:
        """The streaming form, once it has seen what has come into the window since it was prepared."""
        streaming, kept = self.streaming, window.tokens.kept()
        streaming.longest_gap = window.max_held
        missing = kept
        if self.newest_index is not None and kept and self.newest_index >= kept[0][0] - 1:
            missing = [(index, tokens) for index, tokens in kept if index > self.newest_index]
            if not missing and kept[-1][0] != self.newest_index:  # it began anew, earlier in time
                missing = kept
        if missing is kept:
            streaming.reset()
        for grid_index, tokens in missing:
            streaming.push(grid_index, tokens)
        return streaming


def common_window(
    heads: Mapping[str, Head], backbone: BackboneIdentity, window_seconds: float | None
) -> ClipSpec:
    """The window that all heads see, once it is sure that they fit each other and the backbone.

    Args:
        heads: by task.
        backbone: what they will read the tokens of.
        window_seconds: the time that the window spans; None is what the heads were trained on.

    Raises:
        HeadError: they do not fit, or there are none.
        ValueError: `window_seconds` makes no sense with their T.
    """
    if not heads:
        raise HeadError("a perceiver needs at least one head")
    first, *others = heads.items()
    for task, head in heads.items():
        if head.config.task != task:
            raise HeadError(f"the head given for task {task!r} answers {head.config.task!r}")
    for task, head in others:
        if head.config.clip != first[1].config.clip:
            raise HeadError(
                f"all heads must see the same window, but {first[0]!r} has {first[1].config.clip} "
                f"and {task!r} has {head.config.clip}"
            )
    for head in heads.values():
        head.check_backbone(backbone)
        head.eval()
    clip = first[1].config.clip
    return clip if window_seconds is None else replace(clip, window_seconds=window_seconds)
