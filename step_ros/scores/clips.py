"""How well a head does clip by clip, in the STEP paper's terms: symmetric, other, and played backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error


@dataclass(frozen=True)
class ClipMetrics:
    """Shares in [0, 1] over test clips; None where there is nothing to count."""

    clips: int
    """How many were judged."""
    top1: float
    """Right (table I, overall)."""
    top5: float
    """Right among the five likeliest."""
    mean_class: float
    """Mean over classes of each class's own top1."""
    symmetric: float | None
    """top1 over clips of nearly symmetric classes (table I, Sym)."""
    non_symmetric: float | None
    """top1 over the others (table I, N-Sym)."""
    pair_accuracy: float | None
    """Of the symmetric clips, those whose class is likelier than its partner: the choice between the two."""
    reversed_top1: float
    """top1 against the unchanged label when clips run backwards (table II)."""
    reversed_to_partner: float | None
    """Of the symmetric clips that are right forwards, those whose reverse is called the partner class."""
    direction_accuracy: float | None
    """Forward against reversed, over clips in both directions; of a head for the task `direction` only."""
    calibration_error: float
    """Expected calibration error (Guo et al., 2017): how far confidence is from accuracy, in 15 bins."""

    def to_json(self) -> dict[str, float | int | None]:
        """The metrics as a JSON object."""
        return asdict(self)


def clip_metrics(
    logits: Tensor,
    reversed_logits: Tensor,
    targets: Tensor,
    labels: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    temperature: float = 1.0,
    direction: bool = False,
) -> ClipMetrics:
    """Judge a head's answers.

    Args:
        logits: (N, K) of clips.
        reversed_logits: (N, K) of the same clips played backwards.
        targets: (N,) indices of the true labels.
        labels: the K labels.
        pairs: nearly symmetric pairs of labels.
        temperature: of the head, for its confidence.
        direction: whether the labels say which way a clip runs, so that each has its partner's backwards.

    Raises:
        ValueError: there are no clips.
    """
    if len(targets) == 0:
        raise ValueError("there are no clips to judge")
    partner = partner_indices(labels, pairs)
    right = logits.argmax(-1) == targets
    turned = reversed_logits.argmax(-1)
    symmetric = partner[targets] >= 0
    answers = right & symmetric
    classes = len(labels)
    present = torch.bincount(targets, minlength=classes) > 0
    by_class = multiclass_accuracy(logits, targets, classes, average=None)
    own = logits[symmetric].gather(1, targets[symmetric, None])
    other = logits[symmetric].gather(1, partner[targets[symmetric], None])
    probabilities = torch.softmax(logits / temperature, dim=-1)
    both_ways = torch.cat([right, turned == partner[targets]]) if direction else right[:0]
    return ClipMetrics(
        clips=len(targets),
        top1=_share(right) or 0.0,
        top5=float(multiclass_accuracy(logits, targets, classes, top_k=min(5, classes), average="micro")),
        mean_class=float(by_class[present].mean()),
        symmetric=_share(right[symmetric]),
        non_symmetric=_share(right[~symmetric]),
        pair_accuracy=_share((own > other)[:, 0]),
        reversed_top1=_share(turned == targets) or 0.0,
        reversed_to_partner=_share(turned[answers] == partner[targets[answers]]),
        direction_accuracy=_share(both_ways),
        calibration_error=float(multiclass_calibration_error(probabilities, targets, classes, n_bins=15)),
    )


def partner_indices(labels: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Tensor:
    """Of each of K labels the index of its partner (K,), or -1."""
    index = {label: i for i, label in enumerate(labels)}
    partner = torch.full((len(labels),), -1)
    for a, b in pairs:
        partner[index[a]], partner[index[b]] = index[b], index[a]
    return partner


def _share(hits: Tensor) -> float | None:
    return float(hits.float().mean()) if len(hits) else None
