"""The lexicon: every net by name, with what its builder must add up to."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from lexnet.errors import UnknownNet
from lexnet.nets.efficientnet_lite import efficientnet_lite
from lexnet.nets.net import Net
from lexnet.nets.resnet import Basic, resnet


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A net and its reference numbers at 1,000 classes."""

    build: Callable[..., Net]
    """`build(classes=1000)`; with 0 classes the net gives its pooled features."""
    family: str
    year: int
    paper: str
    size: int
    """Side of the square input, pixels."""
    params: int
    macs: int
    """Multiply-adds of convolutions and linear layers at `size`."""


NETS = {
    "efficientnet_lite0": Entry(
        build=partial(efficientnet_lite, 1.0, 1.0, 0.2),
        family="EfficientNet-Lite", year=2020, paper="arXiv:1905.11946",
        size=224, params=4_652_008, macs=385_187_552,
    ),
    "resnet18": Entry(
        build=partial(resnet, Basic, (2, 2, 2, 2), (64, 128, 256, 512)),
        family="ResNet", year=2015, paper="arXiv:1512.03385",
        size=224, params=11_689_512, macs=1_814_073_344,
    ),
}  # fmt: skip


def find(name: str) -> Entry:
    """The entry of that name; raises `UnknownNet` with the nearest names."""
    if name in NETS:
        return NETS[name]
    near = " or ".join(get_close_matches(name, NETS, n=2, cutoff=0.5))
    hint = f" (did you mean {near}?)" if near else ""
    raise UnknownNet(f"no net named {name!r}{hint}; `lexnet nets` lists all {len(NETS)}")
