"""What nets cost: against torch's own counter, against arithmetic on paper, and against the papers."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from lexnet.cost import Cost, LayerCost, cost, cost_of, params
from lexnet.errors import ShapeError
from lexnet.nets import NETS
from lexnet.nets.inception import Inception, plain
from lexnet.nets.mobilenet_v1 import separable
from lexnet.nets.net import Net
from lexnet.nets.parts import classifier, conv
from lexnet.nets.resnet import BASIC, WIDE, basic, bottleneck_v1, resnet

OTHER_SIZE = 97  # odd and prime, so that every stride and every ceiling leaves a remainder
SMALL = ("lenet5", "lenet5_modern", "alexnet_2012", "googlenet", "resnet18", "resnet20", "mobilenet_v2")
POOLED = ("nin_cifar", "nin_imagenet", "googlenet", "googlenet_2014", "resnet18", "resnet20", "mobilenet_v2")


@cache
def meta(name: str) -> Net:
    """The net without numbers in it."""
    with torch.device("meta"):
        return NETS[name].build().eval()


@cache
def counted_net(name: str) -> Cost:
    """The cost of a net of the lexicon at its own size."""
    return cost_of(NETS[name])


def alone(piece: nn.Module) -> Net:
    """A net that is nothing but this piece."""
    return Net(piece, [], nn.Identity())


def small_net() -> Net:
    """Two convolutions with batch norms, on the CPU."""
    torch.manual_seed(0)
    return Net(conv(3, 4, 3, 2), [conv(4, 8, 3, 2)], classifier(8, 5))


# Against torch's own counter


@pytest.mark.parametrize("name", NETS)
def test_multiply_adds_are_half_of_the_operations_that_torch_counts(name: str) -> None:
    """Its counter knows convolutions and matrix products, and so do we: the two agree to the last one.

    Neither counts norms, pooling, activations or the differences in LeNet-5's `Distance`.
    """
    entry = NETS[name]
    net = meta(name)
    for size in (entry.size, OTHER_SIZE)[: 1 + (name in POOLED)]:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            net(torch.empty(1, entry.channels, size, size, device="meta"))
        ours = counted_net(name).macs if size == entry.size else cost(net, size, entry.channels).macs
        assert counter.get_total_flops() == 2 * ours, f"at {size} pixels"


@pytest.mark.parametrize("name", NETS)
def test_no_parameter_is_missed_or_counted_twice(name: str) -> None:
    net = meta(name)
    counted = counted_net(name)
    assert counted.params == params(net) == sum(p.numel() for p in net.parameters())
    assert counted.bytes == 4 * counted.params


# What the numbers are of


@pytest.mark.parametrize("name", NETS)
def test_layers_add_up_to_stages_and_stages_to_the_net(name: str) -> None:
    counted = counted_net(name)
    stages = counted.stages()
    assert list(stages) == ["stem", *(f"stage{n}" for n in range(1, len(stages) - 1)), "head"]
    for key in ("params", "macs", "activations", "bytes"):
        total = getattr(counted, key)
        assert total == sum(getattr(layer, key) for layer in counted.layers), key
        assert total == sum(getattr(stage, key) for stage in stages.values()), key
    assert counted.shape == (NETS[name].classes,)
    assert [layer for stage in stages.values() for layer in stage.layers] == list(counted.layers)


@pytest.mark.parametrize("name", NETS)
def test_a_stages_shape_is_what_comes_out_of_the_stage(name: str) -> None:
    """Not of its last layer: that may be one branch of several, as in Inception."""
    entry = NETS[name]
    net = meta(name)
    x = net.stem(torch.empty(1, entry.channels, entry.size, entry.size, device="meta"))
    expected = {"stem": tuple(x.shape[1:])}
    for part, stage in net.stages.named_children():
        x = stage(x)
        expected[part] = tuple(x.shape[1:])
    shapes = {part: stage.shape for part, stage in counted_net(name).stages().items()}
    assert shapes == {**expected, "head": (entry.classes,)}


def test_lenet5_is_the_papers_table() -> None:
    """§II.B gives the trainable parameters; multiply-adds are its connections without the biases."""
    stages = cost_of(NETS["lenet5"]).stages()
    assert {name: (stage.params, stage.macs) for name, stage in stages.items()} == {
        "stem": (156, 117_600),  # C1: 6 × (25 + 1); 28 × 28 × 6 × 25, of 122,304 connections
        "stage1": (12, 0),  # S2
        "stage2": (1_516, 150_000),  # C3: 10 × 10 × 1,500, of 151,600 connections
        "stage3": (32, 0),  # S4
        "stage4": (48_120, 48_000),  # C5
        "head": (10_164, 10_080),  # F6; the codes of the output are fixed
    }
    assert stages["stem"].activations == 28 * 28 * 6


def test_lenet5_has_the_papers_layers() -> None:
    """C3 is one of them, whatever it is built from."""
    assert [(layer.name, layer.kind, layer.shape) for layer in counted_net("lenet5").layers] == [
        ("stem.1", "Conv2d", (6, 28, 28)),
        ("stages.stage1.0", "SubSampling", (6, 14, 14)),
        ("stages.stage2.0", "C3", (16, 10, 10)),
        ("stages.stage3.0", "SubSampling", (16, 5, 5)),
        ("stages.stage4.0", "Conv2d", (120, 1, 1)),
        ("head.f6", "Linear", (84,)),
        ("head.fc", "Distance", (10,)),
    ]


def test_a_batch_norm_belongs_to_the_convolution_in_front_of_it() -> None:
    counted = cost(small_net(), 16)
    assert [(layer.name, layer.kind, layer.shape, layer.params, layer.macs) for layer in counted.layers] == [
        ("stem.conv", "Conv2d", (4, 8, 8), 3 * 9 * 4 + 2 * 4, 8 * 8 * 4 * 27),
        ("stages.stage1.conv", "Conv2d", (8, 4, 4), 4 * 9 * 8 + 2 * 8, 4 * 4 * 8 * 36),
        ("head.pool", "AdaptiveAvgPool2d", (8, 1, 1), 0, 0),
        ("head.fc", "Linear", (5,), 8 * 5 + 5, 8 * 5),
    ]
    assert [layer.activations for layer in counted.layers] == [256, 128, 8, 5]
    assert [layer.bytes for layer in counted.layers] == [4 * layer.params for layer in counted.layers]
    normed, bare = (counted_net(name) for name in ("vgg11_bn", "vgg11"))
    assert [layer.name for layer in normed.layers] == [layer.name for layer in bare.layers]
    assert normed.params - bare.params == 2 * (64 + 128 + 2 * 256 + 4 * 512)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("classes", [0, 7])
def test_another_number_of_classes_changes_the_head_only(name: str, classes: int) -> None:
    own, other = counted_net(name).stages(), cost_of(NETS[name], classes=classes).stages()
    assert {k: v for k, v in own.items() if k != "head"} == {k: v for k, v in other.items() if k != "head"}
    with torch.device("meta"):
        net = NETS[name].build(classes=classes)
    assert sum(stage.params for stage in other.values()) == params(net)
    if classes:
        assert other["head"].shape == (classes,)


def test_grey_pictures_save_two_thirds_of_the_first_convolution() -> None:
    grey = Net(conv(1, 4, 3, 2), [conv(4, 8, 3, 2)], classifier(8, 5))
    colour, less = cost(small_net(), 16), cost(grey, 16, channels=1)
    assert 3 * less.layers[0].macs == colour.layers[0].macs
    assert less.layers[1:] == colour.layers[1:]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v1", "nin_cifar"])
def test_twice_the_side_is_four_times_the_work_of_the_convolutions(name: str) -> None:
    once, twice = (cost_of(NETS[name], size) for size in (64, 128))
    pairs = [(a, b) for a, b in zip(once.layers, twice.layers, strict=True) if "Conv" in a.kind]
    if name == "nin_cifar":  # its pooling rounds up
        assert 3.8 < twice.macs / once.macs < 4.1
    else:
        assert all(b.macs == 4 * a.macs for a, b in pairs)
    assert once.params == twice.params


# What counting leaves alone


class Memory(TorchDispatchMode):
    """The most bytes that a result of a tensor operation takes, but for what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is not torch.ops.aten.detach.default:
            tensors = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and not leaf.is_meta]
            self.most = max([self.most, *(tensor.untyped_storage().nbytes() for tensor in tensors)])
        return out


