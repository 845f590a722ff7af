"""Very Deep Convolutional Networks (Simonyan & Zisserman, 2014, arXiv:1409.1556), section 2.3: small filters.

    5×5                       one layer sees 5×5
    3×3 ─ relu ─ 3×3          two see 5×5 too, three see 7×7, for fewer weights and with more ReLUs

The nets compared have three stages, alike but for their filters; AlexNet's and VGG's costs are counted.
"""

from collections.abc import Sequence
from functools import partial

from torch import nn

from lexnet.cases.case import Case, Lab, Study, Table
from lexnet.cases.draw import accuracies
from lexnet.cases.lab import Wide, pictures, trained
from lexnet.cases.tables import compared
from lexnet.cases.verdict import counted, more
from lexnet.cost import cost, cost_of
from lexnet.nets import find
from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv

STACKS = {"one 5×5": (5,), "two 3×3": (3, 3), "one 7×7": (7,), "three 3×3": (3, 3, 3)}
PAIRS = (("two 3×3", "one 5×5"), ("three 3×3", "one 7×7"))
FAMOUS = ("alexnet_2012", "alexnet", "vgg11", "vgg16", "vgg19")


def study(settings: Wide, lab: Lab) -> Study:
    """Trains the same net with each stack of filters."""
    some = pictures(settings.data, lab, size=settings.size, train=settings.train, test=settings.test)
    makes = {name: partial(net, sides, settings.width, len(some.classes)) for name, sides in STACKS.items()}
    runs = trained(makes, some, settings, lab)
    accuracy = {name: [one.accuracy for one in found] for name, found in runs.items()}
    macs = {name: cost(make(), settings.size, 1).macs for name, make in makes.items()}
    findings = []
    for small, large in PAIRS:
        a, b = STACKS[small], STACKS[large]
        side, weights = receptive_field(a), (sum(k * k for k in a), sum(k * k for k in b))
        findings += [
            counted(
                f"{small} see as far as {large}, with fewer weights",
                side == receptive_field(b) and weights[0] < weights[1],
                f"both see {side}×{side}; {weights[0]}·C² against {weights[1]}·C² weights",
            ),
            more(f"{small} are right more often than {large}", accuracy[small], accuracy[large]),
        ]
    return Study(
        findings=findings,
        tables=[compared("The same net with different filters, means over seeds", runs, macs), _famous()],
        figures=[
            accuracies(
                "Cost and accuracy of the same net with different filters, and the 95 % interval over seeds",
                {"": {name: (macs[name] / 1e6, found) for name, found in accuracy.items()}},
                ("million multiply-adds", "test accuracy"),
            )
        ],
        numbers={"accuracy": accuracy, "macs": macs},
    )


def receptive_field(sides: Sequence[int]) -> int:
    """The side of what a stack of k×k filters sees of its input."""
    return 1 + sum(k - 1 for k in sides)


def net(sides: Sequence[int], width: int, classes: int) -> Net:
    """Three stages: a 1×1 that widens, the stack of filters, and pooling."""
    widths = (width, 2 * width, 4 * width)
    stages = [
        nn.Sequential(conv(cin, cout, 1), *(conv(cout, cout, k) for k in sides), nn.MaxPool2d(2))
        for cin, cout in zip((width, *widths), widths, strict=False)
    ]
    return Net(conv(1, width, 3), stages, classifier(4 * width, classes))


def _famous() -> Table:
    rows = []
    for name in FAMOUS:
        counts = cost_of(find(name))
        head = counts.stages()["head"].params / counts.params
        whole = f"{counts.params / 1e6:.1f} M", f"{counts.macs / 1e9:.2f} G"
        rows.append((name, *whole, f"{100 * head:.0f} %"))
    names = ("net", "parameters", "multiply-adds", "parameters in the dense layers")
    return Table("The nets themselves, at their own sizes", names, rows)


CASE = Case(
    title="Depth of small filters",
    claim="AlexNet and VGG: depth of small filters beats large filters at the same receptive field.",
    source="Simonyan & Zisserman, 2014, arXiv:1409.1556",
    short=Wide(size=20, train=2400, test=2000, width=16, epochs=5),
    full=Wide(train=12_000, test=10_000, width=16, epochs=12),
    study=study,
)
