"""Network in Network (Lin, Chen & Yan, 2013, arXiv:1312.4400), in its authors' released configurations.

    k×k ─ 1×1 ─ 1×1 ─ pool │ k×k ─ 1×1 ─ 1×1 ─ pool │ ... │ global average      Fig. 2

A 1×1 convolution is one dense layer applied at every position: three in a row make a small network
of each filter. The last 1×1 has a map for each class, and the average of a map is its logit, so the
net has no dense layer at all.
"""

from collections import OrderedDict
from functools import partial
from itertools import pairwise

from torch import nn

from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv, he_init, relu

conv = partial(conv, norm=None)
max_pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)  # Caffe rounds the size up
mean_pool = partial(nn.AvgPool2d, 3, 2, ceil_mode=True)


def mlpconv(
    cin: int, k: int, widths: tuple[int, ...], stride: int = 1, pad: int | None = None
) -> nn.Sequential:
    """A k×k convolution and a 1×1 for each further width: (N, cin, H, W) → (N, widths[-1], H', W')."""
    wider = [conv(a, b, 1) for a, b in pairwise(widths)]
    return nn.Sequential(conv(cin, widths[0], k, stride, pad=pad), *wider)


def map_head(width: int, classes: int) -> nn.Sequential:
    """A map for each class, averaged: (N, width, H, W) → (N, classes); without classes the pooled input."""
    if not classes:
        return classifier(width, 0)
    maps = he_init(nn.Conv2d(width, classes, 1))
    return nn.Sequential(OrderedDict(fc=maps, act=relu(), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


def nin_cifar(classes: int = 10) -> Net:
    """For 32×32 pictures."""
    stages = [
        nn.Sequential(*mlpconv(96, 5, (192, 192, 192)), mean_pool(), nn.Dropout(0.5)),
        mlpconv(192, 3, (192, 192)),
    ]
    stem = nn.Sequential(*mlpconv(3, 5, (192, 160, 96)), max_pool(), nn.Dropout(0.5))
    return Net(stem, stages, map_head(192, classes))


def nin_imagenet(classes: int = 1000) -> Net:
    """For 224×224 pictures."""
    stages = [
        nn.Sequential(*mlpconv(96, 5, (256, 256, 256)), max_pool()),
        nn.Sequential(*mlpconv(256, 3, (384, 384, 384)), max_pool(), nn.Dropout(0.5)),
        mlpconv(384, 3, (1024, 1024)),
    ]
    stem = nn.Sequential(*mlpconv(3, 11, (96, 96, 96), stride=4, pad=0), max_pool())
    return Net(stem, stages, map_head(1024, classes))
