"""The names that torchvision, timm and others give to the weights of our nets: a table for each.

`NORM` stands for the five tensors of a batch norm, `WB` for a weight and a bias. Side classifiers
come out under `sides.`, as `Tapped` has them.
"""

from collections.abc import Callable
from functools import partial

from lexnet.nets.efficientnet_lite import SCALING, depths
from lexnet.nets.efficientnet_lite import TABLE_1 as LITE
from lexnet.nets.mobilenet_v2 import TABLE_2 as MOBILENET_V2
from lexnet.nets.vgg import TABLE_1 as VGG
from lexnet.weights.rename import Rules

WB = r"(weight|bias)"
NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
LAYERS = {"conv": "conv", "bn": "norm"}


def torchvision_resnet() -> Rules:
    """ImageNet ResNets, of torchvision and of timm; the authors of the CIFAR weights use the same names."""

    def layer(stage: str, block: str, kind: str, number: str, rest: str) -> str:
        return f"stages.stage{stage}.{block}.residual.{int(number) - 1}.{LAYERS[kind]}.{rest}"

    def shortcut(stage: str, block: str, number: str, rest: str) -> str:
        return f"stages.stage{stage}.{block}.shortcut.{('conv', 'norm')[int(number)]}.{rest}"

    return [
        (r"conv1\.weight", "stem.0.conv.weight"),
        (rf"bn1\.{NORM}", r"stem.0.norm.\1"),
        (rf"layer(\d)\.(\d+)\.(conv|bn)(\d)\.{NORM}", layer),
        (rf"layer(\d)\.(\d+)\.downsample\.([01])\.{NORM}", shortcut),
        (rf"fc\.{WB}", r"head.fc.\1"),
    ]


def akamaster_resnet() -> Rules:
    """The CIFAR ResNets of akamaster/pytorch_resnet_cifar10."""
    return [
        (r"module\.conv1\.weight", "stem.conv.weight"),
        (rf"module\.bn1\.{NORM}", r"stem.norm.\1"),
        *((rf"module\.{pattern}", ours) for pattern, ours in torchvision_resnet() if "layer" in pattern),
        (rf"module\.linear\.{WB}", r"head.fc.\1"),
    ]


def torchvision_alexnet() -> Rules:
    features = {
        0: "stem.1",
        3: "stages.stage1.0",
        6: "stages.stage2",
        8: "stages.stage3",
        10: "stages.stage4.0",
    }
    return [
        *((rf"features\.{i}\.{WB}", rf"{ours}.conv.\1") for i, ours in features.items()),
        *(
            (rf"classifier\.{i}\.{WB}", rf"head.{ours}.\1")
            for i, ours in {1: "fc6", 4: "fc7", 6: "fc"}.items()
        ),
    ]


def torchvision_vgg(column: str, norm: bool) -> Rules:
    return [
        *_vgg_features(column, norm),
        *(
            (rf"classifier\.{i}\.{WB}", rf"head.{ours}.\1")
            for i, ours in {0: "fc6", 3: "fc7", 6: "fc"}.items()
        ),
    ]


def timm_vgg(column: str, norm: bool) -> Rules:
    """The dense layers are convolutions there, whose weights have the same numbers in the same order."""
    return [
        *_vgg_features(column, norm),
        (rf"pre_logits\.fc1\.{WB}", r"head.fc6.\1"),
        (rf"pre_logits\.fc2\.{WB}", r"head.fc7.\1"),
        (rf"head\.fc\.{WB}", r"head.fc.\1"),
    ]


def _vgg_features(column: str, norm: bool) -> Rules:
    """All layers are counted through: convolution, perhaps norm, ReLU, and a pooling after each stage."""
    rules: Rules = []
    i = 0
    for stage, depth in enumerate(VGG[column], start=1):
        for place in range(depth):
            ours = f"stages.stage{stage}.{place}"
            rules.append((rf"features\.{i}\.{WB}", rf"{ours}.conv.\1"))
            if norm:
                rules.append((rf"features\.{i + 1}\.{NORM}", rf"{ours}.norm.\1"))
            i += 3 if norm else 2
        i += 1
    return rules


def torchvision_googlenet() -> Rules:
    def branch(stage: str, letter: str, number: str, place: str | None, kind: str, rest: str) -> str:
        inner = f"{int(number) - 1}" + (f".{place}" if place else "")
        return f"stages.stage{int(stage) - 1}.{letter}.branches.{inner}.{LAYERS[kind]}.{rest}"

    def front(number: str, kind: str, rest: str) -> str:
        return f"{('stem.0', 'stages.stage1.0', 'stages.stage1.1')[int(number) - 1]}.{LAYERS[kind]}.{rest}"

    def side(number: str, layer: str, kind: str | None, rest: str) -> str:
        ours = f"conv.{LAYERS[kind]}" if kind else {"fc1": "fc1", "fc2": "fc"}[layer]
        return f"sides.{int(number) - 1}.{ours}.{rest}"

    return [
        (rf"conv(\d)\.(conv|bn)\.{NORM}", front),
        (rf"inception(\d)(\w)\.branch(\d)\.(?:(\d)\.)?(conv|bn)\.{NORM}", branch),
        (rf"aux(\d)\.(conv|fc1|fc2)\.(?:(conv|bn)\.)?{NORM}", side),
        (rf"fc\.{WB}", r"head.fc.\1"),
    ]


