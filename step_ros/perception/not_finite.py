"""What a backbone or a head gives is no number: nothing of it may be said."""

from __future__ import annotations

from collections.abc import Iterable


class NotFiniteError(ArithmeticError):
    """Tokens, or probabilities, are NaN or infinite; the message says which.

    Args:
        tasks: whose answers are lost.
        frames: how many frames' tokens are not finite; 0 if all are, and it is the heads.
    """

    def __init__(self, tasks: Iterable[str], frames: int = 0) -> None:
        self.tasks = tuple(tasks)
        self.frames = frames
        named = ", ".join(self.tasks)
        if frames:
            message = f"the backbone's tokens are not finite numbers, and nothing is said of {named}"
        else:
            message = (
                f"what the head of {named} gives for finite tokens are not finite numbers; load another head"
            )
        super().__init__(message)
