"""The lexicon: every net by name, with what its builder must add up to."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from torch import nn

from lexnet.errors import UnknownNet, did_you_mean
from lexnet.nets.alexnet import alexnet, alexnet_2012
from lexnet.nets.efficientnet_lite import efficientnet_lite
from lexnet.nets.inception import googlenet, googlenet_2014, sides, sides_2014
from lexnet.nets.lenet import lenet5, lenet5_modern
from lexnet.nets.mobilenet_v1 import mobilenet_v1
from lexnet.nets.mobilenet_v2 import mobilenet_v2
from lexnet.nets.net import Net
from lexnet.nets.nin import nin_cifar, nin_imagenet
from lexnet.nets.resnet import (
    BASIC,
    WIDE,
    basic,
    basic_cifar,
    bottleneck,
    bottleneck_v1,
    plain,
    resnet,
    resnet_cifar,
)
from lexnet.nets.vgg import vgg


@dataclass(frozen=True)
class Family:
    """Where a group of nets comes from."""

    name: str
    year: int
    paper: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A net and its reference numbers at its own size and number of classes."""

    build: Callable[..., Net]
    """`build(classes=...)`; with 0 classes the net gives its features."""
    family: Family
    params: int
    macs: int
    """Multiply-adds of convolutions and linear layers at `size`."""
    size: int = 224
    """Side of the square input, pixels."""
    channels: int = 3
    classes: int = 1000
    any_size: bool = True
    """Whether it takes pictures of other sizes too: it ends in global pooling."""
    sides: Callable[..., dict[str, nn.Module]] | None = None
    """`sides(classes=...)`: side classifiers to train with, by the path of their taps."""


LENET = Family("LeNet-5", 1998, "doi:10.1109/5.726791")
ALEXNET = Family("AlexNet", 2012, "NIPS 2012")
NIN = Family("Network in Network", 2013, "arXiv:1312.4400")
VGG = Family("VGG", 2014, "arXiv:1409.1556")
INCEPTION = Family("Inception", 2014, "arXiv:1409.4842")
RESNET = Family("ResNet", 2015, "arXiv:1512.03385")
MOBILENET_V1 = Family("MobileNet v1", 2017, "arXiv:1704.04861")
MOBILENET_V2 = Family("MobileNet v2", 2018, "arXiv:1801.04381")
EFFICIENTNET = Family("EfficientNet-Lite", 2020, "arXiv:1905.11946")

