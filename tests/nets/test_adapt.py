"""Nets made to fit: other classes, grey and coloured pictures, a shorter way."""

import pytest
import torch
from made_nets import KINDS, blocks, lively, pictures, shift, small
from torch import nn

from lexnet.errors import UnknownStage
from lexnet.nets import NETS
from lexnet.nets.adapt import truncated, with_channels, with_classes
from lexnet.nets.net import Net

COLOUR = [name for name in KINDS if NETS[name].channels == 3]
GREY = [name for name in KINDS if NETS[name].channels == 1]


def meta(name: str, **settings: int) -> Net:
    """Shapes only: no memory, no arithmetic."""
    with torch.device("meta"):
        return NETS[name].build(**settings)


def run(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.device("meta"):
        return part.eval()(x)


def pixels(name: str) -> torch.Tensor:
    """(2, C, H, W) on the meta device, of the net's own size."""
    entry = NETS[name]
    return torch.empty(2, entry.channels, entry.size, entry.size, device="meta")


@pytest.mark.parametrize("name", KINDS)
def test_any_number_of_classes_fits_and_the_rest_stays(name: str) -> None:
    net = meta(name)
    maps = run(net.stages, run(net.stem, pixels(name)))
    width = run(meta(name, classes=0).head, maps).shape[1]
    for classes in (7, 1, 0):
        net = meta(name)
        kept = {key: value for key, value in net.named_parameters() if not key.startswith("head.fc.")}
        assert with_classes(net, classes) is net
        assert run(net.head, maps).shape == (2, classes or width)
        after = {key: value for key, value in net.named_parameters() if not key.startswith("head.fc.")}
        assert after.keys() == kept.keys()
        assert all(after[key] is kept[key] for key in kept)


@pytest.mark.parametrize(
    "name", ["lenet5_modern", "nin_cifar", "alexnet", "vgg11_bn", "resnet20", "googlenet"]
)
def test_a_new_head_sees_the_same_features(name: str) -> None:
    net, x = lively(small(name), pictures(name, 4), shift(name)), pictures(name)
    state = {key: value.clone() for key, value in net.state_dict().items() if not key.startswith("head.fc.")}
    with torch.inference_mode():
        new = with_classes(net, 7)(x)
        fc = net.head.fc
        features = with_classes(net, 0)(x)
        assert torch.equal(fc(features), new)
    assert state.keys() == net.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_a_new_head_can_follow_another() -> None:
    net = with_classes(with_classes(meta("resnet20"), 3), 4)
    assert run(net, pixels("resnet20")).shape == (2, 4)


@pytest.mark.parametrize("name", KINDS)
def test_every_net_can_end_behind_its_stem_and_every_stage(name: str) -> None:
    net = meta(name)
    x = pixels(name)
    for number, path in enumerate(("stem", *dict(net.stages.named_children()))):
        with torch.device("meta"):
            short = truncated(net, path, 5)
        x = run(net.get_submodule(f"stages.{path}" if number else path), x)
        assert type(short) is Net and len(short.stages) == number
        assert run(short.head, x).shape == (2, 5), path


@pytest.mark.parametrize("name", ["lenet5", "alexnet_2012", "vgg11", "resnet20", "googlenet", "mobilenet_v2"])
def test_a_shorter_net_pools_and_classifies_what_the_trunk_gives(name: str) -> None:
    net, x = lively(small(name), pictures(name, 4), shift(name)), pictures(name)
    for path in blocks(net):
        short = truncated(net, path, 5).eval()
        with torch.inference_mode():
            maps = net.cut(path)[0].eval()(x)
            assert torch.allclose(short(x), short.head.fc(maps.mean(dim=(2, 3))), atol=1e-5), path


def test_a_shorter_net_shares_the_weights_and_their_names() -> None:
    net = NETS["resnet20"].build()
    short = truncated(net, "stage2.1", 5)
    weights = dict(net.named_parameters())
    own = {key for key, value in short.named_parameters() if weights.get(key) is not value}
    assert own == {"head.fc.weight", "head.fc.bias"}
    assert [len(stage) for stage in short.stages] == [3, 2]


def test_making_a_shorter_net_leaves_the_long_one_in_its_mode() -> None:
    net = NETS["resnet20"].build().eval()
    truncated(net, "stage2", 5)
    assert not any(layer.training for layer in net.modules())


def test_what_is_frozen_stays_so_in_a_shorter_net() -> None:
    short = truncated(NETS["resnet20"].build().freeze("stage1"), "stage2", 5)
    before = {key: value.clone() for key, value in short.state_dict().items()}
    short(pictures("resnet20", 4))
    changed = {key for key, value in short.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(key.startswith("stages.stage2.") for key in changed)


def test_a_shorter_net_needs_a_path_that_is_there() -> None:
    with pytest.raises(UnknownStage, match="there is no 'stage4' to cut at"):
        truncated(NETS["resnet20"].build(), "stage4", 5)


@pytest.mark.parametrize("name", COLOUR)
def test_a_grey_picture_gives_what_its_three_equal_channels_gave(name: str) -> None:
    net, grey = (
        lively(small(name, classes=5), pictures(name, 4), shift(name)).double(),
        pictures(name, 2, 1).double(),
    )
    with torch.inference_mode():
        expected = net(grey.expand(-1, 3, -1, -1))
        assert torch.allclose(with_channels(net, 1)(grey), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", GREY)
def test_a_coloured_picture_gives_what_the_mean_of_its_channels_gave(name: str) -> None:
    net, colour = small(name).double().eval(), pictures(name, 2, 3).double()
    with torch.inference_mode():
        expected = net(colour.mean(dim=1, keepdim=True))
        assert torch.allclose(with_channels(net, 3)(colour), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "channels"), [("resnet20", 1), ("lenet5_modern", 3)])
def test_only_the_first_convolution_is_adapted(name: str, channels: int) -> None:
    net = NETS[name].build()
    before = dict(net.named_parameters())
    adapted = with_channels(net, channels)
    assert adapted is net
    changed = [key for key, value in net.named_parameters() if value is not before[key]]
    assert len(changed) == 1 and changed[0].startswith("stem.")
    first = next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == channels == first.weight.shape[1]


@pytest.mark.parametrize("name", ["resnet20", "lenet5"])
def test_the_number_of_channels_a_net_has_changes_nothing(name: str) -> None:
    net, x = small(name).eval(), pictures(name)
    with torch.inference_mode():
        expected = net(x)
        assert torch.equal(with_channels(net, NETS[name].channels)(x), expected)
