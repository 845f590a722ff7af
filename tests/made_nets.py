"""The nets of the lexicon, made light enough to test all of them."""

from contextlib import ExitStack
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from lexnet.nets import ALEXNET, NETS, VGG
from lexnet.nets.net import Net
from lexnet.nets.parts import OnlySize, dense_head

# fmt: off
KINDS = (
    "lenet5", "lenet5_modern", "alexnet_2012", "alexnet", "nin_cifar", "nin_imagenet", "vgg11", "vgg16",
    "vgg11_bn", "googlenet", "googlenet_2014", "resnet18", "resnet50", "resnet50_v1", "plain18", "resnet20",
    "plain20", "mobilenet_v1", "mobilenet_v1_025", "mobilenet_v2", "mobilenet_v2_140", "mobilenet_v2_035",
    "efficientnet_lite0", "efficientnet_lite2",
)
# fmt: on
"""The lexicon without those that differ from two of these in depth or width alone."""


def narrow(name: str, classes: int | None = None) -> Net:
    """The net at its own size; AlexNet's and VGG's two dense layers have 64 units for their 4,096."""

    def thin(cin: int, width: int, classes: int, **order: Any) -> nn.Sequential:
        return dense_head(cin, 64, classes, **order)

    return _built(name, classes, dense_head=thin)


def small(name: str, classes: int | None = None) -> Net:
    """The same, and VGG takes pictures of 32×32, a fiftieth of the work; `pictures` has them."""

    def thin(cin: int, width: int, classes: int, **order: Any) -> nn.Sequential:
        return dense_head(512, 64, classes, **order)

    if NETS[name].family is not VGG:
        return narrow(name, classes)
    return _built(name, classes, dense_head=thin, OnlySize=lambda size: OnlySize(32))


def pictures(name: str, n: int = 2, channels: int | None = None) -> Tensor:
    """(n, C, H, W) noise for the small net."""
    entry = NETS[name]
    side = 32 if entry.family is VGG else min(entry.size, 64) if entry.any_size else entry.size
    return noise(n, channels or entry.channels, side)


def noise(n: int, channels: int, side: int) -> Tensor:
    """(n, channels, side, side)"""
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(n * side))


def shift(name: str) -> float:
    """For `lively`: a deep net blows up the last digit of a float, a plain one of a hundred layers a
    millionfold, and the less so the fewer ReLUs cut off."""
    return 1.5 if name.startswith("plain") else 0.5


def lively(net: Net, x: Tensor, shift: float = 0.5) -> Net:
    """The net in evaluation mode, its batch norms far from the identity, with the statistics of `x`."""
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        nn.init.uniform_(layer.weight, 0.3, 1.5)
        nn.init.normal_(layer.bias, shift, 0.2)
    if norms:
        momenta = [layer.momentum for layer in norms]
        for layer in norms:
            layer.momentum = 1.0
        with torch.no_grad():
            net.train()(x)
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
    return net.eval()


def blocks(net: Net) -> list[str]:
    """Paths to cut at: the stem, every stage, and the first and the last layer inside each."""
    paths = ["stem"]
    for name, stage in net.stages.named_children():
        inside = [n for n, _ in stage.named_children()] if isinstance(stage, nn.Sequential) else []
        paths += [f"{name}.{n}" for n in dict.fromkeys([*inside[:1], *inside[-1:]])] + [name]
    return paths


def _built(name: str, classes: int | None, **pieces: Any) -> Net:
    """The net, where its family has dense layers made of other `pieces`."""
    entry = NETS[name]
    torch.manual_seed(0)
    with ExitStack() as stack:
        if entry.family in (ALEXNET, VGG):
            module = import_module(f"lexnet.nets.{entry.family.name.lower()}")
            stack.enter_context(patch.multiple(module, **pieces))
        return entry.build(classes=entry.classes if classes is None else classes)
