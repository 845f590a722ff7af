"""A net in two, and a net of which one part no longer learns."""

import pytest
import torch
from made_nets import KINDS, blocks, lively, pictures, shift, small
from torch import nn
from torch.nn import functional as F

from lexnet.errors import LexNetError, UnknownStage
from lexnet.nets import NETS
from lexnet.nets.net import Net

ONE_BY_ONE = [name for name in NETS if name.startswith(("mobilenet_v2", "efficientnet_lite"))]


@pytest.fixture(scope="module", params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def net(name: str) -> Net:
    return lively(small(name, classes=5), pictures(name, 4), shift(name))


def resnet20() -> Net:
    torch.manual_seed(0)
    return NETS["resnet20"].build()


def test_trunk_and_tail_make_up_the_net_bit_by_bit(name: str, net: Net) -> None:
    x = pictures(name)
    with torch.inference_mode():
        whole = net(x)
        for path in blocks(net):
            trunk, tail = net.cut(path)
            assert torch.equal(tail(trunk(x)), whole), path


def test_weights_keep_their_names_on_both_sides(net: Net) -> None:
    whole = net.state_dict()
    for path in blocks(net):
        trunk, tail = (part.state_dict() for part in net.cut(path))
        assert not trunk.keys() & tail.keys(), path
        assert trunk.keys() | tail.keys() == whole.keys(), path
        for key, value in {**trunk, **tail}.items():
            assert value.data_ptr() == whole[key].data_ptr(), f"{key} is a copy when cut at {path}"


def test_the_trunk_ends_with_what_was_asked_for() -> None:
    trunk, tail = resnet20().cut("stage2.1")
    ends = {".".join(key.split(".")[:3]) for key in trunk.state_dict() if key.startswith("stages.stage2")}
    starts = {".".join(key.split(".")[:3]) for key in tail.state_dict() if key.startswith("stages.stage2")}
    assert (ends, starts) == ({"stages.stage2.0", "stages.stage2.1"}, {"stages.stage2.2"})


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_the_last_1x1_is_a_stage_of_its_own(name: str) -> None:
    with torch.device("meta"):
        last = NETS[name].build().stages[-1]
    convolutions = [layer for layer in last.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.kernel_size, c.groups) for c in convolutions] == [((1, 1), 1)]
    assert convolutions[0].out_channels >= 1280


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "stag2",
            r"there is no 'stag2' to cut at \(did you mean stage2.*\?\); there is stage1, stage2, stage3",
        ),
        ("stage9", r"there is no 'stage9' to cut at \(did you mean stage.*; there is stage1, stage2, stage3"),
        ("stage2.7", "there is no '7' to cut at; there is 0, 1, 2"),
        ("stage2.0.residual", "there is no 'residual' to cut at; there is nothing, for it is one block"),
        ("head", "there is no 'head' to cut at; there is stage1, stage2, stage3"),
    ],
)
def test_a_wrong_path_gets_the_near_ones(path: str, message: str) -> None:
    with pytest.raises(UnknownStage, match=message) as error:
        resnet20().cut(path)
    assert isinstance(error.value, LexNetError) and isinstance(error.value, ValueError)


@pytest.mark.parametrize("path", ["", "stage2.", ".stage2", "stages.stage2"])
def test_a_path_that_is_not_one_is_refused(path: str) -> None:
    with pytest.raises(UnknownStage):
        resnet20().cut(path)


def learn(net: Net, x: torch.Tensor, steps: int = 3) -> None:
    """Weight decay and momentum too: both would move a weight that is only left without a gradient."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1)
    labels = torch.arange(len(x))
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()


def assert_only_the_tail_learns(net: Net, path: str, x: torch.Tensor) -> None:
    before = {key: value.clone() for key, value in net.state_dict().items()}
    frozen = net.cut(path)[0].state_dict().keys()
    learn(net, x)
    constants = {"head.fc.codes"}  # LeNet-5's drawings
    for key, value in net.state_dict().items():
        assert value.isfinite().all(), key
        assert torch.equal(value, before[key]) == (key in frozen | constants), f"{key}, frozen to {path}"


@pytest.mark.parametrize("name", KINDS)
def test_what_is_frozen_does_not_change_and_the_rest_does(name: str) -> None:
    net = small(name).train()
    path = f"stage{(len(net.stages) + 1) // 2}"
    assert net.freeze(path) is net
    assert_only_the_tail_learns(net, path, pictures(name, 4))


@pytest.mark.parametrize("path", ["stem", "stage1", "stage2.0", "stage2", "stage3"])
def test_it_can_be_frozen_anywhere(path: str) -> None:
    net = resnet20().train().freeze(path)
    assert_only_the_tail_learns(net, path, pictures("resnet20", 4))


def test_freezing_survives_every_change_of_mode() -> None:
    net = resnet20().train().freeze("stage2.0")
    assert not net.train().eval().training
    net.train()
    assert net.training and net.stages.stage3.training and net.stages.stage2[1].training
    assert not any(layer.training for layer in (net.stem, net.stages.stage1, net.stages.stage2[0]))
    assert_only_the_tail_learns(net, "stage2.0", pictures("resnet20", 4))


def test_freezing_survives_inside_another_module() -> None:
    net = resnet20().freeze("stage2")
    nn.Sequential(net).eval().train()
    assert net.stages.stage3.training and not net.stages.stage2.training


def test_frozen_dropout_is_off() -> None:
    net = small("nin_imagenet", classes=3).freeze("stage2").train()
    dropouts = {name: m.training for name, m in net.stages.named_modules() if isinstance(m, nn.Dropout)}
    assert dropouts and not any(dropouts.values())


def test_a_net_can_be_frozen_to_its_end() -> None:
    net = NETS["resnet20"].build(classes=0).freeze("stage3")
    assert not any(layer.training for layer in net.train().stages.modules())


def test_all_of_a_net_can_be_switched_to_inference() -> None:
    net = resnet20().requires_grad_(False).eval()
    assert not net.training