# fmt: off
NETS = {
    "lenet5": Entry(build=lenet5, family=LENET,
        params=60_000, macs=325_680, size=32, channels=1, classes=10, any_size=False),
    "lenet5_modern": Entry(build=lenet5_modern, family=LENET,
        params=61_706, macs=416_520, size=32, channels=1, classes=10, any_size=False),
    "alexnet_2012": Entry(build=alexnet_2012, family=ALEXNET,
        params=60_965_224, macs=724_406_816, size=227, any_size=False),
    "alexnet": Entry(build=alexnet, family=ALEXNET,
        params=61_100_840, macs=714_188_480, any_size=False),
    "nin_cifar": Entry(build=nin_cifar, family=NIN,
        params=966_986, macs=222_486_528, size=32, classes=10),
    "nin_imagenet": Entry(build=nin_imagenet, family=NIN,
        params=7_595_176, macs=1_100_188_800),
    "vgg11": Entry(build=partial(vgg, "A"), family=VGG,
        params=132_863_336, macs=7_609_090_048, any_size=False),
    "vgg13": Entry(build=partial(vgg, "B"), family=VGG,
        params=133_047_848, macs=11_308_466_176, any_size=False),
    "vgg16": Entry(build=partial(vgg, "D"), family=VGG,
        params=138_357_544, macs=15_470_264_320, any_size=False),
    "vgg19": Entry(build=partial(vgg, "E"), family=VGG,
        params=143_667_240, macs=19_632_062_464, any_size=False),
    "vgg11_bn": Entry(build=partial(vgg, "A", nn.BatchNorm2d), family=VGG,
        params=132_868_840, macs=7_609_090_048, any_size=False),
    "vgg13_bn": Entry(build=partial(vgg, "B", nn.BatchNorm2d), family=VGG,
        params=133_053_736, macs=11_308_466_176, any_size=False),
    "vgg16_bn": Entry(build=partial(vgg, "D", nn.BatchNorm2d), family=VGG,
        params=138_365_992, macs=15_470_264_320, any_size=False),
    "vgg19_bn": Entry(build=partial(vgg, "E", nn.BatchNorm2d), family=VGG,
        params=143_678_248, macs=19_632_062_464, any_size=False),
    "googlenet": Entry(build=googlenet, family=INCEPTION,
        params=6_624_904, macs=1_498_376_192, sides=sides),
    "googlenet_2014": Entry(build=googlenet_2014, family=INCEPTION,
        params=6_998_552, macs=1_582_671_872, sides=sides_2014),
    "resnet18": Entry(build=partial(resnet, basic, (2, 2, 2, 2), BASIC), family=RESNET,
        params=11_689_512, macs=1_814_073_344),
    "resnet34": Entry(build=partial(resnet, basic, (3, 4, 6, 3), BASIC), family=RESNET,
        params=21_797_672, macs=3_663_761_408),
    "resnet50": Entry(build=partial(resnet, bottleneck, (3, 4, 6, 3), WIDE), family=RESNET,
        params=25_557_032, macs=4_089_184_256),
    "resnet50_v1": Entry(build=partial(resnet, bottleneck_v1, (3, 4, 6, 3), WIDE), family=RESNET,
        params=25_557_032, macs=3_857_973_248),
    "resnet101": Entry(build=partial(resnet, bottleneck, (3, 4, 23, 3), WIDE), family=RESNET,
        params=44_549_160, macs=7_801_405_440),
    "resnet152": Entry(build=partial(resnet, bottleneck, (3, 8, 36, 3), WIDE), family=RESNET,
        params=60_192_808, macs=11_513_626_624),
    "plain18": Entry(build=partial(resnet, plain, (2, 2, 2, 2), BASIC), family=RESNET,
        params=11_515_688, macs=1_794_805_760),
    "plain34": Entry(build=partial(resnet, plain, (3, 4, 6, 3), BASIC), family=RESNET,
        params=21_623_848, macs=3_644_493_824),
    "resnet20": Entry(build=partial(resnet_cifar, basic_cifar, 20), family=RESNET,
        params=269_722, macs=40_551_040, size=32, classes=10),
    "resnet32": Entry(build=partial(resnet_cifar, basic_cifar, 32), family=RESNET,
        params=464_154, macs=68_862_592, size=32, classes=10),
    "resnet44": Entry(build=partial(resnet_cifar, basic_cifar, 44), family=RESNET,
        params=658_586, macs=97_174_144, size=32, classes=10),
    "resnet56": Entry(build=partial(resnet_cifar, basic_cifar, 56), family=RESNET,
        params=853_018, macs=125_485_696, size=32, classes=10),
    "resnet110": Entry(build=partial(resnet_cifar, basic_cifar, 110), family=RESNET,
        params=1_727_962, macs=252_887_680, size=32, classes=10),
    "plain20": Entry(build=partial(resnet_cifar, plain, 20), family=RESNET,
        params=269_722, macs=40_551_040, size=32, classes=10),
    "plain32": Entry(build=partial(resnet_cifar, plain, 32), family=RESNET,
        params=464_154, macs=68_862_592, size=32, classes=10),
    "plain44": Entry(build=partial(resnet_cifar, plain, 44), family=RESNET,
        params=658_586, macs=97_174_144, size=32, classes=10),
    "plain56": Entry(build=partial(resnet_cifar, plain, 56), family=RESNET,
        params=853_018, macs=125_485_696, size=32, classes=10),
    "plain110": Entry(build=partial(resnet_cifar, plain, 110), family=RESNET,
        params=1_727_962, macs=252_887_680, size=32, classes=10),
    "mobilenet_v1": Entry(build=mobilenet_v1, family=MOBILENET_V1,
        params=4_231_976, macs=568_740_352),
    "mobilenet_v1_075": Entry(build=partial(mobilenet_v1, 0.75), family=MOBILENET_V1,
        params=2_585_560, macs=325_400_448),
    "mobilenet_v1_050": Entry(build=partial(mobilenet_v1, 0.5), family=MOBILENET_V1,
        params=1_331_592, macs=149_497_088),
    "mobilenet_v1_025": Entry(build=partial(mobilenet_v1, 0.25), family=MOBILENET_V1,
        params=470_072, macs=41_030_272),
    "mobilenet_v2": Entry(build=mobilenet_v2, family=MOBILENET_V2,
        params=3_504_872, macs=300_774_272),
    "mobilenet_v2_140": Entry(build=partial(mobilenet_v2, 1.4), family=MOBILENET_V2,
        params=6_108_776, macs=582_195_824),
    "mobilenet_v2_075": Entry(build=partial(mobilenet_v2, 0.75), family=MOBILENET_V2,
        params=2_636_424, macs=209_069_792),
    "mobilenet_v2_050": Entry(build=partial(mobilenet_v2, 0.5), family=MOBILENET_V2,
        params=1_968_680, macs=97_131_840),
    "mobilenet_v2_035": Entry(build=partial(mobilenet_v2, 0.35), family=MOBILENET_V2,
        params=1_677_128, macs=59_285_808),
    "efficientnet_lite0": Entry(build=partial(efficientnet_lite, 0), family=EFFICIENTNET,
        params=4_652_008, macs=385_187_552),
    "efficientnet_lite1": Entry(build=partial(efficientnet_lite, 1), family=EFFICIENTNET,
        params=5_416_680, macs=600_185_232, size=240),
    "efficientnet_lite2": Entry(build=partial(efficientnet_lite, 2), family=EFFICIENTNET,
        params=6_092_072, macs=859_736_272, size=260),
    "efficientnet_lite3": Entry(build=partial(efficientnet_lite, 3), family=EFFICIENTNET,
        params=8_197_096, macs=1_383_321_872, size=280),
    "efficientnet_lite4": Entry(build=partial(efficientnet_lite, 4), family=EFFICIENTNET,
        params=13_006_568, macs=2_553_034_336, size=300),
}
# fmt: on

