"""Going Deeper with Convolutions (Szegedy et al., 2014, arXiv:1409.4842), Figure 2: filters side by side.

        ┌─ 1×1 ────────┐
    x ──┼─ 1×1 ─ 3×3 ──┼── concatenate      every size of filter, and a 1×1 in front of the large ones
        └─ 1×1 ─ 5×5 ──┘

The nets compared have three such modules; those of one size only are so wide that they cost about the same.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from lexnet.cases.case import Case, Figure, Lab, Study, Table
from lexnet.cases.draw import accuracies, sheets
from lexnet.cases.lab import Pictures, Wide, nearest, pictures, trained
from lexnet.cases.tables import compared
from lexnet.cases.verdict import counted, more
from lexnet.cost import cost
from lexnet.nets.inception import TABLE_1
from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv

SIDE, CIN = 28, 192  # what GoogLeNet's module 3a sees
N1, R3, N3, THIN, COUT, POOLED = TABLE_1[0]["a"]
"""Its filters; the example of the claim is the 5×5 with the 1×1 in front of it."""
SIDES = (1, 3, 5)
ALL = "1×1, 3×3 and 5×5"


class Side(nn.Module):
    """(N, cin, H, W) → (N, sum of widths, H, W): k×k filters of each of these widths, in `branches`."""

    def __init__(self, cin: int, widths: Mapping[int, int]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({str(k): branch(cin, cout, k) for k, cout in widths.items()})

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.branches.values()], dim=1)


def branch(cin: int, cout: int, k: int) -> nn.Sequential:
    """k×k, through half as many channels where k is not 1."""
    return conv(cin, cout, 1) if k == 1 else nn.Sequential(conv(cin, cout // 2, 1), conv(cout // 2, cout, k))


def net(widths: Mapping[int, int], classes: int) -> Net:
    """Three modules with pooling in front of the second and the third."""
    whole = sum(widths.values())
    stages = [
        Side(16, widths),
        nn.Sequential(nn.MaxPool2d(2), Side(whole, widths)),
        nn.Sequential(nn.MaxPool2d(2), Side(whole, widths)),
    ]
    return Net(nn.Sequential(conv(1, 16, 3), nn.MaxPool2d(2)), stages, classifier(whole, classes))


def study(settings: Wide, lab: Lab) -> Study:
    """Filters of all sizes together against each size alone, at equal cost."""
    some = pictures(settings.data, lab, size=settings.size, train=settings.train, test=settings.test)
    together = dict.fromkeys(SIDES, settings.width // 3)
    most = _macs(together, settings)
    designs = {ALL: together} | {f"{k}×{k} only": _as_dear(k, most, settings) for k in SIDES}
    makes = {name: partial(net, widths, len(some.classes)) for name, widths in designs.items()}
    runs = trained(makes, some, settings, lab)
    accuracy = {name: [one.accuracy for one in found] for name, found in runs.items()}
    macs = {name: _macs(widths, settings) for name, widths in designs.items()}
    naive, thin = _example(None), _example(THIN)
    return Study(
        findings=[
            counted(
                "the 1×1 bottleneck makes a 5×5 affordable: 120 M multiply-adds become 12.4 M",
                (round(naive / 1e6), round(thin / 1e6, 1)) == (120, 12.4),
                f"{naive:,} without it, {thin:,} with it: {naive / thin:.1f} times fewer",
            ),
            *(
                more(
                    f"at equal cost all sizes together are right more often than {k}×{k} only",
                    accuracy[ALL],
                    accuracy[f"{k}×{k} only"],
                )
                for k in SIDES
            ),
        ],
        tables=[compared("Three modules of each kind, means over seeds", runs, macs), _costs()],
        figures=[
            accuracies(
                "Cost and accuracy, and its 95 % interval over seeds",
                {"": {name: (macs[name] / 1e6, found) for name, found in accuracy.items()}},
                ("million multiply-adds", "test accuracy"),
            ),
            _responses(runs[ALL][0].net, some),
        ],
        numbers={
            "accuracy": accuracy,
            "macs": macs,
            "filters": {name: list(widths.values()) for name, widths in designs.items()},
            "example": {"naive": naive, "bottleneck": thin},
        },
    )


def _macs(widths: Mapping[int, int], settings: Wide) -> int:
    return cost(net(widths, 10), settings.size, 1).macs


def _as_dear(k: int, wanted: int, settings: Wide) -> dict[int, int]:
    """As many k×k filters as come nearest to that cost."""
    return {k: nearest(range(2, 200, 2), wanted, lambda width: _macs({k: width}, settings))}


def _example(thin: int | None) -> int:
    """Multiply-adds of the lecture's 5×5, with this many 1×1 filters in front of it, or none."""
    layers = [conv(CIN, COUT, 5)] if thin is None else [conv(CIN, thin, 1), conv(thin, COUT, 5)]
    return cost(Net(nn.Identity(), layers, classifier(COUT, 0)), SIDE, CIN).macs


def _costs() -> Table:
    """The first inception module of GoogLeNet, branch by branch, with and without what is in front."""
    branches = (
        ("1×1", SIDE**2 * CIN * N1, SIDE**2 * CIN * N1),
        ("3×3", SIDE**2 * 9 * CIN * N3, SIDE**2 * (CIN * R3 + 9 * R3 * N3)),
        ("5×5", _example(None), _example(THIN)),
        ("pooling", 0, SIDE**2 * CIN * POOLED),
    )
    total = ("together", sum(one[1] for one in branches), sum(one[2] for one in branches))
    rows = [(name, f"{a / 1e6:.1f} M", f"{b / 1e6:.1f} M") for name, a, b in (*branches, total)]
    return Table(
        "GoogLeNet's module 3a at 28×28×192", ("branch", "filters alone", "with 1×1 in front or after"), rows
    )


def _responses(made: nn.Module, some: Pictures) -> Figure:
    """What the branches of the first module make of four pictures: each one's strongest map."""
    assert isinstance(made, Net)
    first = made.stages[0]
    assert isinstance(first, Side)
    x = torch.stack([some.test_x[some.test_y == label][0] for label in (0, 5, 7, 8)])
    rows = {"pixels": list(x[:, 0].numpy())}
    with torch.inference_mode():
        seen = made.stem(x)
        for k, part in first.branches.items():
            maps = part(seen)
            strongest = maps.std(dim=(2, 3)).argmax(dim=1)
            rows[f"{k}×{k}"] = [maps[i, strongest[i]].numpy() for i in range(len(x))]
    return sheets(
        "What each branch of the first module responds to: its strongest map of four pictures", rows
    )


CASE = Case(
    title="Filters side by side",
    claim=(
        "Filters of several sizes side by side see more, and the 1×1 bottleneck makes it affordable "
        "(120 M → 12.4 M)."
    ),
    source="Szegedy et al., 2014, arXiv:1409.4842",
    short=Wide(train=3000, test=2000, width=48, epochs=8, seeds=(0, 1, 2, 3)),
    full=Wide(train=12_000, test=10_000, width=48, epochs=16),
    study=study,
)
