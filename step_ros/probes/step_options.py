"""What can be changed about STEP: the rows of the paper's tables VI to X, by name."""

from __future__ import annotations

from dataclasses import dataclass

POSITIONS = ("learnable", "fixed", "hybrid", "none")
POSITION_UNITS = ("frame", "token")
BLOCKS = ("attention", "residual", "feed_forward")
POOLED = ("all", "cls", "patches")


@dataclass(frozen=True)
class StepOptions:
    """What STEP is made of; the defaults are STEP itself.

    Raises:
        ValueError: an option is unknown, or two contradict each other.
    """

    position: str = "learnable"
    """Temporal embeddings (table VIII): "learnable", "fixed" (sinusoidal), "hybrid" (their sum) or "none"
    (table X, without temporal PE)."""
    position_unit: str = "frame"
    """What has an embedding of its own (table IX): a "frame", or each "token" of each frame."""
    block: str = "attention"
    """The attention block (table VI): "attention" alone, "residual" (with layer norm and skip), or
    "feed_forward" (with layer norms, skips and a feed-forward layer)."""
    pooled: str = "all"
    """Which outputs are averaged (table VII): "all", the global "cls" alone, or the "patches" alone."""
    global_cls: bool = True
    """Whether there is a global CLS token (table X)."""

    def __post_init__(self) -> None:
        """Check names and what goes together."""
        for name, value, known in (
            ("position", self.position, POSITIONS),
            ("position_unit", self.position_unit, POSITION_UNITS),
            ("block", self.block, BLOCKS),
            ("pooled", self.pooled, POOLED),
        ):
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; known are {', '.join(known)}")
        if self.pooled == "cls" and not self.global_cls:
            raise ValueError("pooled='cls' needs the global CLS token, but global_cls is false")
