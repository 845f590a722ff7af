"""Deep Residual Learning (He et al., 2015, arXiv:1512.03385), Figures 1 and 6: plain nets and their twins.

    plain       x ─ 3×3 ─ 3×3 ─ relu
    residual    x ─┬─ 3×3 ─ 3×3 ─ + ─ relu
                   └──────────────┘

Depths are 6n + 2 as there. The nets are narrower, so that two cores can train them, and learn by AdamW in
place of SGD with steps. With --data they learn any folder of 32×32 pictures; with --full too, and a GPU,
as they did in the paper.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from lexnet.augment.recipes import RECIPES
from lexnet.cases.case import Case, Finding, Lab, Study, Table
from lexnet.cases.draw import lines
from lexnet.cases.lab import Learned, Pictures, Training, answers, learn, new, pictures, trained
from lexnet.cases.tables import share
from lexnet.cases.verdict import counted, interval, more, no_less
from lexnet.config import NO_CLIP, FitConfig
from lexnet.nets.net import Net
from lexnet.nets.parts import Block, classifier, conv, stage
from lexnet.nets.resnet import basic_cifar, plain

NATS = ("nats", 1.0, 4)
SAME = 1e-4  # most that rounding may change an answer by
MARGIN = 0.05  # nats, by which a deep net may come out worse and still count as no worse
TWINS: dict[str, Block] = {"plain": plain, "residual": basic_cifar}


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """How wide and how deep the nets are."""

    channels: int = 1
    width: int
    depths: tuple[int, ...]

    again: ClassVar[float] = 1 / 3
    """Share of the learning rate at which a trained net, made deeper, goes on."""

    def with_data(self, data: str) -> "Settings":
        """The same on 32×32 pictures in colour of one's own."""
        return replace(self, data=data, size=32, channels=3)


class Published(Settings):
    """As section 4.2 has it, but for Nesterov's momentum, no decay of biases and norms, one mean of all
    pixels in place of one of each, and grey borders."""

    fit = FitConfig(
        optimiser="sgd",
        batch_size=128,
        weight_decay=1e-4,
        schedule="steps",
        warmup=0.0,
        clip=NO_CLIP,
        ema=0.0,
        smoothing=0.0,
        precision="float32",
    )
    recipe = RECIPES["cifar"]
    again = 1 / 100  # where the steps ended


def study(settings: Settings, lab: Lab) -> Study:
    """Trains each twin at each depth from each seed; then makes a trained residual net deeper."""
    channels = settings.channels
    some = pictures(
        settings.data,
        lab,
        size=settings.size,
        channels=channels,
        train=settings.train,
        test=settings.test,
    )
    shallow, deep = settings.depths[0], settings.depths[-1]
    makes = {
        f"{twin} {depth}": partial(net, block, depth, settings.width, channels, len(some.classes))
        for depth in settings.depths
        for twin, block in TWINS.items()
    }
    runs = trained(makes, some, settings, lab)
    lost = {name: [loss(one.net, some) for one in found] for name, found in runs.items()}
    worse = {twin: _difference(lost[f"{twin} {deep}"], lost[f"{twin} {shallow}"]) for twin in TWINS}
    deepened = [
        _deepened(one, seed, some, settings, lab)
        for seed, one in zip(settings.seeds, runs[f"residual {shallow}"], strict=True)
    ]
    gradients = {
        twin: [_gradients(makes[f"{twin} {deep}"], seed, some) for seed in settings.seeds] for twin in TWINS
    }
    return Study(
        findings=[
            more(
                f"a plain net of {deep} layers ends with a higher training loss than one of {shallow}",
                lost[f"plain {deep}"],
                lost[f"plain {shallow}"],
                NATS,
            ),
            more(
                f"skip connections remove that: plain nets lose more from {shallow} to {deep} layers",
                worse["plain"],
                worse["residual"],
                NATS,
            ),
            no_less(
                f"a residual net of {deep} layers ends no worse than one of {shallow}",
                lost[f"residual {shallow}"],
                lost[f"residual {deep}"],
                MARGIN,
                NATS,
            ),
            *_of_deepened(deepened),
        ],
        tables=[_table(settings, runs, lost)],
        figures=[
            lines(
                "Training loss, epoch by epoch (the mean while it is learned from)",
                range(1, settings.epochs + 1),
                {name: [one.losses for one in found] for name, found in runs.items()},
                ("epoch", "cross-entropy, nats"),
            ),
            lines(
                f"Length of the gradient at the start, layer by layer from the pixels on, {deep} layers",
                range(1, len(gradients["plain"][0]) + 1),
                gradients,
                ("layer", "length of the gradient"),
                log_y=True,
            ),
        ],
        numbers={
            "training_loss": lost,
            "test_accuracy": {name: [one.accuracy for one in found] for name, found in runs.items()},
            "gradients": gradients,
            "deepened": [vars(one) for one in deepened],
        },
    )


