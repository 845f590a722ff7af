"""MobileNets (Howard et al., 2017, arXiv:1704.04861; Sandler et al., 2018, arXiv:1801.04381).

    3×3×cin → n'        3×3 depthwise ─ 1×1 → n'             1×1 expand ─ 3×3 depthwise ─ 1×1 project ─ +
    ordinary            v1: 1/n' + 1/9 of the cost           v2: and a way around

Cost is counted in multiply-adds, and measured: one thread, one picture, the median of some runs in turns.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

import lexnet
from lexnet.cases.case import Case, Lab, Study, Table
from lexnet.cases.draw import accuracies, against, bars
from lexnet.cases.lab import Training, nearest, pictures, trained
from lexnet.cases.tables import compared
from lexnet.cases.verdict import counted, more, no_less
from lexnet.cost import cost
from lexnet.job.finish import apart
from lexnet.nets.mobilenet_v1 import mobilenet_v1, separable
from lexnet.nets.mobilenet_v2 import InvertedResidual
from lexnet.nets.net import Net
from lexnet.nets.parts import Block, classifier, conv, relu6, stage

LAYERS = ((32, 64, 112), (128, 128, 56), (256, 256, 28), (512, 512, 14))
"""cin, cout and the side of the picture, from MobileNet v1's Table 1"""
THIN = (0.25, 0.5, 0.75, 1.0)
"""MobileNet v1's own widths"""
WHOLE = ("vgg16", "resnet18", "mobilenet_v1", "mobilenet_v2", "efficientnet_lite0")
RUNS = 15
LOSS = 2.0  # points that a separable net may lose


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """How wide the nets are."""

    widths: tuple[int, ...]


def ordinary(cin: int, cout: int, stride: int) -> nn.Module:
    """One 3×3."""
    return conv(cin, cout, 3, stride, act=relu6)


def inverted(cin: int, cout: int, stride: int) -> InvertedResidual:
    """v2's block, which widens threefold."""
    return InvertedResidual(cin, cout, stride, expand=3)


def without_residual(cin: int, cout: int, stride: int) -> nn.Module:
    """The same without its skip connection."""
    block = inverted(cin, cout, stride)
    block.skip = False
    return block


def net(block: Block, width: int, classes: int = 10) -> Net:
    """Three stages of three blocks each."""
    rows = ((width, width, 3, 1), (width, 2 * width, 3, 2), (2 * width, 4 * width, 3, 2))
    stages = [stage(block, *row) for row in rows]
    return Net(conv(1, width, 3, 2, act=relu6), stages, classifier(4 * width, classes))


def study(settings: Settings, lab: Lab) -> Study:
    """Counts, times, and trains; v2 as wide as comes nearest to v1's cost."""
    layers, thin = [_layer(*row) for row in LAYERS], [_thin(width) for width in THIN]
    whole = {name: _whole(name, lab) for name in WHOLE}
    some = pictures(settings.data, lab, size=settings.size, train=settings.train, test=settings.test)
    kinds: dict[str, Block] = {"ordinary": ordinary, "v1": separable}
    makes = {f"{kind} {w}": partial(net, kinds[kind], w) for kind in kinds for w in settings.widths}
    as_dear = {w: _as_dear(_macs(makes[f"v1 {w}"](), settings), settings) for w in settings.widths}
    makes |= {f"v2 like v1 {w}": partial(net, inverted, near) for w, near in as_dear.items()}
    widest = settings.widths[-1]
    makes[f"v2 like v1 {widest}, no residual"] = partial(net, without_residual, as_dear[widest])
    runs = trained(makes, some, settings, lab)
    macs = {name: _macs(make(), settings) for name, make in makes.items()}
    accuracy = {name: [one.accuracy for one in found] for name, found in runs.items()}
    full, v1, v2 = f"ordinary {widest}", f"v1 {widest}", f"v2 like v1 {widest}"
    saved = macs[v1] / macs[full]
    return Study(
        findings=[
            counted(
                "depthwise then pointwise costs 1/n' + 1/f² of an ordinary convolution",
                all(abs(one.counted - one.formula) < 1e-9 for one in layers),
                "; ".join(f"{one.name}: {one.counted:.4f}, the formula {one.formula:.4f}" for one in layers),
            ),
            no_less(
                f"a net of it loses at most {LOSS:g} points at {100 * saved:.0f} % of the cost",
                accuracy[v1],
                accuracy[full],
                LOSS,
            ),
            more(
                "v2's expansion and residual do better than v1 at the same cost", accuracy[v2], accuracy[v1]
            ),
            more(
                "v2 does better with its residual than without", accuracy[v2], accuracy[f"{v2}, no residual"]
            ),
        ],
        tables=[
            _shares([*layers, *thin]),
            _nets(whole),
            compared("The same small net of different blocks, means over seeds", runs, macs),
        ],
        figures=[
            bars(
                "Separable 3×3 as a share of ordinary ones: by the formula, counted, and measured here",
                {
                    one.name: {
                        "1/n' + 1/f²": (one.formula,) * 3,
                        "counted": (one.counted,) * 3,
                        "measured": one.measured,
                    }
                    for one in (*layers, *thin)
                },
                "share of the same with ordinary convolutions",
            ),
            against(
                "Whole nets at 224 pixels: what is counted, and what it takes (one thread, one picture)",
                {name: (one[0] / 1e6, 1000 * one[1]) for name, one in whole.items()},
                ("million multiply-adds", "milliseconds"),
            ),
            accuracies(
                "Cost and accuracy of small nets of each kind of block, and the 95 % interval over seeds",
                {
                    kind: {
                        name.removeprefix(kind).strip(" ,"): (macs[name] / 1e6, accuracy[name])
                        for name in makes
                        if name.startswith(kind)
                    }
                    for kind in ("ordinary", "v1", "v2")
                },
                ("million multiply-adds", "test accuracy"),
            ),
        ],
        numbers={
            "layers": [vars(one) for one in layers],
            "thin": [vars(one) for one in thin],
            "nets": {name: {"macs": one[0], "seconds": one[1]} for name, one in whole.items()},
            "accuracy": accuracy,
            "macs": macs,
        },
    )