@contextmanager
def only_shapes() -> Iterator[None]:
    """Fails if an operation inside gives more than a number."""
    with Memory() as memory:
        yield
    assert 0 < memory.most <= 8


def test_the_largest_net_is_counted_without_its_575_megabytes() -> None:
    with only_shapes():
        counted = cost_of(NETS["vgg19"])
    assert counted.bytes == 4 * 143_667_240


def test_a_net_with_numbers_is_counted_without_being_run() -> None:
    net = small_net()
    with only_shapes():
        counted = cost(net, 4096)  # its first layer alone would give 64 MB
    assert counted.macs == 2048**2 * 4 * 27 + 1024**2 * 8 * 36 + 8 * 5


@pytest.mark.parametrize("training", [True, False])
def test_the_net_stays_as_it_was(training: bool) -> None:
    net = small_net().train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    first = cost(net, 16)
    assert cost(net, 16) == first
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items()), "weights or statistics"
    assert all(p.device.type == "cpu" and p.requires_grad and p.grad is None for p in net.parameters())
    assert [m.training for m in net.modules()] == [training] * len([*net.modules()])
    assert not any(m._forward_hooks for m in net.modules()), "a hook was left behind"


def test_modes_that_differ_inside_a_net_stay_as_they_were() -> None:
    """Somebody may have put one stage into evaluation mode without freezing it."""
    net = small_net().train()
    net.stages.eval()
    before = [m.training for m in net.modules()]
    cost(net, 16)
    assert [m.training for m in net.modules()] == before


