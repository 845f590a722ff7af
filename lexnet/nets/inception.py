"""Going Deeper with Convolutions (Szegedy et al., 2014, arXiv:1409.4842): GoogLeNet.

        ┌─ 1×1 ────────┐
    x ──┼─ 1×1 ─ 3×3 ──┼── concatenate        Fig. 2b
        ├─ 1×1 ─ 5×5 ──┤
        └─ pool ─ 1×1 ─┘

The 1×1 in front of a large filter makes it affordable. Two side classifiers, on 4a and 4d, push
gradients into the middle while training: `create_tapped` gives the nets with them. `lexnet train` trains
without, unlike the paper. `googlenet_2014` is the paper's: 5×5 filters, local response norms, biases.
`googlenet` is torchvision's, for its weights: batch norm with eps 1e-3, no response norm, a 3×3 where
the paper has the 5×5, and a last pooling of 2×2.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv, he_init, relu

Conv = Callable[..., nn.Sequential]

# fmt: off
TABLE_1 = (
    #  1×1  3×3   3×3  5×5   5×5  pool
    #      reduce      reduce     1×1
    {"a": ( 64,  96, 128, 16,  32,  32), "b": (128, 128, 192, 32,  96,  64)},   # 3, after a pooling
    {"a": (192,  96, 208, 16,  48,  64), "b": (160, 112, 224, 24,  64,  64),    # 4, after a pooling
     "c": (128, 128, 256, 24,  64,  64), "d": (112, 144, 288, 32,  64,  64),
     "e": (256, 160, 320, 32, 128, 128)},
    {"a": (256, 160, 320, 32, 128, 128), "b": (384, 192, 384, 48, 128, 128)},   # 5, after a pooling
)
# fmt: on
SIDES = {"stage3.a": 512, "stage3.d": 528}  # what the paper calls 4a and 4d

normed: Conv = partial(conv, norm=partial(nn.BatchNorm2d, eps=1e-3))
plain: Conv = partial(conv, norm=None)
pool = partial(nn.MaxPool2d, kernel_size=3, stride=2, ceil_mode=True)
response_norm = partial(nn.LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=1)


class Inception(nn.Module):
    """(N, cin, H, W) → (N, n1 + n3 + n5 + proj, H, W), for a row (n1, r3, n3, r5, n5, proj) of Table 1.

    `k5` is the side of the filters in the third branch.
    """

    def __init__(self, cin: int, row: tuple[int, ...], conv: Conv, k5: int) -> None:
        super().__init__()
        n1, r3, n3, r5, n5, proj = row
        self.branches = nn.ModuleList([
            conv(cin, n1, 1),
            nn.Sequential(conv(cin, r3, 1), conv(r3, n3, 3)),
            nn.Sequential(conv(cin, r5, 1), conv(r5, n5, k5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(cin, proj, 1)),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def inceptions(conv: Conv, k5: int, *pools: nn.Module) -> Iterator[nn.Sequential]:
    """Stages 3 to 5 of Table 1: a pooling, then the modules by their letters."""
    cin = 192
    for first, rows in zip(pools, TABLE_1, strict=True):
        layers: OrderedDict[str, nn.Module] = OrderedDict(pool=first)
        for letter, row in rows.items():
            layers[letter] = Inception(cin, row, conv, k5)
            n1, _, n3, _, n5, proj = row
            cin = n1 + n3 + n5 + proj
        yield nn.Sequential(layers)


def googlenet(classes: int = 1000) -> Net:
    """As torchvision has it."""
    second, pools = (
        nn.Sequential(normed(64, 64, 1), normed(64, 192, 3)),
        (pool(), pool(), pool(kernel_size=2)),
    )
    stages = [second, *inceptions(normed, 3, *pools)]
    return Net(nn.Sequential(normed(3, 64, 7, 2), pool()), stages, classifier(1024, classes, 0.2))


def googlenet_2014(classes: int = 1000) -> Net:
    """Table 1, row by row."""
    second = nn.Sequential(plain(64, 64, 1), plain(64, 192, 3), response_norm())
    stages = [second, *inceptions(plain, 5, pool(), pool(), pool())]
    stem = nn.Sequential(plain(3, 64, 7, 2), pool(), response_norm())
    return Net(stem, stages, classifier(1024, classes, 0.4))


def sides(classes: int = 1000) -> dict[str, nn.Module]:
    """torchvision's side classifiers, for `Tapped`."""
    return {path: side(n, classes, normed, nn.AdaptiveAvgPool2d(4)) for path, n in SIDES.items()}


def sides_2014(classes: int = 1000) -> dict[str, nn.Module]:
    """The paper's side classifiers (§5), for `Tapped`; they take 224×224 pictures only."""
    return {path: side(n, classes, plain, nn.AvgPool2d(5, 3)) for path, n in SIDES.items()}


def side(cin: int, classes: int, conv: Conv, pool: nn.Module) -> nn.Sequential:
    """(N, cin, 14, 14) → (N, classes)"""
    hidden = he_init(nn.Linear(128 * 4 * 4, 1024))
    layers = OrderedDict(
        pool=pool, conv=conv(cin, 128, 1), flatten=nn.Flatten(), fc1=hidden, act=relu(), drop=nn.Dropout(0.7)
    )
    return nn.Sequential(layers | {"fc": nn.Linear(1024, classes)})
