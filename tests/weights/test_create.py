import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from weight_makers import entry_for, pickled

import lexnet
from lexnet.errors import ConfigError, UnknownNet, WeightsError
from lexnet.nets import NETS
from lexnet.nets.net import Net
from lexnet.nets.taps import Tapped
from lexnet.weights import files
from lexnet.weights.create import create_net, create_tapped
from lexnet.weights.files import find_weights
from lexnet.weights.layouts import LAYOUTS
from lexnet.weights.rename import COUNTER, load_strictly, rename
from lexnet.weights.store import keep, read_state

LITE = "efficientnet_lite0"
# Logits of classes 0, 1, 2, 500 and 999 for `waves()`, in float64, by a second implementation that
# applies the published tensors under their published names: a wrong eps, padding or order of layers
# moves them, which no count of parameters would show.
PINNED = [
    -1.3284128380732851,
    1.6435656142174937,
    -1.852196118087651,
    -1.8229439328483856,
    0.5855853461314547,
]


def waves() -> torch.Tensor:
    """(1, 3, 224, 224) float64, the same on every machine."""
    i = torch.arange(224, dtype=torch.float64)
    return torch.stack([torch.sin(i[:, None] * f / 9) * torch.cos(i[None] * f / 13) for f in (1, 2, 3)])[None]


