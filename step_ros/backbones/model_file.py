"""Reads the files of a model with distrust: regular files only, no larger and no deeper than they can be."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

MAX_JSON_BYTES = 4 * 1024 * 1024
"""A config.json that names 20,000 classes twice has half of it."""


class ModelFileError(ValueError):
    """A file of a model is missing or makes no sense; the message names it and says what to do."""


def open_model_file(path: Path) -> BinaryIO:
    """Open a file that somebody else made.

    Raises:
        ModelFileError: it cannot be opened, or is no regular file: a pipe would be waited for, and a device
            may have no end.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ModelFileError(f"{path} is no regular file; fetch or save it again")
    return file


def read_json(path: Path) -> Any:
    """What a JSON file of a model holds.

    Raises:
        ModelFileError: it cannot be read, is larger than `MAX_JSON_BYTES`, or is no JSON.
    """
    try:
        with open_model_file(path) as file:
            text = file.read(MAX_JSON_BYTES + 1)
        if len(text) > MAX_JSON_BYTES:
            raise ModelFileError(f"{path} is larger than {MAX_JSON_BYTES:,} bytes; a model's is far smaller")
        return json.loads(text.decode("utf-8"))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not JSON ({error}); fetch or save it again") from error
