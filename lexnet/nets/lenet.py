"""LeNet-5 (LeCun, Bottou, Bengio & Haffner, 1998, "Gradient-Based Learning Applied to Document Recognition").

    32×32 ─ C1 5×5 ─ S2 ÷2 ─ C3 5×5 ─ S4 ÷2 ─ C5 5×5 ─ F6 84 ─ OUTPUT 10      Fig. 2

`lenet5` is the paper's own: sub-sampling learns a scale and a shift, C3 sees some of the maps only,
the squashing is 1.7159 tanh(2/3 x), and the output units measure how far F6 is from a small drawing
of each digit, whose 7×12 pixels are fixed. Pictures are such that the background is -0.1 and the
ink 1.175 (§II.B). `lenet5_modern` is the net that is taught by the name today: full C3, ReLU,
max-pooling and a linear output.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexnet.nets.net import Net
from lexnet.nets.parts import OnlySize, conv, he_init, relu

# fmt: off
TABLE_I = (  # the maps of S2 that each map of C3 sees
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
FIG_3 = """
    .#####.  ...##..  .#####.  #######  .#####.
    .......  ..###..  .......  .....##  .......
    ..###..  .####..  .#####.  ....##.  .......
    .##.##.  ...##..  ##...##  ...##..  .##..##
    ##...##  ...##..  #....##  ..####.  .##..##
    ##...##  ...##..  ....##.  .....##  ###..##
    ##...##  ...##..  ..###..  .....##  ##...##
    ##...##  ...##..  .##....  .....##  ##...##
    .##.##.  ...##..  ##.....  ##...##  ##..###
    ..###..  .######  #######  .#####.  .######
    .......  .......  .......  .......  .....##
    .......  .......  .......  .......  .....##

    .#####.  ..####.  #######  .#####.  .#####.
    .......  .##....  .....##  ##...##  ##..###
    #######  ##.....  .....##  ##...##  ##...##
    ##.....  ##.....  ....##.  ##...##  ##...##
    ##.....  ######.  ...##..  .#####.  ##..###
    .####..  ###..##  ...##..  ##...##  .######
    ..####.  ##...##  ..##...  ##...##  .....##
    .....##  ##...##  ..##...  ##...##  .....##
    ##...##  ###..##  ..##...  ##...##  ....##.
    .#####.  .#####.  ..##...  .#####.  .####..
    .......  .......  .......  .......  .......
    .......  .......  .......  .......  .......
"""
# fmt: on


class Squash(nn.Module):
    """1.7159 tanh(2/3 x), of which ±1 are fixed points (Appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class SubSampling(nn.Module):
    """(N, C, H, W) → (N, C, H/2, W/2): the sum of each 2×2, scaled and shifted by two weights a map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))
        nn.init.uniform_(self.weight, -2.4 / 4, 2.4 / 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2) * (4 * self.weight) + self.bias


class Maps(nn.Module):
    """(N, C, H, W) → (N, len(maps), H, W): those maps of the input."""

    def __init__(self, maps: tuple[int, ...]) -> None:
        super().__init__()
        self.maps = list(maps)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.maps]


class C3(nn.Module):
    """(N, 6, H, W) → (N, 16, H - 4, W - 4), connected as in Table I."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Sequential(Maps(row), uniform(nn.Conv2d(len(row), 1, 5))) for row in TABLE_I
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([one(x) for one in self.maps], dim=1)


class Distance(nn.Module):
    """(N, 84) → (N, 10): minus the squared distance to each digit's drawing (equation 7)."""

    codes: Tensor
    in_features = 84

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor(digit_codes()))

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None] - self.codes).square().sum(dim=2)


def digit_codes() -> list[list[float]]:
    """Ten rows of 84: +1 where the digit's drawing has ink and -1 where it has none."""
    rows = [line.split() for line in FIG_3.strip().splitlines() if line]
    drawings = ["".join(column) for half in (rows[:12], rows[12:]) for column in zip(*half, strict=True)]
    return [[1.0 if pixel == "#" else -1.0 for pixel in drawing] for drawing in drawings]


def uniform(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The layer with weights within ±2.4 / fan-in (Appendix A)."""
    assert layer.bias is not None
    for weight in (layer.weight, layer.bias):
        nn.init.uniform_(weight, -2.4 / layer.weight[0].numel(), 2.4 / layer.weight[0].numel())
    return layer


def lenet5(classes: int = 10) -> Net:
    """Fig. 2. For any other number of classes than 10 the output is linear: there are ten drawings."""
    c1 = nn.Sequential(OnlySize(32), uniform(nn.Conv2d(1, 6, 5)), Squash())
    s2 = nn.Sequential(SubSampling(6), Squash())
    c3 = nn.Sequential(C3(), Squash())
    s4 = nn.Sequential(SubSampling(16), Squash())
    c5 = nn.Sequential(uniform(nn.Conv2d(16, 120, 5)), Squash())
    head: OrderedDict[str, nn.Module] = OrderedDict(
        flatten=nn.Flatten(), f6=uniform(nn.Linear(120, 84)), act=Squash()
    )
    if classes:
        head["fc"] = Distance() if classes == 10 else nn.Linear(84, classes)
    return Net(c1, [s2, c3, s4, c5], nn.Sequential(head))


def lenet5_modern(classes: int = 10) -> Net:
    """The same layers in today's materials."""
    c1 = nn.Sequential(OnlySize(32), conv(1, 6, 5, pad=0, norm=None))
    s2, s4 = nn.MaxPool2d(2), nn.MaxPool2d(2)
    c3, c5 = conv(6, 16, 5, pad=0, norm=None), conv(16, 120, 5, pad=0, norm=None)
    head: OrderedDict[str, nn.Module] = OrderedDict(
        flatten=nn.Flatten(), f6=he_init(nn.Linear(120, 84)), act=relu()
    )
    if classes:
        head["fc"] = nn.Linear(84, classes)
    return Net(c1, [s2, c3, s4, c5], nn.Sequential(head))
