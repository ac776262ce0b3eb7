"""Classifiers whose weights are made of class names, while they are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from torch import nn
from torch.nn.utils import parametrize

from step_ros.peft import AdapterError
from step_ros.probes import Head
from step_ros.training.adapter_options import AdapterOptions


class NameReader(Protocol):
    """What reads class names, such as the text tower of a CLIP."""

    def side(self, labels: Sequence[str], kind: str, dim: int) -> nn.Module:
        """The text side of a classifier: called, it gives weights (K, D).

        Args:
            labels: K class names.
            kind: of the adapter that is trained beside it.
            dim: D, channels of the tokens to classify.

        Raises:
            AdapterError: it cannot be made of these.
        """


NameReaders = Mapping[str, Callable[[str], NameReader]]
"""What makes a reader of a folder or hub name, by the kinds of adapters that have a text side."""


def check_text_side(options: AdapterOptions, readers: NameReaders) -> None:
    """Make sure that an adapter has a text side, if one is asked for.

    Raises:
        AdapterError: it has none; the message says which have one.
    """
    if options.text and options.kind not in readers:
        raise AdapterError(
            f"{options.kind or 'no adapter'} has no text side; {', '.join(readers) or 'none'} have one"
        )


def put_text_sides(heads: Iterable[Head], options: AdapterOptions, readers: NameReaders) -> None:
    """Let the classifiers' weights come from class names, if that is asked for, while they are trained.

    Raises:
        AdapterError: the reader cannot be had, or cannot read these names.
    """
    if not options.text:
        return
    reader = readers[options.kind](options.text)
    for head in heads:
        put_text_side(head.probe, reader.side(head.config.labels, options.kind, head.config.backbone.dim))


def put_text_side(probe: nn.Module, side: nn.Module) -> None:
    """Let the weights of a probe's classifier come from class names, while it is trained."""
    classifier: Any = probe.classifier
    classifier.weight.requires_grad_(False)
    parametrize.register_parametrization(classifier, "weight", side)


def merge_text_side(probe: nn.Module) -> int:
    """Make the weights of a probe's classifier plain ones again, as they are now.

    Returns:
        Parameters that were trained for them; 0 if they were plain.
    """
    classifier: Any = probe.classifier
    if not parametrize.is_parametrized(classifier, "weight"):
        return 0
    side = classifier.parametrizations["weight"][0]
    trained = sum(int(each.numel()) for each in side.parameters() if each.requires_grad)
    parametrize.remove_parametrizations(classifier, "weight", leave_parametrized=True)
    classifier.weight.requires_grad_(True)
    return trained
