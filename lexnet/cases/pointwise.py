"""Network in Network (Lin, Chen & Yan, 2013, arXiv:1312.4400): what a 1×1 convolution is.

6×6×C ─ 1×1 ─ 6×6×n        one dense layer, C → n, at each of the 36 positions
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from lexnet.cases.case import Case, Finding, Lab, Study
from lexnet.cases.draw import lines
from lexnet.cases.lab import Wide, pictures, trained
from lexnet.cases.tables import compared
from lexnet.cases.verdict import counted, more
from lexnet.cost import cost
from lexnet.nets.net import Net
from lexnet.nets.nin import map_head
from lexnet.nets.parts import classifier, conv, relu

SIDE, CIN, COUT = 28, 192, 32  # the lecture's example
WITH, LINEAR, WITHOUT = "with 1×1 layers", "linear 1×1 layers", "without"
Act = Callable[[], nn.Module] | None
ROUNDING = 1e-5  # most that the two may differ by


def study(settings: Wide, lab: Lab) -> Study:
    """Counts the lecture's example; trains a small Network in Network with 1×1 layers, linear ones, none."""
    some = pictures(settings.data, lab, size=settings.size, train=settings.train, test=settings.test)
    makes = {
        name: partial(net, extra, act, settings.width, len(some.classes))
        for name, (extra, act) in {WITH: (2, relu), LINEAR: (2, None), WITHOUT: (0, relu)}.items()
    }
    runs = trained(makes, some, settings, lab)
    accuracy = {name: [one.accuracy for one in found] for name, found in runs.items()}
    macs = {name: cost(make(), settings.size, 1).macs for name, make in makes.items()}
    one, five = (_example(k) for k in (1, 5))
    return Study(
        findings=[
            _dense(settings.seeds),
            counted(
                f"it shrinks {CIN} channels to {COUT} cheaply",
                20 * one < five,
                f"{one / 1e6:.1f} M multiply-adds at {SIDE}×{SIDE}; a 5×5 would take {five / 1e6:.1f} M",
            ),
            more(
                "its non-linearity helps: 1×1 layers with a ReLU are right more often than linear ones",
                accuracy[WITH],
                accuracy[LINEAR],
            ),
        ],
        tables=[compared("A small Network in Network, means over seeds", runs, macs)],
        figures=[
            lines(
                "Loss on the training pictures, while they were learned from",
                range(1, settings.epochs + 1),
                {name: [one.losses for one in found] for name, found in runs.items()},
                ("epoch", "cross-entropy, nats"),
            )
        ],
        numbers={"accuracy": accuracy, "macs": macs, "example": {"1×1": one, "5×5": five}},
    )


def net(extra: int, act: Act, width: int, classes: int) -> Net:
    """Two large filters and a map for each class; after each filter so many 1×1 layers, each with `act`."""

    def mlpconv(cin: int, cout: int) -> nn.Sequential:
        behind = (conv(cout, cout, 1, act=act, norm=None) for _ in range(extra))
        return nn.Sequential(conv(cin, cout, 5, norm=None), *behind, nn.MaxPool2d(2))

    last = conv(2 * width, 2 * width, 3, norm=None)
    return Net(mlpconv(1, width), [mlpconv(width, 2 * width), last], map_head(2 * width, classes))


def _example(k: int) -> int:
    """Multiply-adds of the lecture's layer with filters of this side."""
    return cost(Net(nn.Identity(), [conv(CIN, COUT, k)], classifier(COUT, 0)), SIDE, CIN).macs


def _dense(seeds: Sequence[int]) -> Finding:
    """The same weights as a convolution and as a dense layer at each position, from each seed."""
    most = 0.0
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(4, CIN, 6, 6, generator=draw)
        weight = torch.randn(COUT, CIN, generator=draw) / CIN**0.5
        conved = torch.conv2d(x, weight[:, :, None, None])
        positions = [x[:, :, i // 6, i % 6] @ weight.T for i in range(36)]
        dense = torch.stack(positions, dim=2).view(4, COUT, 6, 6)
        most = max(most, float((conved - dense).abs().max()))
    return counted(
        "a 1×1 convolution is a dense layer at each of the 36 positions",
        most < ROUNDING,
        f"they differ by {most:.1g} at most, of values about 1",
    )


CASE = Case(
    title="1×1 convolutions",
    claim=(
        "A 1×1 convolution is a dense layer at each of the 36 positions; it shrinks channels cheaply and "
        "adds a non-linearity, which helps."
    ),
    source="Lin, Chen & Yan, 2013, arXiv:1312.4400",
    short=Wide(train=2800, test=2000, width=24, epochs=8, seeds=(0, 1, 2, 3)),
    full=Wide(train=12_000, test=10_000, width=24, epochs=16),
    study=study,
)
