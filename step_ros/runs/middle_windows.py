"""Judges a replay clip by clip as well: the middle window of each true segment, forwards and backwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from step_ros.perception import Perceiver, Perception
from step_ros.scores.clips import ClipScores, evaluate
from step_ros.scores.timeline import Segment, TruthTimeline


@dataclass
class _Answers:
    """What a head said of its clips."""

    waiting: list[Segment]
    logits: list[Tensor] = field(default_factory=list)
    reversed_logits: list[Tensor] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)


class MiddleWindows:
    """Looks at the window in the middle of each segment that is at least as long as a window.

    Args:
        perceiver: whose windows they are.
        truth: by task.
        end_ns: when the last segment ends.
    """

    def __init__(self, perceiver: Perceiver, truth: Mapping[str, TruthTimeline], end_ns: int) -> None:
        self._perceiver = perceiver
        self._answers = {
            task: _Answers(
                [
                    segment
                    for segment in timeline.segments(end_ns)
                    if segment.end_ns - segment.start_ns >= perceiver.clip.window_ns
                    and segment.label in perceiver.heads[task].config.labels
                ]
            )
            for task, timeline in truth.items()
        }

    def look(self, perception: Perception) -> None:
        """Take the window that has just been perceived, if it is the middle one of a segment."""
        clip = self._perceiver.clip
        middle_ns = perception.window_start_ns + (clip.num_frames - 1) * clip.step_ns // 2
        tokens: Tensor | None = None
        for task, answers in self._answers.items():
            while answers.waiting and _middle(answers.waiting[0]) <= middle_ns:
                segment = answers.waiting.pop(0)
                if middle_ns - _middle(segment) >= clip.step_ns:
                    continue  # a gap in the images lies there
                tokens = self._perceiver.window_tokens() if tokens is None else tokens
                if tokens is not None:
                    self._judge(answers, task, segment.label, tokens)

    def metrics(self) -> dict[str, ClipScores]:
        """By task, of those that have any clip."""
        return {
            task: evaluate(
                torch.stack(answers.logits).numpy(),
                torch.stack(answers.reversed_logits).numpy(),
                np.array(answers.targets),
                self._perceiver.heads[task].config.labels,
                self._perceiver.heads[task].config.symmetric_pairs,
            )
            for task, answers in self._answers.items()
            if answers.targets
        }

    def said(self) -> dict[str, list[tuple[str, str, str]]]:
        """By task, of each clip: the true label, what is said forwards, and what is said backwards."""
        return {
            task: [
                (labels[target], labels[int(ahead.argmax())], labels[int(back.argmax())])
                for target, ahead, back in zip(
                    answers.targets, answers.logits, answers.reversed_logits, strict=True
                )
            ]
            for task, answers in self._answers.items()
            for labels in [self._perceiver.heads[task].config.labels]
        }

    @torch.inference_mode()
    def _judge(self, answers: _Answers, task: str, label: str, tokens: Tensor) -> None:
        head = self._perceiver.heads[task]
        # One after the other: what forwards is said must not depend on what lies beside it in a batch.
        forwards = head(tokens[None])[0].float().cpu()
        backwards = head(tokens.flip(0)[None])[0].float().cpu()
        if not bool(torch.isfinite(forwards).all() and torch.isfinite(backwards).all()):
            return  # that says no label
        answers.logits.append(forwards)
        answers.reversed_logits.append(backwards)
        answers.targets.append(head.config.labels.index(label))


def _middle(segment: Segment) -> int:
    return (segment.start_ns + segment.end_ns) // 2
