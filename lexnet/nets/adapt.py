"""A net made to fit: other classes, grey or coloured pictures, a shorter way."""

from itertools import zip_longest

import torch
from torch import nn
from torch.func import functional_call

from lexnet.errors import ConfigError
from lexnet.nets.net import Net, evaluating
from lexnet.nets.parts import OnlySize, classifier

ENOUGH = 64
"""Pixels a side that every net which takes any size can halve to its end."""


def with_classes(net: Net, classes: int) -> Net:
    """The net with a new linear class layer, or with none for `classes=0`; everything else stays.

    A head that averages a map for each class (Network in Network) becomes an average and a linear
    layer; one that measures distances (LeNet-5) becomes linear.
    """
    fc = dict(net.head.named_children()).get("fc")
    if fc is None:
        raise ConfigError("this net was built without a class layer; build it with classes and replace that")
    like = next(net.parameters())  # of this type and on this device
    if isinstance(fc, nn.Conv2d):
        net.head = classifier(fc.in_channels, classes).to(like)
    elif classes:
        net.head.fc = nn.Linear(fc.in_features, classes).to(like)  # type: ignore[arg-type]
    else:
        del net.head.fc
    return net


def with_channels(net: Net, channels: int) -> Net:
    """The net for grey (1) or coloured (3) pictures, its first convolution adapted by the sum rule.

    From 3 to 1 its weights are summed over the colours, so that a grey picture gives what its three
    equal channels gave; from 1 to 3 they are shared out in thirds. With pictures normalised alike in
    all channels that is exact. Raises `ConfigError` for other numbers.
    """
    if channels not in (1, 3):
        raise ConfigError(f"channels={channels!r} must be 1 (grey) or 3 (colours)")
    first = _first(net)
    weight = first.weight.detach()
    if channels == 1:
        weight = weight.sum(dim=1, keepdim=True)
    elif first.in_channels == 1:
        weight = weight.expand(-1, channels, -1, -1) / channels
    first.in_channels = channels
    first.weight = nn.Parameter(weight.contiguous(), requires_grad=first.weight.requires_grad)
    return net


def truncated(net: Net, path: str, classes: int) -> Net:
    """The net up to and with `path` (see `Net.cut`), then global pooling and a linear layer.

    Its stem and stages are the net's own modules, not copies. Raises `UnknownStage`.
    """
    trunk, _ = net.cut(path)
    sizes = [layer.size for layer in trunk.modules() if isinstance(layer, OnlySize)]
    side = sizes[0] if sizes else ENOUGH
    weights = {name: value.to("meta") for name, value in trunk.state_dict().items()}
    pixels = torch.empty(1, _first(net).in_channels, side, side, device="meta")
    with evaluating(trunk):
        width = functional_call(trunk, weights, pixels).shape[1]
    head = classifier(width, classes).to(next(net.parameters()))
    return _up_to(trunk, head)


def unpooled(net: Net, path: str) -> Net:
    """The net up to and with `path`, and nothing after it: (N, C, H, W) activations come out."""
    trunk, _ = net.cut(path)
    return _up_to(trunk, nn.Identity())


def _up_to(trunk: nn.Sequential, head: nn.Module) -> Net:
    parts = dict(trunk.named_children())
    return Net(parts["stem"], [*parts.get("stages", nn.Sequential()).children()], head)


class EveryStage(nn.Module):
    """A net with a probe after each stage: (N, C, H, W) → the net's output, and (N, sum of widths).

    The latter are the outputs of the first `count` stages, each averaged over its positions, side by side.
    The parts are the net's own, under their own names.
    """

    def __init__(self, net: Net, count: int) -> None:
        super().__init__()
        self.stem, self.stages, self.head = net.stem, net.stages, net.head
        self.pools = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) for _ in range(count))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, pooled = self.stem(x), []
        for stage, pool in zip_longest(self.stages.children(), self.pools):
            x = stage(x)
            pooled += [pool(x)] if pool else []
        return self.head(x), torch.cat(pooled, dim=1) if pooled else x.new_zeros(len(x), 0)


def _first(net: nn.Module) -> nn.Conv2d:
    return next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d))
