"""Why an image message could not be decoded."""

from __future__ import annotations

from typing import Literal, get_args

ImageErrorCause = Literal[
    "zero_size",
    "truncated_data",
    "wrong_step",
    "unknown_encoding",
    "too_large",
    "corrupt_compressed",
]
"""The kinds of bad image, short enough to count by."""

IMAGE_ERROR_CAUSES: tuple[str, ...] = get_args(ImageErrorCause)
"""Every value that ``ImageError.cause`` takes."""

UNREADABLE = "unreadable"
"""What counts an image that fails in a way nobody thought of."""


class ImageError(ValueError):
    """An image message that cannot be decoded.

    ``cause`` is one of ``IMAGE_ERROR_CAUSES``; the message says what was found and what was expected.
    """

    def __init__(self, cause: ImageErrorCause, message: str) -> None:
        """Keep the cause beside the message."""
        super().__init__(message)
        self.cause: ImageErrorCause = cause

    def __reduce__(self) -> tuple[type[ImageError], tuple[ImageErrorCause, str]]:
        """Survive pickling, which data loaders do to exceptions of their workers."""
        return type(self), (self.cause, str(self))
