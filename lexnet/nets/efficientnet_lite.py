"""EfficientNet-Lite (TensorFlow team, 2020), after EfficientNet (Tan & Le, 2019, arXiv:1905.11946).

    x ─┬─ 1×1 expand ─ depthwise k×k ─ 1×1 project ─ + ─      MobileNet v2's block
       └───────── where shape and width stay ────────┘

One net in five sizes: depth, width and picture grow together (§3.3, compound scaling). The lite nets
drop EfficientNet's squeeze-and-excitation, which few devices run well, and swap swish for ReLU6, which
quantises better; their stem, their last layer and the depth of the first and last row are not scaled. The
released weights are TensorFlow's: SAME padding and a batch norm with eps 1e-3. Training drops no blocks
(there: stochastic depth, 0.2).
"""

from functools import partial
from math import ceil

from torch import nn

from lexnet.nets.mobilenet_v2 import InvertedResidual
from lexnet.nets.net import Net
from lexnet.nets.parts import SameConv2d, classifier, conv, relu6, round_to_eight, stage

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
SCALING = (
    # width depth dropout              lite0 to lite4, from the authors' code
    (1.0,   1.0,   0.2),
    (1.0,   1.1,   0.2),
    (1.1,   1.2,   0.3),
    (1.2,   1.4,   0.3),
    (1.4,   1.8,   0.3),
)
# fmt: on

conv = partial(conv, act=relu6, norm=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01), layer=SameConv2d)


def efficientnet_lite(number: int, classes: int = 1000) -> Net:
    """Table 1 scaled by a row of SCALING; the last 1×1 convolution is a stage of its own."""
    width, depth, dropout = SCALING[number]
    cin, stages = 32, []
    for (expand, cout, _, stride, k), n in zip(TABLE_1, depths(depth), strict=True):
        cout = round_to_eight(cout * width)
        block = partial(InvertedResidual, expand=expand, k=k, conv=conv)
        stages.append(stage(block, cin, cout, n, stride))
        cin = cout
    stages.append(conv(cin, 1280, 1))
    return Net(conv(3, 32, 3, stride=2), stages, classifier(1280, classes, dropout))


def depths(scale: float) -> list[int]:
    """How many blocks each stage has; the first and the last are not scaled."""
    first, *middle, last = (depth for _, _, depth, _, _ in TABLE_1)
    return [first, *(ceil(depth * scale) for depth in middle), last]
