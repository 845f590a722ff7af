"""What holds of every net in the lexicon."""

from typing import NamedTuple

import pytest
import torch
from made_nets import KINDS, lively, narrow, noise, pictures, shift, small
from torch import Tensor, nn

from lexnet.cost import cost, params
from lexnet.errors import LexNetError, ShapeError
from lexnet.nets import NETS
from lexnet.nets.net import Net
from lexnet.nets.parts import OnlySize

ANY_SIZE = [name for name, entry in NETS.items() if entry.any_size]
ONE_SIZE = [name for name, entry in NETS.items() if not entry.any_size]

# fmt: off
PARAMS = {  # as published
    "lenet5": 60_000, "lenet5_modern": 61_706, "alexnet_2012": 60_965_224, "alexnet": 61_100_840,
    "nin_cifar": 966_986, "nin_imagenet": 7_595_176,
    "vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240,
    "googlenet": 6_624_904, "googlenet_2014": 6_998_552,
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet50_v1": 25_557_032,
    "resnet101": 44_549_160, "resnet152": 60_192_808,
    "resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018,
    "resnet110": 1_727_962,
    "mobilenet_v1": 4_231_976, "mobilenet_v2": 3_504_872,
    "efficientnet_lite0": 4_652_008, "efficientnet_lite1": 5_416_680, "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096, "efficientnet_lite4": 13_006_568,
}
MACS = {
    "mobilenet_v1": 568_740_352, "mobilenet_v2": 300_774_272,
    "efficientnet_lite0": 385_187_552, "efficientnet_lite1": 600_185_232, "efficientnet_lite2": 859_736_272,
}
# fmt: on


class Step(NamedTuple):
    """A new net after one forward and one backward pass at its own size, in training mode."""

    net: Net
    logits: Tensor


@pytest.fixture(scope="module", params=KINDS)
def step(request: pytest.FixtureRequest) -> Step:
    entry = NETS[request.param]
    net = narrow(request.param)
    logits = net(noise(1, entry.channels, entry.size))
    logits.square().mean().backward()
    return Step(net, logits.detach())


@pytest.fixture(scope="module", params=NETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def meta(name: str) -> Net:
    """The whole net: shapes only, no memory, no arithmetic."""
    with torch.device("meta"):
        return NETS[name].build()


def test_cost_matches_the_reference(name: str, meta: Net) -> None:
    entry = NETS[name]
    assert (params(meta), cost(meta, entry.size, entry.channels).macs) == (entry.params, entry.macs)


def test_the_reference_is_the_published_number() -> None:
    assert {name: NETS[name].params for name in PARAMS} == PARAMS
    assert {name: NETS[name].macs for name in MACS} == MACS


def test_a_net_can_be_built_without_memory(meta: Net) -> None:
    assert all(value.is_meta for value in meta.state_dict().values())


def test_every_net_is_a_stem_stages_and_a_head(name: str) -> None:
    net, x = small(name).eval(), pictures(name)
    assert type(net) is Net
    assert [stage for stage, _ in net.stages.named_children()] == [
        f"stage{i}" for i in range(1, len(net.stages) + 1)
    ]
    with torch.inference_mode():
        y = net.stem(x)
        for stage in net.stages:
            y = stage(y)
        assert torch.equal(net.head(y), net(x))


def test_without_classes_the_features_come_out(name: str) -> None:
    """They are what the class layer sees; Network in Network has none, and gives its pooled maps."""
    x = pictures(name)
    whole = lively(small(name), pictures(name, 4), shift(name))
    trunk = small(name, classes=0).eval()
    trunk.load_state_dict({k: v for k, v in whole.state_dict().items() if not k.startswith("head.fc.")})
    with torch.inference_mode():
        features = trunk(x)
        if isinstance(whole.head.fc, nn.Conv2d):
            assert torch.allclose(features, whole.stages(whole.stem(x)).mean(dim=(2, 3)), atol=1e-6)
        else:
            assert torch.equal(whole.head.fc(features), whole(x))


def test_gradients_reach_every_weight_at_its_own_size(step: Step) -> None:
    assert step.logits.shape[0] == 1
    assert_learning(step.net)


def test_a_new_net_neither_dampens_nor_inflates_its_signal(step: Step) -> None:
    assert 0.1 < step.logits.std() < 10


@pytest.mark.parametrize("name", ANY_SIZE)
def test_gradients_reach_every_weight_at_an_odd_size(name: str) -> None:
    entry = NETS[name]
    net = narrow(name, classes=7)
    logits = net(noise(2, entry.channels, 75))
    assert logits.shape == (2, 7)
    logits.square().mean().backward()
    assert_learning(net)


def assert_learning(net: Net) -> None:
    """Some filters of a new net may be silent; none may have no gradient or one that is not a number."""
    for path, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), path
    assert next(net.parameters()).grad.any()


@pytest.mark.parametrize("name", ONE_SIZE)
@pytest.mark.parametrize("shape", [(75, 75), (1, -1), (0, 1)])
def test_a_net_with_dense_layers_refuses_another_size(name: str, shape: tuple[int, int]) -> None:
    entry = NETS[name]
    height, width = (side if side == 75 else entry.size + side for side in shape)
    with torch.device("meta"):
        net = entry.build()
        with pytest.raises(
            ShapeError, match=rf"{entry.size}x{entry.size}, not {height}x{width}: .*"
        ) as error:
            net(torch.empty(1, entry.channels, height, width))
    assert isinstance(error.value, LexNetError) and isinstance(error.value, ValueError)


def test_only_nets_with_dense_layers_are_bound_to_a_size(name: str, meta: Net) -> None:
    sizes = [layer.size for layer in meta.modules() if isinstance(layer, OnlySize)]
    assert sizes == ([] if NETS[name].any_size else [NETS[name].size])
