"""MobileNets (Howard et al., 2017, arXiv:1704.04861).

    3×3 depthwise ─ bn ─ relu ─ 1×1 ─ bn ─ relu          Fig. 3, right

A k×k convolution into n' channels is split in two: one k×k filter for each channel, then a 1×1 that
mixes them. That costs 1/n' + 1/k² of the whole. ReLU6 as in the authors' code, where the paper says ReLU.
"""

from collections import OrderedDict

from torch import nn

from lexnet.nets.net import Net
from lexnet.nets.parts import Block, classifier, conv, relu6, round_to_eight, stage

# fmt: off
TABLE_1 = (
    # width depth stride
    (   64,   1,   1),
    (  128,   2,   2),
    (  256,   2,   2),
    (  512,   6,   2),
    ( 1024,   2,   2),
)
# fmt: on


def separable(cin: int, cout: int, stride: int) -> nn.Sequential:
    """Depthwise 3×3, then pointwise 1×1: (N, cin, H, W) → (N, cout, H/stride, W/stride)."""
    depthwise = conv(cin, cin, 3, stride, groups=cin, act=relu6)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=conv(cin, cout, 1, act=relu6)))


def mobilenet_v1(width: float = 1.0, classes: int = 1000, block: Block = separable) -> Net:
    """Table 1, thinned to the share `width` (the paper's α). Its Table 4 compares an ordinary `block`."""
    cin = first = round_to_eight(32 * width)
    stages = []
    for cout, depth, stride in TABLE_1:
        cout = round_to_eight(cout * width)
        stages.append(stage(block, cin, cout, depth, stride))
        cin = cout
    return Net(conv(3, first, 3, 2, act=relu6), stages, classifier(cin, classes))
