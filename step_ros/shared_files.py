"""Where the files that come with the package lie: models, parameters, DDS settings, launch files."""

from __future__ import annotations

from pathlib import Path


def shared_folder() -> Path:
    """The folder that holds ``config``, ``launch`` and ``models``.

    It is the repository's root when the package runs from its sources, and ``share/step_ros`` below the
    prefix that pip or colcon installed it to.

    Raises:
        FileNotFoundError: there is neither; the installation is not complete.
    """
    here = Path(__file__).resolve()
    for parent in here.parents:
        for folder in (parent, parent / "share" / "step_ros"):
            if (folder / "package.xml").is_file() and (folder / "config").is_dir():
                return folder
    raise FileNotFoundError(
        f"step_ros runs from {here.parent}, but its shared files (config/, models/) are neither beside that "
        "folder nor in share/step_ros below any folder above it; install the package again"
    )
