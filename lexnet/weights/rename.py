"""Other people's names for weights, in ours: strict in both directions."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor, nn, zeros

from lexnet.errors import WeightsError

Rules = list[tuple[str, str | Callable[..., str]]]
"""(pattern, our name): the first pattern that matches a whole name is taken. Our name is a template
for the match, or a function of its groups."""

COUNTER = "num_batches_tracked"  # older files do not have it, and nothing here reads it


def rename(state: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """The same tensors under our names; raises `WeightsError` for a name without a rule or two alike."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        ours = _ours(name, rules)
        if ours in renamed:
            raise WeightsError(f"two of the weights become {ours}; these weights are of another net")
        renamed[ours] = tensor
    return renamed


def load_strictly(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fills the net; raises `WeightsError` for a name or shape too many, missing or different.

    The net may be on the meta device: it takes the tensors themselves.
    """
    own = net.state_dict()
    counters = {name: zeros((), dtype=own[name].dtype) for name in own if name.endswith(COUNTER)}
    full = counters | dict(state)
    if odd := sorted(set(full) ^ set(own)):
        raise WeightsError(f"the weights do not fit the net: {len(odd)} names differ, first {odd[:3]}")
    for name, tensor in full.items():
        if tensor.ndim == 4 and own[name].ndim == 2:  # a convolution over all of its input is a dense layer
            full[name] = tensor = tensor.flatten(1)
        if tensor.shape != own[name].shape:
            raise WeightsError(f"{name} has shape {tuple(tensor.shape)}, the net {tuple(own[name].shape)}")
    net.load_state_dict(full, assign=True)


def _ours(name: str, rules: Rules) -> str:
    for pattern, ours in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours) if isinstance(ours, str) else ours(*match.groups())
    raise WeightsError(f"no rule renames {name!r}; these weights are of another net")
