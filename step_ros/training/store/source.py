"""What a video was when its tokens were made, so that another one in its place is told from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from step_ros.training.datasets import ClipsError

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """A video file, or a bag: its file or its folder."""

    path: str
    """Where it was, absolute."""
    size: int
    """Bytes, of all files together."""
    mtime_ns: int
    """When the newest file was modified, in nanoseconds since 1970."""
    sha256: str
    """Over all that it holds: what tells it from others, wherever it lies and whenever it was copied."""

    @classmethod
    def of(cls, video: Path) -> Source:
        """Read all of a video.

        Raises:
            ClipsError: it cannot be read.
        """
        path = video.absolute()
        digest = hashlib.sha256()
        try:
            size, mtime_ns = _stat(path)
            for file in _files(path):
                if file != path:
                    digest.update(f"{file.relative_to(path).as_posix()} {file.stat().st_size}\n".encode())
                with file.open("rb") as opened:
                    while block := opened.read(_BLOCK):
                        digest.update(block)
        except OSError as error:
            raise ClipsError(f"{video} cannot be read: {error.strerror or error}") from error
        return cls(str(path), size, mtime_ns, digest.hexdigest())

    def check_untouched(self) -> None:
        """Make sure that nobody has written to it since, as far as size and modification time tell.

        Raises:
            ClipsError: somebody has.
        """
        try:
            untouched = _stat(Path(self.path)) == (self.size, self.mtime_ns)
        except OSError:
            untouched = False
        if not untouched:
            raise ClipsError(f"{self.path} changed while it was encoded; extract again")

    def is_there(self) -> bool:
        """Whether there is something where it was."""
        return Path(self.path).exists()

    def is_same(self) -> bool:
        """Whether what is where it was holds the same, whatever its times say; reads all of it."""
        path = Path(self.path)
        try:
            return _stat(path)[0] == self.size and Source.of(path).sha256 == self.sha256
        except (OSError, ClipsError):
            return False


def _files(path: Path) -> Iterator[Path]:
    """The regular files of a video, in the order of their names."""
    yield from (file for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file())


def _stat(path: Path) -> tuple[int, int]:
    """Size and modification time."""
    path.stat()  # raises if there is nothing
    stats = [file.stat() for file in _files(path)]
    return sum(found.st_size for found in stats), max((found.st_mtime_ns for found in stats), default=0)