def test_a_frozen_net_stays_frozen() -> None:
    net = small_net().train().freeze("stage1")
    before = [(m.training, [p.requires_grad for p in m.parameters()]) for m in net.modules()]
    cost(net, 16)
    assert [(m.training, [p.requires_grad for p in m.parameters()]) for m in net.modules()] == before


def test_a_refused_net_stays_as_it_was() -> None:
    net = NETS["lenet5_modern"].build().train()
    with pytest.raises(ShapeError):
        cost(net, 28, 1)
    assert all(m.training and not m._forward_hooks for m in net.modules())


@pytest.mark.parametrize("name", [name for name, entry in NETS.items() if not entry.any_size])
def test_nets_with_dense_layers_refuse_other_sizes(name: str) -> None:
    size = NETS[name].size
    with pytest.raises(ShapeError, match=f"takes pictures of {size}x{size}, not 65x65"):
        cost_of(NETS[name], 65)


@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize("name", POOLED)
def test_a_size_that_shrinks_to_nothing_is_refused_by_name(name: str, size: int) -> None:
    """`lexnet show` takes any size from 1: it is counted, or refused as `ShapeError`."""
    try:
        counted = cost_of(NETS[name], size)
    except ShapeError as error:
        assert f"{size}x{size}" in str(error)
    else:
        assert counted.params == NETS[name].params


@pytest.mark.parametrize("name", [name for name, entry in NETS.items() if entry.any_size])
def test_39_pixels_are_enough_for_every_net_that_takes_any_size(name: str) -> None:
    """The least that `lexnet nets` costs them at."""
    assert cost_of(NETS[name], 39).params == NETS[name].params


def test_38_pixels_are_too_few_for_one_of_them() -> None:
    with pytest.raises(ShapeError, match="3x38x38"):
        cost_of(NETS["nin_imagenet"], 38)


# Arithmetic on paper


def test_a_bottleneck_makes_a_5x5_ten_times_cheaper() -> None:
    """28×28×192 into 28×28×32: 120.4 million multiplications, or 2.4 + 10.0 by way of 16 channels."""
    straight = cost(alone(conv(192, 32, 5)), 28, 192)
    assert (straight.shape, straight.macs) == ((32, 28, 28), 120_422_400)
    narrow = cost(alone(nn.Sequential(conv(192, 16, 1), conv(16, 32, 5))), 28, 192)
    assert [layer.macs for layer in narrow.layers if layer.macs] == [2_408_448, 10_035_200]
    assert (narrow.shape, narrow.macs) == ((32, 28, 28), 12_443_648)


