"""What a head says of windows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from step_ros.probes import Head
from step_ros.training.targets import label_of
from step_ros.training.window_tokens import TokenSource
from step_ros.training.windows import Window


@torch.no_grad()
def window_logits(
    head: Head, windows: Sequence[Window], tokens_of: TokenSource, batch: int = 16
) -> tuple[Tensor, Tensor]:
    """Logits (N, K) of windows that have a label of the head's task, and the indices (N,) of their labels."""
    index = {label: i for i, label in enumerate(head.config.labels)}
    labelled = [(w, label_of(w, head.config.task)) for w in windows]
    known = [(w, index[label]) for w, label in labelled if label in index]
    parts = [
        head(tokens_of([w for w, _ in known[i : i + batch]]).to(head.device).float()).float().cpu()
        for i in range(0, len(known), batch)
    ]
    logits = torch.cat(parts) if parts else torch.zeros(0, len(index))
    return logits, torch.tensor([target for _, target in known], dtype=torch.long)