def torchvision_mobilenet_v2() -> Rules:
    """Blocks are counted through; in each the layers that expand, filter and project."""
    rules: Rules = [
        (r"features\.0\.0\.weight", "stem.conv.weight"),
        (rf"features\.0\.1\.{NORM}", r"stem.norm.\1"),
        (r"features\.18\.0\.weight", "stages.stage8.conv.weight"),
        (rf"features\.18\.1\.{NORM}", r"stages.stage8.norm.\1"),
        (rf"classifier\.1\.{WB}", r"head.fc.\1"),
    ]
    rows = [(expand > 1, depth) for expand, _, depth, _ in MOBILENET_V2]
    for block, (ours, expands) in enumerate(_blocks(rows), start=1):
        theirs, last = rf"features\.{block}\.conv", 2 if expands else 1
        for place, part in enumerate(("expand", "depthwise") if expands else ("depthwise",)):
            rules.append((rf"{theirs}\.{place}\.0\.weight", f"{ours}.{part}.conv.weight"))
            rules.append((rf"{theirs}\.{place}\.1\.{NORM}", rf"{ours}.{part}.norm.\1"))
        rules.append((rf"{theirs}\.{last}\.weight", f"{ours}.project.conv.weight"))
        rules.append((rf"{theirs}\.{last + 1}\.{NORM}", rf"{ours}.project.norm.\1"))
    return rules


def timm_mobilenet_v1() -> Rules:
    def block(stage: str, place: str, kind: str, rest: str) -> str:
        part = {
            "conv_dw": "depthwise.conv", "bn1": "depthwise.norm",
            "conv_pw": "pointwise.conv", "bn2": "pointwise.norm",
        }  # fmt: skip
        return f"stages.stage{int(stage) + 1}.{place}.{part[kind]}.{rest}"

    return [*_timm_ends(None), (rf"blocks\.(\d)\.(\d+)\.(conv_dw|conv_pw|bn1|bn2)\.{NORM}", block)]


def timm_inverted() -> Rules:
    """MobileNet v2 and EfficientNet-Lite: in the first block, which does not expand, the numbers shift."""
    full = dict(zip(("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"), _INVERTED, strict=True))
    first = dict(zip(("conv_dw", "bn1", "conv_pw", "bn2"), _INVERTED[2:], strict=True))

    def block(stage: str, place: str, kind: str, rest: str) -> str:
        part = (first if stage == "0" else full)[kind]
        return f"stages.stage{int(stage) + 1}.{place}.residual.{part}.{rest}"

    return [*_timm_ends("stages.stage8"), (rf"blocks\.(\d)\.(\d+)\.(\w+)\.{NORM}", block)]


_INVERTED = [f"{part}.{layer}" for part in ("expand", "depthwise", "project") for layer in ("conv", "norm")]


def _timm_ends(last: str | None) -> Rules:
    rules: Rules = [
        (r"conv_stem\.weight", "stem.conv.weight"),
        (rf"bn1\.{NORM}", r"stem.norm.\1"),
        (rf"classifier\.{WB}", r"head.fc.\1"),
    ]
    if last:
        rules += [(r"conv_head\.weight", f"{last}.conv.weight"), (rf"bn2\.{NORM}", rf"{last}.norm.\1")]
    return rules


def efficientnet_pytorch(number: int) -> Rules:
    """EfficientNet-Lite of the `efficientnet_pytorch` lineage: blocks are counted through."""
    rules: Rules = [
        (r"_conv_stem\.weight", "stem.conv.weight"),
        (rf"_bn0\.{NORM}", r"stem.norm.\1"),
        (r"_conv_head\.weight", "stages.stage8.conv.weight"),
        (rf"_bn1\.{NORM}", r"stages.stage8.norm.\1"),
        (rf"_fc\.{WB}", r"head.fc.\1"),
    ]
    expands = [expand > 1 for expand, *_ in LITE]
    rows = zip(expands, depths(SCALING[number][1]), strict=True)
    for block, (ours, expand) in enumerate(_blocks([*rows])):
        for place, part in enumerate(("expand", "depthwise", "project")):
            if part != "expand" or expand:
                rules.append((rf"_blocks\.{block}\._{part}_conv\.weight", f"{ours}.{part}.conv.weight"))
                rules.append((rf"_blocks\.{block}\._bn{place}\.{NORM}", rf"{ours}.{part}.norm.\1"))
    return rules


def _blocks(rows: list[tuple[bool, int]]) -> list[tuple[str, bool]]:
    """(our path, whether it expands) of each block of the stages with these depths."""
    return [
        (f"stages.stage{stage}.{place}.residual", expands)
        for stage, (expands, depth) in enumerate(rows, start=1)
        for place in range(depth)
    ]


LAYOUTS: dict[tuple[str, str], Callable[[], Rules]] = {
    ("torchvision", "alexnet"): torchvision_alexnet,
    ("torchvision", "googlenet"): torchvision_googlenet,
    ("torchvision", "mobilenet_v2"): torchvision_mobilenet_v2,
    ("timm", "mobilenet_v1"): timm_mobilenet_v1,
    **{("timm", f"mobilenet_v2{width}"): timm_inverted for width in ("", "_140", "_075", "_050", "_035")},
    **{("timm", f"efficientnet_lite{n}"): timm_inverted for n in range(5)},
    **{("efficientnet_pytorch", f"efficientnet_lite{n}"): partial(efficientnet_pytorch, n) for n in range(5)},
    **{("akamaster", f"resnet{n}"): akamaster_resnet for n in (20, 32, 44, 56, 110)},
    **{("torchvision", f"resnet{n}"): torchvision_resnet for n in (18, 34, 50, "50_v1", 101, 152)},
    **{
        (source, f"vgg{layers}{'_bn' if norm else ''}"): partial(rules, column, norm)
        for source, rules in (("torchvision", torchvision_vgg), ("timm", timm_vgg))
        for layers, column in ((11, "A"), (13, "B"), (16, "D"), (19, "E"))
        for norm in (False, True)
    },
}
"""The rules for (source, net)."""
