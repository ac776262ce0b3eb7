"""What takes the steps: AdamW for everything, or Muon for the matrices of the attention."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

ATTENTION = ("in_proj.weight", "out_proj.weight")
"""How the names of an attention's matrices end."""


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) for the groups that are named ``"matrices"``, AdamW for the others.

    Muon's steps are orthogonal matrices, scaled to have the root mean square of AdamW's, so one learning
    rate serves both.

    Args:
        groups: parameter groups as AdamW takes them.

    Raises:
        ValueError: this PyTorch has no Muon (it came with 2.9).
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(f"the optimizer muon needs PyTorch 2.9 or newer, this is {torch.__version__}")
        matrices = [group for group in groups if group.get("name") == "matrices"]
        others = [group for group in groups if group.get("name") != "matrices"]
        super().__init__([*matrices, *others], {})
        self._parts = (
            torch.optim.Muon(matrices, momentum=0.9, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others),
        )
        self.param_groups = [group for part in self._parts for group in part.param_groups]
        self._share()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step with both; there is no closure."""
        muon, adamw = self._parts
        muon.step()
        adamw.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Let groups and moments be those of the parts as well."""
        count = len(self._parts[0].param_groups)
        shares = (self.param_groups[:count], self.param_groups[count:])
        for part, groups in zip(self._parts, shares, strict=True):
            part.param_groups, part.state = groups, self.state


def make_optimizer(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """What `FitOptions.optimizer` names, on the groups of `parameter_groups`.

    Muon is for matrices: what has none of attention's, such as a linear probe, is AdamW's alone.

    Raises:
        ValueError: PyTorch is too old for it.
    """
    has_matrices = any(group.get("name") == "matrices" for group in groups)
    return MuonAndAdamW(groups) if name == "muon" and has_matrices else torch.optim.AdamW(groups)


def parameter_groups(
    modules: Iterable[nn.Module], weight_decay: float, learning_rate: float
) -> list[dict[str, Any]]:
    """Weight decay for matrices; none for embeddings and biases, whose scale is meant, nor what is frozen.

    The attention's matrices are a group of their own. Each group keeps its peak learning rate, from which the
    schedule makes the rate of a step.
    """
    shares: dict[str, tuple[list[nn.Parameter], float]] = {
        "matrices": ([], weight_decay),
        "decayed": ([], weight_decay),
        "rest": ([], 0.0),
    }
    for module in modules:
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            if name.endswith(ATTENTION) and parameter.ndim == 2:
                share = "matrices"
            elif parameter.ndim >= 2 and "position" not in name and "prompts" not in name:
                share = "decayed"
            else:
                share = "rest"
            shares[share][0].append(parameter)
    return [
        dict(name=name, params=parameters, weight_decay=decay, lr=learning_rate, peak=learning_rate)
        for name, (parameters, decay) in shares.items()
        if parameters
    ]
