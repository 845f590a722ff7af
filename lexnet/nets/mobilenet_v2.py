"""MobileNetV2: Inverted Residuals and Linear Bottlenecks (Sandler et al., 2018, arXiv:1801.04381).

    x ─┬─ 1×1 expand ─ 3×3 depthwise ─ 1×1 project ─ + ─      Fig. 4d
       └───────── where shape and width stay ────────┘

The shortcuts join the narrow ends, and the projection has no ReLU, which would destroy what little
the narrow end holds (§3.2). At widths below 1 the last layer keeps its 1,280 channels.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv, relu6, round_to_eight, stage

# fmt: off
TABLE_2 = (
    # expand width depth stride
    (1,     16,    1,    1),
    (6,     24,    2,    2),
    (6,     32,    3,    2),
    (6,     64,    4,    2),
    (6,     96,    3,    1),
    (6,    160,    3,    2),
    (6,    320,    1,    1),
)
# fmt: on

conv = partial(conv, act=relu6)


class InvertedResidual(nn.Module):
    """(N, cin, H, W) → (N, cout, H/stride, W/stride), by way of `expand` times the channels."""

    def __init__(
        self,
        cin: int,
        cout: int,
        stride: int,
        *,
        expand: int,
        k: int = 3,
        conv: Callable[..., nn.Sequential] = conv,
    ) -> None:
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


def mobilenet_v2(width: float = 1.0, classes: int = 1000) -> Net:
    """Table 2, thinned to the share `width` (the paper's α); the last 1×1 is a stage of its own."""
    cin = first = round_to_eight(32 * width)
    stages: list[nn.Module] = []
    for expand, cout, depth, stride in TABLE_2:
        cout = round_to_eight(cout * width)
        stages.append(stage(partial(InvertedResidual, expand=expand), cin, cout, depth, stride))
        cin = cout
    last = round_to_eight(1280 * max(1.0, width))
    stages.append(conv(cin, last, 1))
    return Net(conv(3, first, 3, stride=2), stages, classifier(last, classes, dropout=0.2))
