"""What moves the weights: AdamW (arXiv:1711.05101) or SGD with Nesterov's momentum."""

from collections import defaultdict
from typing import Any

import torch
from torch import nn

from lexnet.config import Fit

MOMENTUM = 0.9


def make_optimiser(net: nn.Module, config: Fit) -> torch.optim.Optimizer:
    """For all weights that learn. Biases and other vectors are not decayed.

    With `layer_decay` each stage's learning rate is that share of the next one's, the head's being whole
    (Howard & Ruder, 2018, arXiv:1801.06146, section 3.2).
    """
    groups: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    parts: dict[str, int] = {}
    for name, weight in net.named_parameters():
        part = ".".join(name.split(".")[: 2 if name.startswith("stages.") else 1])
        number = parts.setdefault(part, len(parts))
        if weight.requires_grad:
            groups[number, weight.ndim > 1].append(weight)
    last = max(number for number, _ in groups)
    made: list[dict[str, Any]] = [
        {
            "params": weights,
            "weight_decay": config.weight_decay if decayed else 0.0,
            "share": config.layer_decay ** (last - number),
        }
        for (number, decayed), weights in groups.items()
    ]
    if config.optimiser == "sgd":
        return torch.optim.SGD(made, lr=config.lr, momentum=MOMENTUM, nesterov=True, fused=True)
    return torch.optim.AdamW(made, lr=config.lr, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the head; the others' follow."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