ALIASES = {  # timm's and torchvision's names that are more than another spelling of ours
    "nin": "nin_imagenet",
    "inception": "googlenet",
    "inception_v1": "googlenet",
    "mobilenet": "mobilenet_v1",
    "mobilenetv1_100": "mobilenet_v1",
    "mobilenetv2_100": "mobilenet_v2",
    **{f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}" for n in range(5)},
}


def resolve(name: str) -> str:
    """The lexicon's own name of a net: `ResNet-18` is resnet18, `mobilenetv2_100` is mobilenet_v2.

    Raises `UnknownNet` with the nearest names.
    """
    names = {_plain(known): known for known in NETS} | {_plain(a): own for a, own in ALIASES.items()}
    if own := names.get(_plain(name)):
        return own
    near = dict.fromkeys(names[n] for n in get_close_matches(_plain(name), names, n=3, cutoff=0.6))
    raise UnknownNet(f"no net named {name!r}{did_you_mean(near)}; `lexnet nets` lists all {len(NETS)}")


def find(name: str) -> Entry:
    """The entry of that name; raises `UnknownNet` with the nearest names."""
    return NETS[resolve(name)]


def _plain(name: str) -> str:
    """Without case, hyphens and underscores, in which people differ."""
    return re.sub(r"[-_ ]", "", name.lower())
