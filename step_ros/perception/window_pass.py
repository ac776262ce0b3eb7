"""A window that passes over the frames which the time grid picks, and begins anew where time has jumped."""

from __future__ import annotations

import torch
from torch import Tensor

from step_ros.frames import ClipSpec, Sampled
from step_ros.perception.thinning import held_by
from step_ros.perception.token_window import TokenWindow


class WindowPass:
    """A token window and the generation of the frames in it.

    Live, in a replay and in a second look at a recording frames come the same way, and the windows that they
    make are the same: those of this class.

    Args:
        clip: the grid and T.
        num_patches: P, tokens a frame.
        dim: D, channels of a token.
        max_held: see `TokenWindow`; None is half of the window, whatever its length, or what `stride` needs.

    Raises:
        ValueError: `max_held` is not in [0, T - 1].

    Example:
        >>> if window.restart_if_jumped(sampled):  # doctest: +SKIP
        ...     forget_the_frames_before()
        >>> window.put(sampled, tokens)  # doctest: +SKIP
        >>> window.tokens.is_whole()  # doctest: +SKIP
    """

    def __init__(self, clip: ClipSpec, num_patches: int, dim: int, *, max_held: int | None = None) -> None:
        self.tokens = TokenWindow(clip, num_patches, dim, max_held=max_held)
        """Of the frames since time last jumped."""
        self.newest_stamp_ns = 0
        """Stamp of the newest frame; 0 before the first."""
        self.asked_max_held = max_held
        """As it was given: None is half of the window."""
        self.stride = 1
        """One in so many steps has a frame of its own, see `Thinning`; set it by `thin`."""
        self._shape = (num_patches, dim)
        self._generation: int | None = None

    @property
    def clip(self) -> ClipSpec:
        """The grid and T."""
        return self.tokens.clip

    @property
    def max_held(self) -> int:
        """Most positions that may be held."""
        return self.tokens.max_held

    @max_held.setter
    def max_held(self, value: int | None) -> None:
        most = self.clip.num_frames - 1
        if value is not None and not 0 <= value <= most:
            raise ValueError(f"max_held must be from 0 to T - 1 = {most}, got {value}")
        self.asked_max_held = value
        if value is None:
            value = max(self.clip.num_frames // 2, held_by(self.stride, self.clip.num_frames))
        self.tokens.max_held = value

    def thin(self, stride: int) -> None:
        """Let as many positions be held as one frame in `stride` steps needs, if nobody chose how many."""
        self.stride = stride
        self.max_held = self.asked_max_held

    @property
    def start_ns(self) -> int | None:
        """Grid time of the window's first position; None while it is empty."""
        oldest = self.tokens.oldest_index
        return None if oldest is None else self.clip.grid_time_ns(oldest)

    def restart_if_jumped(self, sampled: Sampled) -> bool:
        """Empty the window if a frame is of another generation; returns whether it is.

        That it is says that stamps jumped, or that the sampler was reset, since the frame before.
        """
        if sampled.generation == self._generation:
            return False
        self._generation = sampled.generation
        self.tokens.reset()
        return True

    def put(self, sampled: Sampled, tokens: Tensor) -> None:
        """Slide forward to a frame, after `restart_if_jumped`.

        Args:
            sampled: the frame, later on the grid than those before.
            tokens: (P, D), its own; not to be written to any more.
        """
        self.tokens.put(sampled.grid_index, tokens)
        self.newest_stamp_ns = sampled.frame.stamp_ns

    def forget_not_finite(self) -> int:
        """Go on as if frames whose tokens hold NaN or infinity had not come; returns how many did."""
        kept = self.tokens.kept()
        finite = [(index, tokens) for index, tokens in kept if bool(torch.isfinite(tokens).all())]
        if len(finite) < len(kept):
            self.tokens.reset()
            for index, tokens in finite:
                self.tokens.put(index, tokens)
        return len(kept) - len(finite)

    def emptied(self, clip: ClipSpec | None = None) -> WindowPass:
        """Another one, empty, that may hold as much: over the same grid, unless told otherwise.

        Raises:
            ValueError: `max_held` was set, and is too much for `clip`.
        """
        emptied = WindowPass(clip or self.clip, *self._shape, max_held=self.asked_max_held)
        emptied.thin(self.stride)
        return emptied
