"""EfficientNet-Lite (TensorFlow team, 2020), after EfficientNet (Tan & Le, 2019, arXiv:1905.11946).

    x ─┬─ 1×1 expand ×6 ─ depthwise k×k ─ 1×1 project ─ + ─      MobileNet v2's block
       └──────── where shape and width stay ────────────┘

The lite nets drop EfficientNet's squeeze-and-excitation and swap swish for ReLU6, so that they
quantise well. Stem, head and the depth of the first and last row are not scaled. The released
weights are TensorFlow's: SAME padding and a batch norm with eps 1e-3.
"""

from collections import OrderedDict
from functools import partial
from math import ceil

from torch import Tensor, nn

from lexnet.nets.net import Net
from lexnet.nets.parts import SameConv2d, classifier, conv, stage

# fmt: off
TABLE_1 = (
    # expand width depth stride k      EfficientNet-B0, Table 1, rows 2 to 8
    (1,    16,   1,    1,     3),
    (6,    24,   2,    2,     3),
    (6,    40,   2,    2,     5),
    (6,    80,   3,    2,     3),
    (6,   112,   3,    1,     5),
    (6,   192,   4,    2,     5),
    (6,   320,   1,    1,     3),
)
# fmt: on

conv = partial(conv, act=nn.ReLU6, norm=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01), layer=SameConv2d)


class MBConv(nn.Module):
    """(N, cin, H, W) → (N, cout, H/stride, W/stride)"""

    def __init__(self, cin: int, cout: int, stride: int, *, expand: int, k: int) -> None:
        super().__init__()
        wide = cin * expand
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expand > 1:
            layers["expand"] = conv(cin, wide, 1)
        layers["depthwise"] = conv(wide, wide, k, stride, groups=wide)
        layers["project"] = conv(wide, cout, 1, act=None)
        self.residual = nn.Sequential(layers)
        self.skip = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x) if self.skip else self.residual(x)


def efficientnet_lite(width: float, depth: float, dropout: float, classes: int = 1000) -> Net:
    """Table 1 scaled by the compound rule; the last 1×1 convolution is a stage of its own."""
    cin, stages = 32, []
    for row, (expand, cout, n, stride, k) in enumerate(TABLE_1):
        cout = round_to_eight(cout * width)
        if 0 < row < len(TABLE_1) - 1:
            n = ceil(n * depth)
        stages.append(stage(partial(MBConv, expand=expand, k=k), cin, cout, n, stride))
        cin = cout
    stages.append(conv(cin, 1280, 1))
    return Net(conv(3, 32, 3, stride=2), stages, classifier(1280, classes, dropout))


def round_to_eight(channels: float) -> int:
    """The nearest multiple of 8 that loses at most a tenth of the channels."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
