"""Very Deep Convolutional Networks (Simonyan & Zisserman, 2014, arXiv:1409.1556).

    3×3 ─ 3×3 ─ pool/2 │ 3×3 ─ 3×3 ─ pool/2 │ ... │ 4096 ─ 4096 ─ classes

Two 3×3 in a row see 5×5 and three see 7×7, with fewer weights and more ReLUs. The `_bn` nets have a
batch norm after each convolution, which the paper could not know yet; their convolutions keep a
bias all the same, as in torchvision, whose weights have it.
"""

from collections.abc import Callable

from torch import nn

from lexnet.nets.net import Net
from lexnet.nets.parts import OnlySize, conv, dense_head

# fmt: off
WIDTHS =      (64, 128, 256, 512, 512)
TABLE_1 = {  # 3×3 convolutions a stage
    "A": ( 1,   1,   2,   2,   2),
    "B": ( 2,   2,   2,   2,   2),
    "D": ( 2,   2,   3,   3,   3),
    "E": ( 2,   2,   4,   4,   4),
}
# fmt: on


def vgg(column: str, norm: Callable[[int], nn.Module] | None = None, classes: int = 1000) -> Net:
    """One column of Table 1; each stage ends in the pooling that halves it."""
    cin, stages = 3, []
    for cout, depth in zip(WIDTHS, TABLE_1[column], strict=True):
        layers = [conv(n, cout, 3, norm=norm, bias=True) for n in (cin, *[cout] * (depth - 1))]
        stages.append(nn.Sequential(*layers, nn.MaxPool2d(2, 2)))
        cin = cout
    return Net(OnlySize(224), stages, dense_head(512 * 7 * 7, 4096, classes, dropout_first=False))