def test_a_separable_convolution_takes_672_multiplications_in_place_of_2160() -> None:
    """6×6×3 into 4×4×5, 3×3 without padding: 432 + 240."""
    whole = cost(alone(conv(3, 5, 3, pad=0)), 6)
    assert (whole.shape, whole.macs) == ((5, 4, 4), 2_160)
    depthwise = conv(3, 3, 3, pad=0, groups=3)
    split = cost(alone(nn.Sequential(depthwise, conv(3, 5, 1))), 6)
    assert [(layer.shape, layer.macs) for layer in split.layers if layer.macs] == [
        ((3, 4, 4), 432),
        ((5, 4, 4), 240),
    ]


@pytest.mark.parametrize("cout", [5, 64, 512])
@pytest.mark.parametrize("f", [1, 3, 5, 7])
def test_a_separable_convolution_costs_one_nth_and_one_f_squared(cout: int, f: int) -> None:
    cin, size = 16, 14
    split = nn.Sequential(conv(cin, cin, f, groups=cin), conv(cin, cout, 1))
    ratio = cost(alone(split), size, cin).macs / cost(alone(conv(cin, cout, f)), size, cin).macs
    assert ratio == pytest.approx(1 / cout + 1 / f**2)
    if f == 3:
        assert cost(alone(separable(cin, cout, 1)), size, cin).macs == cost(alone(split), size, cin).macs


@pytest.mark.parametrize(
    ("cin", "size", "row", "millions"),
    [
        (192, 28, (64, 96, 128, 16, 32, 32), 128),  # 3a
        (256, 28, (128, 128, 192, 32, 96, 64), 304),  # 3b
        (480, 14, (192, 96, 208, 16, 48, 64), 73),  # 4a
        (512, 14, (160, 112, 224, 24, 64, 64), 88),  # 4b
        (832, 7, (384, 192, 384, 48, 128, 128), 71),  # 5b
    ],
)
def test_inception_modules_cost_what_table_1_says(
    cin: int, size: int, row: tuple[int, ...], millions: int
) -> None:
    """arXiv:1409.4842, Table 1, column "ops"; it cuts off as often as it rounds."""
    counted = cost(alone(Inception(cin, row, plain, 5)), size, cin)
    assert counted.macs / 1e6 == pytest.approx(millions, abs=1)


def test_cost_is_made_of_layers() -> None:
    layers = [
        LayerCost(name=n, kind="Conv2d", shape=(2, 3, 3), params=5, macs=7) for n in ("stem", "head.fc")
    ]
    whole = Cost(tuple(layers), {"stem": (2, 3, 3), "head": (2, 3, 3)})
    assert (whole.params, whole.macs, whole.activations, whole.bytes) == (10, 14, 36, 40)
    assert list(whole.stages()) == ["stem", "head"]


# What the papers say


@pytest.mark.parametrize(
    ("name", "mult_adds", "parameters"),
    [
        ("mobilenet_v1", 569, 4.2),
        ("mobilenet_v1_075", 325, 2.6),
        ("mobilenet_v1_050", 149, 1.3),
        ("mobilenet_v1_025", 41, 0.5),
    ],
)
def test_mobilenet_v1_is_table_6(name: str, mult_adds: int, parameters: float) -> None:
    """arXiv:1704.04861, Table 6, in millions."""
    counted = counted_net(name)
    assert counted.macs / 1e6 == pytest.approx(mult_adds, abs=1)
    assert counted.params / 1e6 == pytest.approx(parameters, abs=0.05)


