"""How well a head does clip by clip, in the STEP paper's terms: symmetric, other, and played backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy


@dataclass(frozen=True)
class ClipMetrics:
    """Shares in [0, 1] over test clips; None where there is nothing to count.

    Attributes:
        clips: how many were judged.
        top1: right (Table I, overall).
        top5: right among the five likeliest.
        mean_class: mean over classes of each class's own top1.
        symmetric: top1 over clips of nearly symmetric classes (Table I, Sym).
        non_symmetric: top1 over the others (Table I, N-Sym).
        reversed_top1: top1 against the unchanged label when clips run backwards (Table II).
        reversed_to_partner: of the symmetric clips that are right forwards, those whose reverse is called the
            partner class.
    """

    clips: int
    top1: float
    top5: float
    mean_class: float
    symmetric: float | None
    non_symmetric: float | None
    reversed_top1: float
    reversed_to_partner: float | None

    def to_json(self) -> dict[str, float | int | None]:
        """The metrics as a JSON object."""
        return asdict(self)


def clip_metrics(
    logits: Tensor,
    reversed_logits: Tensor,
    targets: Tensor,
    labels: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> ClipMetrics:
    """Judge a head's answers.

    Args:
        logits: (N, K) of clips.
        reversed_logits: (N, K) of the same clips played backwards.
        targets: (N,) indices of the true labels.
        labels: the K labels.
        pairs: nearly symmetric pairs of labels.

    Raises:
        ValueError: there are no clips.
    """
    if len(targets) == 0:
        raise ValueError("there are no clips to judge")
    index = {label: i for i, label in enumerate(labels)}
    partner = torch.full((len(labels),), -1)
    for a, b in pairs:
        partner[index[a]], partner[index[b]] = index[b], index[a]
    right = logits.argmax(-1) == targets
    turned = reversed_logits.argmax(-1)
    symmetric = partner[targets] >= 0
    answers = right & symmetric
    classes = len(labels)
    present = torch.bincount(targets, minlength=classes) > 0
    by_class = multiclass_accuracy(logits, targets, classes, average=None)
    return ClipMetrics(
        clips=len(targets),
        top1=_share(right) or 0.0,
        top5=float(multiclass_accuracy(logits, targets, classes, top_k=min(5, classes), average="micro")),
        mean_class=float(by_class[present].mean()),
        symmetric=_share(right[symmetric]),
        non_symmetric=_share(right[~symmetric]),
        reversed_top1=_share(turned == targets) or 0.0,
        reversed_to_partner=_share(turned[answers] == partner[targets[answers]]),
    )


def _share(hits: Tensor) -> float | None:
    return float(hits.float().mean()) if len(hits) else None