def net(block: Block, layers: int, width: int, channels: int, classes: int) -> Net:
    """6n + 2 layers, 2n of them in each of three stages of ever more channels."""
    n = (layers - 2) // 6
    rows = ((width, width, n, 1), (width, 2 * width, n, 2), (2 * width, 4 * width, n, 2))
    stages = [stage(block, *row) for row in rows]
    return Net(conv(channels, width, 3), stages, classifier(4 * width, classes))


def loss(made: nn.Module, some: Pictures) -> float:
    """Of the training pictures, the net as it is used."""
    return float(F.cross_entropy(answers(made.eval(), some.x), some.y))


@dataclass(frozen=True)
class Deepened:
    """A trained net, and the same with a block more in each stage, all of whose last norms scale by 0."""

    difference: float
    """Of their answers, at most."""
    before: float
    """Training loss of both."""
    after: float
    """Of the deeper one, once it has learned for an epoch more."""
    control: float
    """Of the other one, once it has learned as much."""


def _deepened(one: Learned, seed: int, some: Pictures, settings: Settings, lab: Lab) -> Deepened:
    shallow = one.net.eval()
    deeper, control = copy.deepcopy(shallow), copy.deepcopy(shallow)
    assert isinstance(deeper, Net)
    for part in deeper.stages.children():
        assert isinstance(part, nn.Sequential)
        width = [module for module in part.modules() if isinstance(module, nn.Conv2d)][-1].out_channels
        block = new(partial(basic_cifar, width, width, 1), seed)
        nn.init.zeros_(
            [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1].weight
        )
        part.append(block)
    change = (answers(deeper.eval(), some.x[:500]) - answers(shallow, some.x[:500])).abs().max()
    before = loss(shallow, some)
    for name, made in (("deeper", deeper), ("control", control)):
        step = f"{name}, seed {seed}"
        learn(
            made,
            some,
            lab,
            epochs=1,
            lr=settings.again * settings.lr,
            seed=seed + 100,
            how=settings.fit,
            recipe=settings.recipe,
            step=step,
        )
    return Deepened(float(change), before, loss(deeper, some), loss(control, some))


def _of_deepened(found: Sequence[Deepened]) -> list[Finding]:
    most = max(one.difference for one in found)
    after = [one.after for one in found]
    return [
        counted(
            "a trained net deepened by blocks that add nothing computes the same",
            most < SAME,
            f"its answers differ by {most:.1g} at most",
        ),
        more(
            "from there it improves: an epoch lowers its training loss",
            [one.before for one in found],
            after,
            NATS,
        ),
        no_less(
            "the extra layers do not hurt: it is no worse than the net that was not deepened",
            [one.control for one in found],
            after,
            MARGIN,
            NATS,
        ),
    ]


def _gradients(make: Callable[[], nn.Module], seed: int, some: Pictures) -> list[float]:
    """Of each convolution at the start, on the first pictures."""
    made = new(make, seed).train()
    torch.autograd.backward(F.cross_entropy(made(some.x[:128]), some.y[:128]))
    weights = [module.weight for module in made.modules() if isinstance(module, nn.Conv2d)]
    return [float(weight.grad.norm()) for weight in weights if weight.grad is not None]


def _difference(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [x - y for x, y in zip(a, b, strict=True)]


def _table(
    settings: Settings, runs: Mapping[str, Sequence[Learned]], lost: Mapping[str, Sequence[float]]
) -> Table:
    rows = []
    for name, found in runs.items():
        middle, low, high = interval(lost[name])
        right, _ = share([one.accuracy for one in found])
        rows.append((f"{name} layers", f"{middle:.3f}", f"{low:.3f} to {high:.3f}", right))
    caption = f"After {settings.epochs} epochs, means of {len(settings.seeds)} seeds"
    return Table(caption, ("net", "training loss, nats", "its 95 % interval", "test accuracy"), rows)


CASE = Case(
    title="Skip connections",
    claim=(
        "Very deep plain nets train worse; skip connections remove that; and extra residual layers do not "
        "hurt, since they learn the identity easily."
    ),
    source="He et al., 2015, arXiv:1512.03385",
    short=Settings(
        size=16, train=1600, test=1000, width=8, depths=(20, 56), epochs=8, lr=3e-3, seeds=(0, 1, 2)
    ),
    full=Settings(
        size=16,
        train=6000,
        test=10_000,
        width=8,
        depths=(20, 32, 44, 56),
        epochs=10,
        lr=3e-3,
        seeds=(0, 1, 2, 3),
    ),
    published=Published(
        size=32,
        channels=3,
        train=50_000,
        test=10_000,
        width=16,
        depths=(20, 32, 44, 56),
        epochs=164,
        lr=0.1,
        seeds=(0, 1, 2),
    ),
    study=study,
)
