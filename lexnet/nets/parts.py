"""The pieces that several families share."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from lexnet.errors import ShapeError

Block = Callable[[int, int, int], nn.Module]
"""`block(cin, cout, stride)`: (N, cin, H, W) → (N, cout, H/stride, W/stride)."""

Dense = TypeVar("Dense", nn.Conv2d, nn.Linear)

relu = partial(nn.ReLU, inplace=True)
relu6 = nn.ReLU6  # in place autograd would first copy its input


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


class OnlySize(nn.Module):
    """(N, C, size, size) → itself: in front of nets whose dense layers fit no other size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) != (self.size, self.size):
            shown = "x".join(map(str, x.shape[2:]))
            raise ShapeError(
                f"this net takes pictures of {self.size}x{self.size}, not {shown}: its dense layers fit no "
                "other size; resize them, or take a net that ends in global pooling"
            )
        return x


def conv(
    cin: int,
    cout: int,
    k: int,
    stride: int = 1,
    *,
    pad: int | None = None,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = relu,
    norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
    bias: bool | None = None,
    layer: type[nn.Conv2d] = nn.Conv2d,
) -> nn.Sequential:
    """k×k convolution, batch norm, activation; half padding, or as the layer pads by itself.

    The convolution has a bias where no norm follows, which would take it away again.
    """
    pad = k // 2 if pad is None else pad
    bias = norm is None if bias is None else bias
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=he_init(layer(cin, cout, k, stride, pad, groups=groups, bias=bias), gain=2 if norm or act else 1)
    )
    if norm:
        layers["norm"] = norm(cout)
    if act:
        layers["act"] = act()
    return nn.Sequential(layers)


def he_init(layer: Dense, gain: float = 2.0) -> Dense:
    """The layer with weights that keep a signal's size through ReLUs, which halve its power (He et al., 2015,
    arXiv:1502.01852); with a gain of 1 through linear layers."""
    if (
        layer.weight.is_meta
    ):  # no numbers to set, for which torch would load its compiler, a matter of seconds
        return layer
    fan = layer.weight[0].numel()  # inputs of one output
    nn.init.normal_(layer.weight, std=(gain / fan) ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


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


def dense_head(cin: int, width: int, classes: int, *, dropout_first: bool) -> nn.Sequential:
    """The two dense layers of AlexNet and VGG and the class layer: (N, C, H, W) → (N, classes).

    `cin` is C·H·W; with `classes=0` the last hidden layer comes out: (N, width).
    """
    order = ("drop", "fc", "act") if dropout_first else ("fc", "act", "drop")
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number, n in ((6, cin), (7, width)):
        new = {"drop": nn.Dropout(0.5), "fc": he_init(nn.Linear(n, width)), "act": relu()}
        layers.update((f"{name}{number}", new[name]) for name in order)
    if classes:
        layers["fc"] = nn.Linear(width, classes)
    return nn.Sequential(layers)


def round_to_eight(channels: float) -> int:
    """The nearest multiple of 8 that loses at most a tenth of the channels."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