@dataclass(frozen=True)
class Share:
    """A layer or a net of separable convolutions, as a share of the same with ordinary ones."""

    name: str
    formula: float
    counted: float
    measured: tuple[float, float, float]
    """Of the time: the median of all rounds, and the middle half of them."""
    seconds: float
    """Of the ordinary one."""


def _layer(cin: int, cout: int, side: int) -> Share:
    pair = [Net(nn.Identity(), [block(cin, cout, 1)], classifier(cout, 0)) for block in (ordinary, separable)]
    return _share(f"{cin} → {cout} at {side}×{side}", pair, cin, side)


def _thin(width: float) -> Share:
    pair = [mobilenet_v1(width, block=block) for block in (ordinary, separable)]
    return _share(f"MobileNet v1 ×{width:g}", pair, 3, 224)


def _share(name: str, pair: Sequence[Net], channels: int, side: int) -> Share:
    """Of the second, as a share of the first; the formula is about its stages alone."""
    plain, split = (cost(made.eval(), side, channels) for made in pair)
    blocks = [layer for layer in plain.layers if layer.name.startswith("stages.")]
    formula = sum(one.macs * (1 / one.shape[0] + 1 / 9) for one in blocks) / sum(one.macs for one in blocks)
    times = _seconds(pair, (1, channels, side, side))
    low, middle, high = np.percentile(times[1] / times[0], (25, 50, 75)).tolist()
    return Share(name, formula, split.macs / plain.macs, (middle, low, high), float(np.median(times[0])))


def _whole(name: str, lab: Lab) -> tuple[int, float]:
    """(multiply-adds, seconds) of a net of the lexicon."""
    made = lexnet.create_net(name).eval()
    lab.progress("time nets", WHOLE.index(name) + 1, len(WHOLE))
    return cost(made, 224, 3).macs, float(np.median(_seconds([made], (1, 3, 224, 224))[0]))


def _seconds(nets: Sequence[nn.Module], shape: tuple[int, ...]) -> np.ndarray:
    """(nets, rounds), taken in turns, on one thread; the first two rounds are left out."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    times = np.zeros((len(nets), RUNS + 2))
    with apart(1), torch.inference_mode():
        for run in range(RUNS + 2):
            for number, made in enumerate(nets):
                start = time.perf_counter()
                made(x)
                times[number, run] = time.perf_counter() - start
    return times[:, 2:]


def _macs(made: Net, settings: Settings) -> int:
    return cost(made, settings.size, 1).macs


def _as_dear(wanted: int, settings: Settings) -> int:
    """The width at which v2 comes nearest to this cost."""
    return nearest(range(4, 100), wanted, lambda width: _macs(net(inverted, width), settings))


def _shares(found: Sequence[Share]) -> Table:
    rows = [
        (
            one.name,
            f"{one.formula:.3f}",
            f"{one.counted:.3f}",
            f"{one.measured[0]:.3f} ({one.measured[1]:.3f} to {one.measured[2]:.3f})",
            f"{one.measured[0] / one.counted:.1f}",
            f"{1000 * one.seconds:.2f} ms",
        )
        for one in found
    ]
    head = (
        "layer or net",
        "1/n' + 1/f²",
        "counted",
        "measured (middle half)",
        "measured / counted",
        "the ordinary one takes",
    )
    return Table("Separable 3×3 as a share of ordinary ones (one thread, one picture)", head, rows)


def _nets(whole: dict[str, tuple[int, float]]) -> Table:
    rows = [
        (name, f"{macs / 1e6:,.0f} M", f"{1000 * seconds:.0f} ms", f"{macs / seconds / 1e9:.1f} G")
        for name, (macs, seconds) in whole.items()
    ]
    head = ("net", "multiply-adds", "time", "multiply-adds a second")
    return Table("Whole nets at 224 pixels (one thread, one picture, median)", head, rows)


CASE = Case(
    title="Separable convolutions",
    claim=(
        "Depthwise then pointwise costs 1/n' + 1/f² of an ordinary convolution and loses little by it; v2's "
        "expansion and residual do better at the same cost."
    ),
    source="Howard et al., 2017, arXiv:1704.04861; Sandler et al., 2018, arXiv:1801.04381",
    short=Settings(size=20, train=2100, test=2000, widths=(16, 32), epochs=4, lr=3e-3, seeds=(0, 1, 2, 3)),
    full=Settings(train=12_000, test=10_000, widths=(16, 32), epochs=12, lr=3e-3),
    study=study,
)
