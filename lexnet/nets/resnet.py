"""Deep Residual Learning (He et al., 2015, arXiv:1512.03385).

    x ─┬─ 3×3 ─ 3×3 ─ + ─ relu            Fig. 5, left: basic
       └── shortcut ──┘
    x ─┬─ 1×1 ─ 3×3 ─ 1×1 ─ + ─ relu      Fig. 5, right: bottleneck
       └───── shortcut ─────┘

The nets for ImageNet are in their v1.5 form, with the stride on the 3×3 where the paper has it on
the first 1×1; `resnet50_v1` is the paper's. Shortcuts are of option B there (§3.3: a projection
where the shape changes) and of option A in the nets for CIFAR (§4.2: no parameters). A plain net is
the same net without shortcuts: what the paper compares with.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from lexnet.nets.net import Net
from lexnet.nets.parts import Block, classifier, conv, stage

BASIC, WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)


class Residual(nn.Module):
    """Fig. 2: relu(F(x) + x). Where F gives zero, a block passes on its (non-negative) input."""

    def __init__(self, residual: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x).add_(self.shortcut(x)).relu_()


def basic(cin: int, cout: int, stride: int) -> Residual:
    """Fig. 5, left."""
    return Residual(basic_branch(cin, cout, stride), option_b(cin, cout, stride))


def bottleneck(cin: int, cout: int, stride: int) -> Residual:
    """Fig. 5, right, with the stride on the 3×3."""
    return Residual(bottleneck_branch(cin, cout, 1, stride), option_b(cin, cout, stride))


def bottleneck_v1(cin: int, cout: int, stride: int) -> Residual:
    """Fig. 5, right, with the stride on the first 1×1 as in the paper."""
    return Residual(bottleneck_branch(cin, cout, stride, 1), option_b(cin, cout, stride))


def basic_cifar(cin: int, cout: int, stride: int) -> Residual:
    """Fig. 5, left, with a shortcut that has no parameters."""
    return Residual(basic_branch(cin, cout, stride), option_a(cin, cout, stride))


def plain(cin: int, cout: int, stride: int) -> nn.Sequential:
    """Fig. 3, middle: the same two layers with no way around them."""
    return nn.Sequential(conv(cin, cout, 3, stride), conv(cout, cout, 3))


def basic_branch(cin: int, cout: int, stride: int) -> nn.Sequential:
    """The residual F of two 3×3."""
    return nn.Sequential(conv(cin, cout, 3, stride), conv(cout, cout, 3, act=None))


def bottleneck_branch(cin: int, cout: int, first: int, second: int) -> nn.Sequential:
    """The residual F through a quarter of the channels; the strides of its first two layers."""
    thin = cout // 4
    return nn.Sequential(
        conv(cin, thin, 1, first), conv(thin, thin, 3, second), conv(thin, cout, 1, act=None)
    )


def option_b(cin: int, cout: int, stride: int) -> nn.Module:
    """Option B: the identity where the shape stays, else a 1×1 convolution."""
    return nn.Identity() if (cin, stride) == (cout, 1) else conv(cin, cout, 1, stride, act=None)


def option_a(cin: int, cout: int, stride: int) -> nn.Module:
    """Option A: the identity where the shape stays, else every other pixel and channels of zeros."""
    return nn.Identity() if (cin, stride) == (cout, 1) else ZeroPad(cin, cout, stride)


class ZeroPad(nn.Module):
    """(N, cin, H, W) → (N, cout, H/stride, W/stride): the zeros go half before, half behind."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.before = (cout - cin) // 2
        self.behind = cout - cin - self.before
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 1, self.stride)  # a slice would come back in another order in memory, slowly
        return F.pad(x, (0, 0, 0, 0, self.before, self.behind))


def resnet(block: Block, depths: tuple[int, ...], widths: tuple[int, ...], classes: int = 1000) -> Net:
    """Table 1, column by column."""
    stem = nn.Sequential(conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, padding=1))
    rows = zip((64, *widths), widths, depths, (1, 2, 2, 2), strict=False)
    return Net(stem, [stage(block, *row) for row in rows], classifier(widths[-1], classes))


def resnet_cifar(block: Block, layers: int, classes: int = 10) -> Net:
    """§4.2: 6n + 2 layers, 2n of them in each of three stages."""
    n = (layers - 2) // 6
    rows = ((16, 16, n, 1), (16, 32, n, 2), (32, 64, n, 2))
    return Net(conv(3, 16, 3), [stage(block, *row) for row in rows], classifier(64, classes))
