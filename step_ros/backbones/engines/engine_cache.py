"""Built engines on disk, so that only the first start on a machine has to build them."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from step_ros.backbones.engines.engine import first_line
from step_ros.user_cache import default_cache_folder, private_folder

_log = logging.getLogger(__name__)

_MAGIC = b"step_ros engine 1\n"
_DIGEST_SIZE = hashlib.sha256().digest_size


class EngineCache:
    """Keeps built engines by what they were built from. What goes wrong with it is a warning, never an error.

    An entry is read back only if it is whole, byte by byte, and nobody else can have put it there: runtimes
    trust what they are given.

    Args:
        folder: where; it is made when something is stored.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_cache_folder()

    def path(self, built_from: Mapping[str, str]) -> Path:
        """Where the engine with these properties is kept, if it is: any other value is another file."""
        text = "\n".join(f"{name}={value}" for name, value in sorted(built_from.items()))
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.engine"

    def load(self, built_from: Mapping[str, str]) -> bytes | None:
        """An engine that was stored, or None; a corrupt file is removed, with a warning."""
        path = self.path(built_from)
        if not self.folder.exists():
            return None
        try:
            content = (private_folder(self.folder) / path.name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("the cached engine %s cannot be read: %s", path, error.strerror or error)
            return None
        digest, engine = content[len(_MAGIC) :][:_DIGEST_SIZE], content[len(_MAGIC) + _DIGEST_SIZE :]
        if content.startswith(_MAGIC) and hashlib.sha256(engine).digest() == digest:
            return engine
        _log.warning("the cached engine %s is corrupt; it is removed and built again", path)
        self.remove(built_from)
        return None

    def store(self, built_from: Mapping[str, str], engine: bytes) -> None:
        """Keep an engine, whole or not at all; a folder that cannot be written to is a warning."""
        path = self.path(built_from)
        temporary: str | None = None
        try:
            private_folder(self.folder)
            handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(engine).digest() + engine)
            os.replace(temporary, path)
        except OSError as error:
            _log.warning(
                "the engine cannot be kept in %s (%s), so it will be built at each start; make the folder "
                "writable or set STEP_ROS_CACHE to another",
                self.folder,
                error.strerror or first_line(error),
            )
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def remove(self, built_from: Mapping[str, str]) -> None:
        """Forget an engine, as far as the folder allows it."""
        try:
            self.path(built_from).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s cannot be removed: %s", self.path(built_from), error.strerror or error)

    def writable(self) -> bool:
        """Whether something can be kept."""
        try:
            private_folder(self.folder)
            with tempfile.TemporaryFile(dir=self.folder):
                return True
        except OSError:
            return False
