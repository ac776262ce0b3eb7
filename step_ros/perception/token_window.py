"""The patch tokens of the newest T grid times, kept for as long as a window needs them."""

from __future__ import annotations

import torch
from torch import Tensor

from step_ros.frames import ClipSpec


class TokenWindow:
    """A window over the time grid that slides forward as tokens are put into it.

    A position that no frame came for (the camera paused, a frame was dropped under load) shows the next older
    tokens: it is *held*. Tokens stay in use for at most `max_held` steps after their own position, and a
    window with more than `max_held` held positions is not whole.

    Args:
        clip: the grid and T.
        num_patches: P, tokens a frame.
        dim: D, channels of a token.
        max_held: most positions that may be held; T // 2 by default.

    Raises:
        ValueError: `max_held` is not in [0, T - 1].
    """

    def __init__(self, clip: ClipSpec, num_patches: int, dim: int, *, max_held: int | None = None) -> None:
        self.clip = clip
        self.max_held = clip.num_frames // 2 if max_held is None else max_held
        if not 0 <= self.max_held < max(clip.num_frames, 1):
            raise ValueError(f"max_held must be from 0 to T - 1 = {clip.num_frames - 1}, got {max_held}")
        self._shape = (num_patches, dim)
        self._by_index: dict[int, Tensor] = {}  # oldest first
        self._newest: int | None = None

    @property
    def newest_index(self) -> int | None:
        """Grid index of the newest tokens; None while the window is empty."""
        return self._newest

    @property
    def oldest_index(self) -> int | None:
        """Grid index of the window's first position; None while the window is empty."""
        return None if self._newest is None else self._newest - self.clip.num_frames + 1

    def put(self, grid_index: int, tokens: Tensor) -> None:
        """Slide forward to `grid_index` and keep its tokens.

        Args:
            grid_index: position on the grid, after all before it.
            tokens: (P, D); kept as given, so it must not be written to any more.

        Raises:
            ValueError: `tokens` has another shape, or `grid_index` is not after the newest one.
        """
        if tuple(tokens.shape) != self._shape:
            raise ValueError(f"tokens must be (P, D) = {self._shape}, got {tuple(tokens.shape)}")
        if self._newest is not None and grid_index <= self._newest:
            raise ValueError(
                f"grid index {grid_index} is not after {self._newest}; reset the window to go back"
            )
        self._by_index[grid_index] = tokens
        self._newest = grid_index
        start = grid_index - self.clip.num_frames + 1
        # Of the tokens before the window only the newest may still be seen, held at the first positions.
        before = [index for index in self._by_index if index < start]
        for index in before:
            if index != before[-1] or start - index > self.max_held:
                del self._by_index[index]

    def tokens(self) -> Tensor | None:
        """The window's tokens (T, P, D), oldest first; None while it is not whole."""
        sources = self._sources()
        return None if sources is None else torch.stack([self._by_index[index] for index in sources])

    def kept(self) -> list[tuple[int, Tensor]]:
        """Grid index and tokens (P, D) of everything that is kept, oldest first."""
        return list(self._by_index.items())

    def is_whole(self) -> bool:
        """Whether every position has tokens to show, and few enough are held."""
        return self._sources() is not None

    def held_positions(self) -> int:
        """How many positions of a whole window show older tokens."""
        return _count_held(self._sources() or [])

    def reset(self) -> None:
        """Forget all tokens."""
        self._by_index.clear()
        self._newest = None

    def _sources(self) -> list[int] | None:
        """The grid index whose tokens each of the T positions shows; None if the window is not whole."""
        if self._newest is None:
            return None
        source = next(iter(self._by_index))
        sources: list[int] = []
        for index in range(self._newest - self.clip.num_frames + 1, self._newest + 1):
            if index in self._by_index:
                source = index
            if not 0 <= index - source <= self.max_held:  # nothing that old, or nothing fresh enough
                return None
            sources.append(source)
        return sources if _count_held(sources) <= self.max_held else None


def _count_held(sources: list[int]) -> int:
    """How many of a window's positions, the last of which is never held, show another's tokens."""
    return sum(source != sources[-1] - back for back, source in enumerate(reversed(sources)))
