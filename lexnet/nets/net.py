"""The one class that every net is an instance of.

    pixels ── stem ── stage1 ── stage2 ── ... ── head ── logits
                                  └── cut here: trunk | tail

A family is a function that returns a `Net`; because every net has the same three parts, whatever
is done to nets (costing, cutting, freezing, exporting) is written once.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Self, final

import torch
from torch import Tensor, nn

from lexnet.errors import UnknownStage, did_you_mean


@final
class Net(nn.Module):
    """(N, C, H, W) normalised pixels → (N, classes) logits, or (N, width) features without classes."""

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.Sequential()
        for number, stage in enumerate(stages, start=1):
            self.stages.add_module(f"stage{number}", stage)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)))

    def cut(self, path: str) -> tuple[nn.Sequential, nn.Sequential]:
        """(trunk, tail), the trunk up to and with `path`, so that `tail(trunk(x))` is `net(x)`.

        `path` is `stem`, a stage such as `stage3`, or a dotted path to a block inside one, such as
        `stage3.0`. Both parts are the net's own modules, not copies, and their weights keep their names.
        Raises `UnknownStage`.
        """
        whole = nn.Sequential(OrderedDict(self.named_children()))
        return split(whole, path if path.split(".")[0] == "stem" else f"stages.{path}")

    def freeze(self, path: str) -> Self:
        """The net, which from now on learns nothing up to and with `path`, batch statistics included."""
        trunk, _ = self.cut(path)
        trunk.requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As ever, except that what is frozen stays in evaluation mode: its batch norms must not drift."""
        super().train(mode)
        for module in self.modules():
            weights = list(module.parameters())
            if weights and not any(w.requires_grad for w in weights):
                nn.Module.train(module, False)
        return self


@contextmanager
def restored(net: nn.Module) -> Iterator[None]:
    """Lets the net learn inside the block and restores it afterwards, with the state of random numbers."""
    before = {name: value.detach().clone() for name, value in net.state_dict().items()}
    net.train()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        net.zero_grad(set_to_none=True)
        net.load_state_dict(before)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards each module is in the mode that it was in."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def split(sequence: nn.Module, path: str) -> tuple[nn.Sequential, nn.Sequential]:
    """A nest of `nn.Sequential` in two: up to and with the layer at the dotted path, and the rest."""
    first, dot, inner = path.partition(".")
    layers = dict(sequence.named_children()) if isinstance(sequence, nn.Sequential) else {}
    if first not in layers:
        hint = did_you_mean(get_close_matches(first, layers, n=2))
        there = ", ".join(layers) or "nothing, for it is one block"
        raise UnknownStage(f"there is no {first!r} to cut at{hint}; there is {there}")
    before, after = OrderedDict[str, nn.Module](), OrderedDict[str, nn.Module]()
    side = before
    for name, layer in layers.items():
        if name != first:
            side[name] = layer
            continue
        if dot:
            before[name], after[name] = split(layer, inner)
        else:
            before[name] = layer
        side = after
    return nn.Sequential(before), nn.Sequential(after)
