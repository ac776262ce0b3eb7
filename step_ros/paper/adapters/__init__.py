"""Adapters that the paper compares with and the node cannot run: they mix the frames of a window.

What takes a table of adapters trains, saves and loads them if it is given `ALL_ADAPTERS` in place of
`step_ros.peft.ADAPTERS`.
"""

from collections.abc import Mapping

from step_ros.paper.adapters.m2_clip import M2Clip
from step_ros.paper.adapters.st_adapter import StAdapter
from step_ros.paper.adapters.text_side import TEXT_SIDES, ClipText
from step_ros.paper.adapters.vita_clip import VitaClip
from step_ros.peft import ADAPTERS, Adapter
from step_ros.training.class_names import NameReaders

ALL_ADAPTERS: Mapping[str, type[Adapter]] = {
    **ADAPTERS,
    "st_adapter": StAdapter,
    "m2_clip": M2Clip,
    "vita_clip": VitaClip,
}
"""These and the node's, by the names that commands and folders use."""

NAME_READERS: NameReaders = dict.fromkeys(TEXT_SIDES, ClipText)
"""What reads class names for those that have a text side."""

__all__ = ["ALL_ADAPTERS", "NAME_READERS"]