@pytest.mark.parametrize(
    ("name", "mult_adds", "parameters"),
    [
        ("mobilenet_v2_140", 582, 6.06),
        ("mobilenet_v2", 300, 3.47),
        ("mobilenet_v2_075", 209, 2.61),
        ("mobilenet_v2_050", 97, 1.95),
        ("mobilenet_v2_035", 59, 1.66),
    ],
)
def test_mobilenet_v2_is_what_its_authors_released(name: str, mult_adds: int, parameters: float) -> None:
    """The table beside their checkpoints (tensorflow/models, slim/nets/mobilenet), in millions.

    It leaves out the batch norms' parameters. The paper's Table 4 agrees on 300 for the width 1; its
    585 for 1.4 is half a per cent above what the released net, and everybody since, comes to.
    """
    norms = [m for m in meta(name).modules() if isinstance(m, nn.BatchNorm2d)]
    counted = counted_net(name)
    assert counted.macs / 1e6 == pytest.approx(mult_adds, abs=1)
    assert (counted.params - sum(2 * m.num_features for m in norms)) / 1e6 == pytest.approx(
        parameters, abs=0.005
    )


@pytest.mark.parametrize(
    ("block", "depths", "widths", "billions"),
    [
        (basic, (2, 2, 2, 2), BASIC, 1.8),
        (basic, (3, 4, 6, 3), BASIC, 3.6),
        (bottleneck_v1, (3, 4, 6, 3), WIDE, 3.8),
        (bottleneck_v1, (3, 4, 23, 3), WIDE, 7.6),
        (bottleneck_v1, (3, 8, 36, 3), WIDE, 11.3),
    ],
)
def test_resnets_are_table_1(block: Any, depths: Any, widths: Any, billions: float) -> None:
    """arXiv:1512.03385, Table 1: multiply-adds, of nets with the stride on the first 1×1 (v1).

    The paper does not say what it makes of the shortcuts' projections, which are at most 3 % of a net.
    """
    with torch.device("meta"):
        net = resnet(block, depths, widths)
    assert cost(net, 224).macs / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize(("name", "more"), [("resnet50", 0.23), ("resnet101", 0.23), ("resnet152", 0.23)])
def test_the_stride_on_the_3x3_costs_a_quarter_of_a_billion(name: str, more: float) -> None:
    """v1.5 against Table 1's v1: three blocks, whatever the depth."""
    depths = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}[name]
    with torch.device("meta"):
        first = resnet(bottleneck_v1, depths, WIDE)
    counted = counted_net(name)
    assert counted.params == params(first)
    assert (counted.macs - cost(first, 224).macs) / 1e9 == pytest.approx(more, abs=0.005)


@pytest.mark.parametrize(
    ("name", "millions"), [("vgg11", 133), ("vgg13", 133), ("vgg16", 138), ("vgg19", 144)]
)
def test_vgg_has_the_parameters_of_table_2(name: str, millions: int) -> None:
    """arXiv:1409.1556, Table 2."""
    assert round(counted_net(name).params / 1e6) == millions


def test_vgg_and_alexnet_cost_what_everybody_quotes() -> None:
    """15.5 and 19.6 billion; the ResNet paper has 15.3 and 19.6, the former without the dense layers."""
    vgg16 = cost_of(NETS["vgg16"])
    assert round(vgg16.macs / 1e9, 1) == 15.5
    assert round((vgg16.macs - vgg16.stages()["head"].macs) / 1e9, 1) == 15.3
    assert round(cost_of(NETS["vgg19"]).macs / 1e9, 1) == 19.6
    two_columns, one = (counted_net(name) for name in ("alexnet_2012", "alexnet"))
    assert [round(net.macs / 1e6) for net in (two_columns, one)] == [724, 714]
    assert round(two_columns.params / 1e6) == 61  # "60 million parameters" in the paper's abstract


def test_googlenet_takes_the_papers_one_and_a_half_billion() -> None:
    """arXiv:1409.4842, §1: a budget of 1.5 billion multiply-adds, and far fewer weights than AlexNet."""
    small, large = cost_of(NETS["googlenet_2014"]), cost_of(NETS["alexnet_2012"])
    assert small.macs / 1e9 == pytest.approx(1.5, abs=0.1)
    assert large.params / small.params == pytest.approx(9, abs=0.5)
