"""Side classifiers on the way through a net, for training: the `Net` itself knows nothing of them."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import final

from torch import Tensor, nn

from lexnet.nets.net import Net, split


@final
class Tapped(nn.Module):
    """(N, C, H, W) → the net's logits and those of each side head: (N, classes), [(N, classes), ...].

    `sides` gives a head for each dotted path (see `Net.cut`), in the order of the net.
    """

    def __init__(self, net: Net, sides: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.net = net
        self.paths = tuple(sides)
        self.sides = nn.ModuleList(sides.values())

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        rest = nn.Sequential(OrderedDict(self.net.named_children()))
        logits = []
        for path, side in zip(self.paths, self.sides, strict=True):
            before, rest = split(rest, f"stages.{path}")
            x = before(x)
            logits.append(side(x))
        return rest(x), logits
