"""How heads are fitted: every option, its meaning and its default."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from step_ros.probes import StepOptions
from step_ros.probes.kinds import NORMALIZATIONS, PROBE_KINDS
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.yaml_file import YamlError, meant, read_yaml

OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("auto", "bfloat16", "float32")


class OptionsError(ValueError):
    """A YAML of options cannot be used; the message names file and option."""


@dataclass(frozen=True)
class FitOptions:
    """How heads are fitted."""

    probe: str = "step"
    """Which probe: step, linear, attentive, self_attention, or moments, which is fitted in closed form in
    seconds: nothing below that is about optimiser steps touches it."""
    step: StepOptions = StepOptions()
    """How a "step" probe differs from STEP (the paper's ablations)."""
    num_heads: int = 12
    """H, attention heads of the probe; if that does not divide the tokens' channels, the next smaller
    number that does."""
    normalization: str = "layer_norm"
    """Token normalisation: none, layer_norm or channel."""
    token_pooling: int = 1
    """Side of the squares of patches whose tokens are averaged; 1 averages none."""
    position_std: float = 1.0
    """Standard deviation of learned temporal embeddings at the start; normalised tokens have 1."""
    adapter: AdapterOptions = AdapterOptions()
    """Whether the backbone is adapted with the heads."""

    steps: int = 1200
    """Optimiser steps."""
    batch_size: int = 32
    """Windows a step."""
    optimizer: str = "adamw"
    """adamw, or muon for the attention's matrices: where there is much to learn, as in windows that slide
    over many films, it needs fewer steps. It came with PyTorch 2.9."""
    learning_rate: float = 2e-3
    """The optimizer's, at its peak: it rises over the first tenth of the steps and falls by a cosine."""
    weight_decay: float = 0.05
    """The optimizer's, on matrices; embeddings and biases have none."""
    label_smoothing: float = 0.1
    """Share of the target spread over all classes."""
    token_dropout: float | None = None
    """Share of patch places left out of a training window: regularises, and costs far less. By default as
    many as leave 10 places, drawn anew for each batch."""
    balance: float = 0.5
    """How far rare classes of the first task are drawn more often: 0 not at all, 1 until all are alike."""
    mixup: float = 0.0
    """Parameter of the Beta distribution by which windows are mixed; 0 mixes none."""
    time_reversal: bool = True
    """Whether a window also comes backwards, as a window of the partner class."""
    reversal_penalty: float = 0.0
    """Weight of the demand that a label without a partner stays when the window comes backwards."""
    lag_seconds: float = 0.2
    """Where windows slide over whole videos, a window's label is what goes on this long before its end."""

    hold_out: tuple[str, ...] = ()
    """Groups (scenes, persons) that are not trained on."""
    examples_per_class: int | None = None
    """How many training clips of each class of the first task are used, drawn by `seed`; all by default.
    What a head learns from so few says whether labelling more would pay."""
    validation_share: float = 0.0
    """Share of the training clips to hold out for calibration and early stopping, where the data have no
    such split."""
    patience: int = 0
    """Stop when the validation loss has not fallen for so many checks, and keep the best; 0 trains to the
    end."""
    check_every: int = 200
    """Steps from one look at the validation clips to the next, and from one checkpoint to the next."""
    accepted_accuracy: float = 0.95
    """The rejection threshold is set so that what is above it is right this often on the validation clips."""
    precision: str = "auto"
    """What probes compute in while they train: bfloat16, float32, or auto, which is bfloat16 where the
    processor or GPU multiplies it."""
    device: str = "cpu"
    """Where they train: cpu, cuda, cuda:1 ..."""
    seed: int = 0
    """Of everything random."""
    start: Path | None = None
    """A folder of heads to start from: a task's own head, or else the attention of the first task's."""
    tensorboard: Path | None = None
    """A folder for TensorBoard's event files."""

    def __post_init__(self) -> None:
        """Take what YAML gives, and check ranges."""
        object.__setattr__(self, "hold_out", tuple(self.hold_out))
        for name in ("start", "tensorboard"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, Path(getattr(self, name)))
        for name in ("steps", "batch_size", "check_every", "num_heads", "token_pooling"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.examples_per_class is not None and self.examples_per_class < 1:
            raise ValueError(f"examples_per_class must be at least 1, got {self.examples_per_class}")
        for name in ("token_dropout", "validation_share", "label_smoothing"):
            share = getattr(self, name)
            if share is not None and not 0 <= share < 1:
                raise ValueError(f"{name} must be a share from 0 to below 1, got {share}")
        if self.probe == "moments" and self.adapter.kind:
            raise ValueError(
                "a moments head is fitted in closed form and teaches no adapter; choose another probe"
            )
        for name, known in (
            ("probe", PROBE_KINDS),
            ("normalization", NORMALIZATIONS),
            ("precision", PRECISIONS),
            ("optimizer", OPTIMIZERS),
        ):
            value = getattr(self, name)
            if value not in known:
                near = meant(value, known)
                raise ValueError(f"unknown {name} {value!r}{near or '; known are ' + ', '.join(known)}")

    def to_json(self) -> dict[str, Any]:
        """The options as plain values, as `read_options` takes them."""
        values = asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def read_options(path: Path) -> FitOptions:
    """Options from a YAML with the fields of `FitOptions`; what it does not name has its default.

    Raises:
        OptionsError: the file cannot be read, or an option is unknown or makes no sense.
    """
    try:
        return read_yaml(path, FitOptions)
    except YamlError as error:
        raise OptionsError(str(error)) from error
