"""Which models may be loaded at the word of somebody else on the network?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from step_ros.bounded_text import bounded
from step_ros.perception.loading import bundled_models, find_model


class ModelRoots:
    """The folders, and the owners on the Hugging Face hub, that models may come from once a node runs.

    Whoever starts a node may name any model. Whoever reaches it over the network may name the bundled
    models, those given at the start, and what lies below the roots.

    Args:
        roots: folders, which have a slash in their names, and owners, which have none. If there are none but
            empty names: the folders that the models given at the start lie in, and their owners.
        given: the models that are named at the start; empty names are left out.
    """

    def __init__(self, roots: Sequence[str], given: Iterable[str]) -> None:
        self._given = frozenset(name for name in given if name)
        chosen = list(filter(None, roots)) or list(filter(None, map(_root_of, self._given)))
        self._owners = {root for root in chosen if "/" not in root}
        self._folders = {Path(root).expanduser().resolve() for root in chosen if "/" in root}

    def check(self, names: Iterable[str]) -> None:
        """Make sure that all of these may be loaded; an empty name is none.

        Raises:
            ValueError: one may not; the message says where it would have to be.
        """
        for name in names:
            if name and name not in self._given and not self._allows(name):
                folders = ", ".join(sorted(map(str, self._folders))) or "no folder"
                owners = ", ".join(sorted(self._owners)) or "no owner"
                raise ValueError(
                    f"{bounded(name)!r} may not be loaded now that the node runs: models may come from below "
                    f"{folders}, and on the hub from {owners}. Start the node with its folder, or its owner, "
                    "among model_roots"
                )

    def _allows(self, name: str) -> bool:
        found = find_model(name)
        if not _is_folder(found):
            return str(found).partition("/")[0] in self._owners
        # Links are followed: what lies elsewhere is elsewhere.
        folder = Path(found).expanduser().resolve()
        return any(folder.is_relative_to(root) for root in (*self._folders, bundled_models().resolve()))


def _root_of(name: str) -> str:
    """What a model's name brings among the roots: its siblings, or its owner's; empty if it has neither."""
    found = find_model(name)
    if not _is_folder(found):
        owner, slash, _ = name.partition("/")
        return owner if slash else ""
    parent = Path(found).expanduser().resolve().parent
    # Everything is a sibling of what lies at the root of the disk.
    return "" if parent == Path(parent.anchor) else f"{parent}/"


def _is_folder(found: str | Path) -> bool:
    """Whether it is one, or can only be meant as one."""
    return isinstance(found, Path) or found.startswith(("/", "~", "."))
