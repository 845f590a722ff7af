"""ImageNet Classification with Deep CNNs (Krizhevsky, Sutskever & Hinton, NIPS 2012).

    11×11/4 ─ pool │ 5×5 ─ pool │ 3×3 │ 3×3 │ 3×3 ─ pool │ 4096 ─ 4096 ─ 1000      Fig. 2

`alexnet_2012` has what the paper has: two groups (its two GPUs) in the second, fourth and fifth
convolution, local response norms after the first two, and pooling windows that overlap (3 by 3, at
every second pixel). Its input is 227×227: the paper says 224, which 55×55 first-layer outputs cannot
come from without padding. `alexnet` is the one that everybody has weights of, torchvision's, after
"One weird trick" (Krizhevsky, 2014, arXiv:1404.5997): fewer filters, no groups, no response norm. Both start
from He's weights (2015) in place of the paper's N(0, 0.01).
"""

from functools import partial

from torch import nn

from lexnet.nets.net import Net
from lexnet.nets.parts import OnlySize, conv, dense_head

conv = partial(conv, norm=None)
pool = partial(nn.MaxPool2d, 3, 2)  # §3.4
response_norm = partial(nn.LocalResponseNorm, 5, alpha=5e-4, beta=0.75, k=2)  # §3.3; torch divides alpha by 5


def alexnet_2012(classes: int = 1000) -> Net:
    """§3.5."""
    stem = nn.Sequential(OnlySize(227), conv(3, 96, 11, 4, pad=0), response_norm(), pool())
    stages = [
        nn.Sequential(conv(96, 256, 5, groups=2), response_norm(), pool()),
        conv(256, 384, 3),
        conv(384, 384, 3, groups=2),
        nn.Sequential(conv(384, 256, 3, groups=2), pool()),
    ]
    net = Net(stem, stages, dense_head(256 * 6 * 6, 4096, classes, dropout_first=False))
    biased = "stages.stage1.0.conv", "stages.stage3.conv", "stages.stage4.0.conv", "head.fc6", "head.fc7"
    for layer in biased:  # §5: "this initialization accelerates the early stages of learning"
        nn.init.ones_(net.get_parameter(f"{layer}.bias"))
    return net


def alexnet(classes: int = 1000) -> Net:
    """The single column of "One weird trick" (page 5, footnote 1), but for the fourth layer, which has 256
    filters as in the author's cuda-convnet2 (384 there), and for dropout in front of the dense layers."""
    stem = nn.Sequential(OnlySize(224), conv(3, 64, 11, 4, pad=2), pool())
    stages = [
        nn.Sequential(conv(64, 192, 5), pool()),
        conv(192, 384, 3),
        conv(384, 256, 3),
        nn.Sequential(conv(256, 256, 3), pool()),
    ]
    return Net(stem, stages, dense_head(256 * 6 * 6, 4096, classes, dropout_first=True))