def logits(net: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return net.eval()(pixels)


def trunk(net: Net) -> dict[str, torch.Tensor]:
    """Its tensors without those of the last layer."""
    return {name: tensor for name, tensor in net.state_dict().items() if not name.startswith("head.fc.")}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def lite() -> Net:
    """Google's net as it was published; not to be changed."""
    return create_net(LITE, weights="imagenet").eval()


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_logits_equal_a_second_implementation() -> None:
    ours = logits(create_net(LITE, weights="imagenet").double(), waves())[0]
    assert ours[[0, 1, 2, 500, 999]].tolist() == pytest.approx(PINNED, rel=1e-9)
    assert ours.argmax() == 906


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize(("classes", "width"), [(None, 1000), (0, 1280), (5, 5), (1000, 1000)])
@pytest.mark.parametrize("weights", [None, "imagenet"])
def test_every_combination(
    weights: str | None, classes: int | None, width: int, channels: int | None, lite: Net
) -> None:
    net = create_net(LITE, weights=weights, classes=classes, channels=channels)
    first = "stem.conv.weight"
    assert logits(net, torch.zeros(1, channels or 3, 32, 32)).shape == (1, width)
    ours, published = trunk(net), trunk(lite)
    assert ours.keys() == published.keys()
    if weights:
        assert all(torch.equal(ours[name], published[name]) for name in ours if name != first)
    else:
        assert not torch.equal(ours["stages.stage8.conv.weight"], published["stages.stage8.conv.weight"])
    if classes:  # a new last layer, also where it has as many classes as the published one
        assert not torch.equal(net.head.fc.weight[:5], lite.head.fc.weight[:5])  # type: ignore[union-attr,index]
    assert all(weight.requires_grad for weight in net.parameters())
    assert not any(weight.is_meta for weight in net.state_dict().values())


def test_the_published_net_is_given_whole(lite: Net) -> None:
    assert equal(create_net("EfficientNet-Lite0", weights="imagenet").state_dict(), lite.state_dict())
    assert equal(create_net("tf_efficientnet_lite0", weights="imagenet").state_dict(), lite.state_dict())


def test_features_are_what_the_class_layer_sees(lite: Net, pixels: torch.Tensor) -> None:
    features = logits(create_net(LITE, weights="imagenet", classes=0), pixels)
    torch.testing.assert_close(logits(lite.head.fc, features), logits(lite, pixels))  # type: ignore[arg-type,union-attr]


def test_a_grey_picture_gives_what_its_three_equal_channels_gave(lite: Net, pixels: torch.Tensor) -> None:
    grey = create_net(LITE, weights="imagenet", channels=1)
    assert grey.stem.conv.weight.shape == (32, 1, 3, 3)  # type: ignore[union-attr]
    torch.testing.assert_close(
        logits(grey, pixels[:, :1]), logits(lite, pixels[:, :1].expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4
    )


def test_a_grey_net_takes_coloured_pictures() -> None:
    net = create_net("lenet5_modern", channels=3)
    assert logits(net, torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert logits(create_net("lenet5_modern"), torch.zeros(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "wishes", "error", "message"),
    [
        ("resnet18", {"classes": -1}, ConfigError, r"classes=-1 must be 0 \(features\) or more"),
        ("resnet18", {"channels": 2}, ConfigError, r"channels=2 must be 1 \(grey\) or 3 \(colour\)"),
        ("resnet18", {"channels": 0}, ConfigError, "channels=0 must be"),
        ("resnet19", {}, UnknownNet, r"no net named 'resnet19' \(did you mean resnet18 or "),
        ("resnet18", {"weights": "clothing"}, WeightsError, "no 'clothing' weights are known for resnet18"),
        ("lenet5", {"weights": "imagenet"}, WeightsError, "no 'imagenet' weights are known for lenet5"),
        (
            "ResNet-18",
            {"weights": "imagenet"},
            WeightsError,
            "imagenet weights of resnet18 are not here: `lex",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    name: str, wishes: dict[str, int | str], error: type[Exception], message: str, cache: Path
) -> None:
    for create in (create_net, lexnet.create_net):
        with pytest.raises(error, match=message):
            create(name, **wishes)  # type: ignore[arg-type]


def test_weights_from_another_net_are_refused_by_name_and_by_shape() -> None:
    net = NETS[LITE].build()
    published = find_weights(LITE)
    rules = LAYOUTS[published.layout, LITE]()
    state = dict(read_state(published))
    with pytest.raises(WeightsError, match=r"no rule renames '_blocks\.99\._bn1\.weight'"):
        rename({**state, "_blocks.99._bn1.weight": torch.zeros(1)}, rules)
    with pytest.raises(WeightsError, match=r"1 names differ, first \['head\.fc\.bias'\]"):
        load_strictly(net, rename({k: v for k, v in state.items() if k != "_fc.bias"}, rules))
    with pytest.raises(WeightsError, match=r"head\.fc\.bias has shape \(10,\), the net \(1000,\)"):
        load_strictly(net, rename({**state, "_fc.bias": torch.zeros(10)}, rules))
    with pytest.raises(WeightsError, match=r"no rule renames '_blocks\.16"):  # lite1 is deeper
        rename(read_state(find_weights("efficientnet_lite1")), rules)
    old = {name: tensor for name, tensor in state.items() if not name.endswith(COUNTER)}
    assert len(old) < len(state)
    load_strictly(net, rename(old, rules))


def test_published_weights_of_another_net_are_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry whose file is another net's, though its sha256 is right."""
    content = pickled(NETS["plain20"].build().state_dict())
    weights = entry_for(content)
    (tmp_path / "w.pth").write_bytes(content)
    keep(weights, tmp_path / "w.pth")
    monkeypatch.setattr(files, "WEIGHTS", (weights,))
    with pytest.raises(WeightsError, match=r"no rule renames 'st.*'; these weights are of another net"):
        create_net("resnet20", weights="cifar10")


@pytest.fixture(scope="module")
def googlenet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, torch.Tensor]]:
    """Made-up tensors with the names and shapes of torchvision's GoogLeNet, kept as if they were its own."""
    records = json.loads((Path(__file__).parent / "references.json").read_text())
    shapes = next(record["tensors"] for record in records if record["net"] == "googlenet")
    draw = torch.Generator().manual_seed(0)
    state = {name: torch.rand(tuple(shape), generator=draw) for name, shape in shapes.items()}
    content = pickled(state)
    weights = replace(entry_for(content), net="googlenet", tag="imagenet", layout="torchvision", classes=1000)
    folder = tmp_path_factory.mktemp("googlenet")
    (folder / "googlenet.pth").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEXNET_CACHE", str(folder / "cache"))
        keep(weights, folder / "googlenet.pth")
        patch.setattr(files, "WEIGHTS", (weights,))
        yield state


def ours_of(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The side classifiers' tensors as `Tapped` names them, written out by hand."""
    parts = {"conv.conv": "conv.conv", "conv.bn": "conv.norm", "fc1": "fc1", "fc2": "fc"}
    named = (re.fullmatch(r"aux(\d)\.(.+)\.(\w+)", name) for name in state)
    return {f"{int(m[1]) - 1}.{parts[m[2]]}.{m[3]}": state[m[0]] for m in named if m}


def test_side_classifiers_come_with_the_weights(googlenet: dict[str, torch.Tensor]) -> None:
    tapped = create_tapped("GoogLeNet", weights="imagenet")
    assert isinstance(tapped, Tapped) and isinstance(tapped.net, Net)
    theirs = ours_of(googlenet)
    assert len(theirs) == 20 and equal(dict(tapped.sides.state_dict()), theirs)
    assert torch.equal(tapped.net.head.fc.bias, googlenet["fc.bias"])  # type: ignore[union-attr,arg-type]
    assert equal(
        dict(create_net("googlenet", weights="imagenet").state_dict()), dict(tapped.net.state_dict())
    )


def test_other_classes_make_new_side_classifiers(googlenet: dict[str, torch.Tensor]) -> None:
    tapped = create_tapped("googlenet", weights="imagenet", classes=7, channels=1)
    main, sides = tapped.eval()(torch.zeros(2, 1, 224, 224))
    assert [part.shape for part in (main, *sides)] == [(2, 7)] * 3
    theirs = ours_of(googlenet)
    for name, tensor in tapped.sides.state_dict().items():
        if name.endswith("weight") and tensor.ndim > 1:
            assert tensor.shape != theirs[name].shape or not torch.equal(tensor, theirs[name])
    whole = create_net("googlenet", weights="imagenet", channels=1)
    assert equal(trunk(tapped.net), trunk(whole))


@pytest.mark.parametrize("name", ["googlenet", "googlenet_2014"])
def test_side_classifiers_without_weights(name: str) -> None:
    tapped = create_tapped(name, classes=4)
    main, sides = tapped.eval()(torch.zeros(1, 3, 224, 224))
    assert main.shape == (1, 4) and [side.shape for side in sides] == [(1, 4)] * 2


def test_a_net_without_side_classifiers_is_named() -> None:
    with pytest.raises(
        ConfigError, match="resnet18 has no side classifiers; googlenet and googlenet_2014 have"
    ):
        create_tapped("ResNet-18")
    with pytest.raises(ConfigError, match="classes=-2"):
        create_tapped("googlenet", classes=-2)
