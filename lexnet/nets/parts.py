"""The pieces that several families share."""

from collections import OrderedDict
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Block = Callable[[int, int, int], nn.Module]
"""`block(cin, cout, stride)`: (N, cin, H, W) → (N, cout, H/stride, W/stride)."""


class SameConv2d(nn.Conv2d):
    """TensorFlow's SAME padding: the output is ceil(H/stride), an odd pad goes to the bottom and right.

    The padding follows from the input's size; the one it is constructed with is not used.
    """

    def pads(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) for an input of this size."""
        extra = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, k, s in zip((height, width), self.kernel_size, self.stride, strict=True)
        ]
        top, left = extra[0] // 2, extra[1] // 2
        return top, left, extra[0] - top, extra[1] - left

    def forward(self, x: Tensor) -> Tensor:
        top, left, bottom, right = self.pads(x.shape[-2], x.shape[-1])
        if (top, left) == (bottom, right):  # saves the copy that F.pad makes
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), 1, self.groups)
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


def conv(
    cin: int,
    cout: int,
    k: int,
    stride: int = 1,
    *,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = nn.ReLU,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    layer: type[nn.Conv2d] = nn.Conv2d,
) -> nn.Sequential:
    """k×k convolution, batch norm, activation; half padding, or as the layer pads by itself."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=layer(cin, cout, k, stride, k // 2, groups=groups, bias=False),
        norm=norm(cout),
    )
    if act:
        layers["act"] = act()
    return nn.Sequential(layers)


def stage(block: Block, cin: int, cout: int, depth: int, stride: int) -> nn.Sequential:
    """`depth` blocks, of which the first changes the width and the resolution."""
    first = block(cin, cout, stride)
    return nn.Sequential(first, *(block(cout, cout, 1) for _ in range(depth - 1)))


def classifier(width: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """Global average pooling and a linear layer: (N, width, H, W) → (N, classes).

    With `classes=0` the linear layer is left out and the pooled features come out: (N, width).
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    if classes:
        layers["fc"] = nn.Linear(width, classes)
    return nn.Sequential(layers)
