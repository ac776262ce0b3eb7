"""Whether the backbone is adapted while heads are fitted, and how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AdapterOptions:
    """An adapter to train with the heads, on a store of pixels (`step-ros extract --pixels`)."""

    kind: str = ""
    """vpt_shallow, vpt_deep, adaptformer, st_adapter, m2_clip or vita_clip; empty adapts nothing."""
    size: int | None = None
    """Prompts (VPT, Vita-CLIP) or channels of the bottleneck (the others); as published by default."""
    text: str = ""
    """Folder or hub name of the CLIP whose text tower reads the class names: m2_clip and vita_clip then learn
    of these, too; empty for images alone."""
    learning_rate: float = 5e-4
    """AdamW's, at its peak, of the adapter, and of heads that have learned alone before."""
    head_steps: int = 300
    """Steps in which the heads first learn on the backbone as it is: an adapter that starts beside heads of
    random weights learns to please those (Kumar et al., ICLR 2022). 0 trains all together from the start."""
    checkpointing: bool = True
    """Whether blocks are computed again on the way back: far less memory, about a third more time."""

    def __post_init__(self) -> None:
        """Check the steps; which kinds there are, `fit` is told."""
        if self.head_steps < 0:
            raise ValueError(f"head_steps must be at least 0, got {self.head_steps}")
