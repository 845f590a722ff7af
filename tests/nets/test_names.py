"""People write a net's name in many ways."""

import pytest

from lexnet.errors import LexNetError, UnknownNet
from lexnet.nets import ALIASES, NETS, find, resolve


@pytest.mark.parametrize("name", NETS)
def test_every_net_answers_to_its_own_name(name: str) -> None:
    assert resolve(name) == name
    assert resolve(name.upper().replace("_", "-")) == name
    assert find(name) is NETS[name]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("ResNet-18", "resnet18"),
        ("mobilenetv2_100", "mobilenet_v2"),
        ("tf_efficientnet_lite0", "efficientnet_lite0"),
        ("VGG-16-BN", "vgg16_bn"),
        ("inception_v1", "googlenet"),
        ("MobileNetV2", "mobilenet_v2"),
        ("mobilenetv2_050", "mobilenet_v2_050"),
        ("LeNet 5", "lenet5"),
    ],
)
def test_other_spellings_and_other_libraries_names(written: str, name: str) -> None:
    assert resolve(written) == name


def test_no_alias_shadows_a_net() -> None:
    assert not ALIASES.keys() & NETS.keys()
    for alias, name in ALIASES.items():
        assert resolve(alias) == name in NETS


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("resnet81", "resnet18"),
        ("vgg61", "vgg16"),
        ("mobilenet_v4", "mobilenet_v2"),
        ("googlnet", "googlenet"),
    ],
)
def test_a_wrong_name_gets_the_near_ones(written: str, near: str) -> None:
    with pytest.raises(UnknownNet, match=rf"no net named '{written}' \(did you mean .*\b{near}\b") as error:
        find(written)
    assert isinstance(error.value, LexNetError) and isinstance(error.value, ValueError)


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(UnknownNet, match=rf"no net named 'xyzzy'; `lexnet nets` lists all {len(NETS)}"):
        resolve("xyzzy")
