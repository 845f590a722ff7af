"""Deep Residual Learning (He et al., 2015, arXiv:1512.03385), the nets for ImageNet.

x ─┬─ 3×3 ─ 3×3 ─ + ─ relu        Fig. 5, left
   └── shortcut ──┘
"""

from torch import Tensor, nn

from lexnet.nets.net import Net
from lexnet.nets.parts import Block, classifier, conv, stage


class Basic(nn.Module):
    """(N, cin, H, W) → (N, cout, H/stride, W/stride)"""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(conv(cin, cout, 3, stride), conv(cout, cout, 3, act=None))
        self.shortcut = shortcut(cin, cout, stride)

    def forward(self, x: Tensor) -> Tensor:
        return (self.shortcut(x) + self.residual(x)).relu()


def shortcut(cin: int, cout: int, stride: int) -> nn.Module:
    """Option B (§3.3): the identity where the shape stays, else a 1×1 projection."""
    if stride == 1 and cin == cout:
        return nn.Identity()
    return conv(cin, cout, 1, stride, act=None)


def resnet(block: Block, depths: tuple[int, ...], widths: tuple[int, ...], classes: int = 1000) -> Net:
    """Table 1, column by column."""
    stem = nn.Sequential(conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, padding=1))
    rows = zip((64, *widths), widths, depths, (1, 2, 2, 2), strict=False)
    return Net(stem, [stage(block, *row) for row in rows], classifier(widths[-1], classes))
