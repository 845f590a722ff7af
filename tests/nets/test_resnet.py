"""Residual nets and their plain twins."""

from functools import partial

import pytest
import torch
from made_nets import lively, noise
from torch import nn

from lexnet.cost import params
from lexnet.nets import NETS
from lexnet.nets.parts import Block
from lexnet.nets.resnet import (
    BASIC,
    ZeroPad,
    basic,
    basic_cifar,
    bottleneck,
    bottleneck_v1,
    resnet,
    resnet_cifar,
)

CIFAR = {"20": 20, "32": 32, "44": 44, "56": 56, "110": 110}


@pytest.mark.parametrize("block", [basic, basic_cifar, bottleneck, bottleneck_v1])
@pytest.mark.parametrize("training", [False, True])
def test_a_block_whose_residual_is_zero_is_the_identity_after_relu(block: Block, training: bool) -> None:
    one = block(64, 64, 1).train(training)
    nn.init.zeros_(one.residual[-1].norm.weight)
    x = noise(2, 64, 8)
    assert torch.equal(one(x.clone()), x.relu())


def test_a_block_leaves_its_input_as_it_was() -> None:
    """It works in place behind its own convolutions only: taps and cuts hold on to what goes in."""
    x = noise(2, 64, 8)
    before = x.clone()
    for block in (basic, basic_cifar, bottleneck, bottleneck_v1):
        block(64, 64, 1)(x)
        block(64, 128, 2)(x)
    assert torch.equal(x, before)


def test_a_deeper_twin_can_compute_the_same_function() -> None:
    """§1: the added layers are the identity, the others are copied."""
    torch.manual_seed(0)
    shallow = lively(resnet(basic, (2, 2, 2, 2), BASIC, classes=5), noise(4, 3, 64))
    deep = resnet(basic, (3, 2, 2, 2), BASIC, classes=5).eval()
    missing, unexpected = deep.load_state_dict(shallow.state_dict(), strict=False)
    assert not unexpected and all(key.startswith("stages.stage1.2.") for key in missing)
    nn.init.zeros_(deep.stages.stage1[2].residual[-1].norm.weight)
    x = noise(2, 3, 64)
    with torch.inference_mode():
        assert torch.equal(deep(x), shallow(x))


@pytest.mark.parametrize("size", [8, 9])
def test_an_option_a_shortcut_takes_every_other_pixel_and_pads_with_zeros(size: int) -> None:
    x = noise(2, 16, size)
    out = ZeroPad(16, 32, 2)(x)
    assert out.shape == (2, 32, (size + 1) // 2, (size + 1) // 2)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any() and not out[:, 24:].any()


def test_option_a_shortcuts_learn_nothing() -> None:
    with torch.device("meta"):
        net = NETS["resnet20"].build()
    shortcuts = [m for name, m in net.named_modules() if name.endswith(".shortcut")]
    assert [type(m) for m in shortcuts] == 3 * [nn.Identity] + 2 * ([ZeroPad] + 2 * [nn.Identity])
    assert not any(params(m) for m in shortcuts)


def test_projections_stand_where_the_shape_changes_and_nowhere_else() -> None:
    with torch.device("meta"):
        net = NETS["resnet18"].build()
    projected = [name for name, m in net.named_modules() if name.endswith(".shortcut") and params(m)]
    assert projected == [f"stages.stage{n}.0.shortcut" for n in (2, 3, 4)]


@pytest.mark.parametrize("layers", ["18", "34", *CIFAR])
def test_a_plain_net_has_the_weights_of_its_twin_but_for_the_projections(layers: str) -> None:
    with torch.device("meta"):
        plain, twin = NETS[f"plain{layers}"].build(), NETS[f"resnet{layers}"].build()
    projections = sum(params(m) for name, m in twin.named_modules() if name.endswith(".shortcut"))
    assert params(plain) == params(twin) - projections
    assert (projections == 0) == (layers in CIFAR)
    shapes = [p.shape for p in plain.parameters()]
    assert shapes == [p.shape for name, p in twin.named_parameters() if ".shortcut." not in name]


@pytest.mark.parametrize("name", ["resnet", "plain"])
@pytest.mark.parametrize(("depth", "layers"), CIFAR.items())
def test_a_cifar_net_has_as_many_layers_as_its_name_says(name: str, depth: str, layers: int) -> None:
    with torch.device("meta"):
        net = NETS[name + depth].build()
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules()) == layers


def test_the_papers_bottleneck_strides_on_the_1x1_and_v1_5_on_the_3x3() -> None:
    def strides(block: Block) -> list[tuple[int, ...]]:
        return [layer.conv.stride for layer in block(64, 256, 2).residual]

    assert strides(bottleneck_v1) == [(2, 2), (1, 1), (1, 1)]
    assert strides(bottleneck) == [(1, 1), (2, 2), (1, 1)]


def test_a_residual_net_is_a_sum_and_a_plain_net_is_not() -> None:
    """With all convolutions at zero, a picture still gets through the shortcuts."""
    x = noise(2, 16, 8).relu()
    for name, through in (("resnet20", True), ("plain20", False)):
        net = NETS[name].build().eval()
        for weight in (m.weight for m in net.stages.modules() if isinstance(m, nn.Conv2d)):
            nn.init.zeros_(weight)
        assert bool(net.stages(x).any()) == through


def test_the_number_of_blocks_follows_from_the_number_of_layers() -> None:
    with torch.device("meta"):
        net = partial(resnet_cifar, basic_cifar)(26)
    assert [len(stage) for stage in net.stages] == [4, 4, 4]
