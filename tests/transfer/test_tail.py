"""A tail: trained apart, put back, and the same net again."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_nets import lively, pictures, small
from numpy.typing import NDArray
from picture_makers import clipart_folder

from lexnet.config import FitConfig
from lexnet.cost import cost_of
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.errors import ConfigError
from lexnet.export.places import Place, places
from lexnet.nets import NETS
from lexnet.nets.fold import depthwise_frozen, fold_norms, unfold_norms
from lexnet.nets.net import Net
from lexnet.train.loop import Batch
from lexnet.train.pixels import order
from lexnet.transfer import tail as module
from lexnet.transfer.cut import default_cut
from lexnet.transfer.extract import Extraction, extract
from lexnet.transfer.tail import Activated, train_tail
from lexnet.transfer.trunk import open_trunk
from lexnet.transfer.views import Look
from lexnet.weights.create import create_net

FOLDED = ["resnet18", "resnet20", "mobilenet_v2", "efficientnet_lite0", "vgg11_bn", "googlenet"]


@pytest.mark.parametrize("name", FOLDED)
def test_folded_and_unfolded_it_says_the_same_under_the_same_names(name: str) -> None:
    x = pictures(name)
    net, x = lively(small(name, classes=5), x).double(), x.double()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.inference_mode():
        expected = net(x)
    folds = fold_norms(net)
    assert folds and not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
    with torch.inference_mode():
        torch.testing.assert_close(net(x), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))
    unfold_norms(folds)
    assert list(net.state_dict()) == list(before)
    with torch.inference_mode():
        torch.testing.assert_close(net(x), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-6, atol=1e-6, msg=name)


def test_a_channel_that_its_norm_had_silenced_comes_back_as_well() -> None:
    """Its convolution may have learned something while they were one; nothing is divided by nothing."""
    block = torch.nn.Sequential(OrderedDict(conv=torch.nn.Conv2d(3, 2, 1), norm=torch.nn.BatchNorm2d(2)))
    with torch.no_grad():
        block.norm.weight[0] = 0.0
        block.norm.running_mean.fill_(0.5)
    folds = fold_norms(block.eval())
    with torch.no_grad():
        block.conv.weight.add_(1.0)
    x = torch.rand(4, 3, 5, 5)
    expected = block(x)
    unfold_norms(folds)
    torch.testing.assert_close(block(x), expected)
    assert block.norm.running_mean.tolist() == [0.0, 0.5], "the other channel's statistics are what they were"


def test_the_cut_that_nobody_chose() -> None:
    shares = [0.2, 0.5, 0.59, 0.6, 0.9, 1.0]
    found = [Place(stage=f"stage{n}", width=1, params=1, macs=int(100 * s)) for n, s in enumerate(shares, 1)]
    assert default_cut([*found, Place(stage=None, width=1, params=1, macs=100)]) == "stage4"
    assert default_cut(places(cost_of(NETS["efficientnet_lite0"], classes=0))) == "stage5"
    assert default_cut(places(cost_of(NETS["resnet18"], classes=0))) == "stage3"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_folder(clipart_folder(tmp_path_factory.mktemp("tail") / "pictures", count=8))


def activations(manifest: Manifest, look: Look | None = None) -> Extraction:
    trunk = open_trunk("efficientnet_lite0", 64, pytest.fail, cut="stage5", pooled=False)
    quiet = {"warn": pytest.fail, "progress": lambda done, total: None}
    return extract(trunk, manifest, "onnxruntime", 2, look=look, **quiet)  # type: ignore[arg-type]


def test_activations_are_what_comes_out_of_the_cut(manifest: Manifest) -> None:
    from lexnet.preprocess import load

    found = activations(manifest)
    net = create_net("efficientnet_lite0", weights="imagenet").eval()
    trunk, _ = net.cut("stage5")
    spec = open_trunk("efficientnet_lite0", 64, pytest.fail).spec
    pixels = (torch.from_numpy(load(manifest.read(3), spec).copy()).float() - 127.5) / 127.5
    with torch.inference_mode():
        expected = trunk(pixels.permute(2, 0, 1)[None])[0].numpy()
    got = found.read(np.array([3]))[0]
    assert got.dtype == np.float16 and got.shape == (112, 4, 4)
    np.testing.assert_allclose(got, expected, atol=2e-3 * np.abs(expected).max())


def test_of_several_views_one_each_is_read(manifest: Manifest) -> None:
    levels = np.array([0, 99], np.uint8).reshape(2, 1, 1, 1)
    look = Look("dark and grey", lambda *what: np.broadcast_to(levels, (2, 64, 64, 3)))
    found = activations(manifest, look)
    both = found.features
    assert both.shape == (16, 2, 112, 4, 4)
    rows, views = np.array([5, 2, 9]), np.array([1, 0, 1])
    np.testing.assert_array_equal(found.read(rows, views), both[rows, views])


def trained(
    manifest: Manifest, checkpoint: Path | None = None, epochs: int = 3, **fit: Any
) -> tuple[Net, list[dict[str, float]]]:
    seen = Activated(
        extraction=activations(manifest),
        labels=manifest.labels,
        weights=manifest.weights,
        rows=np.arange(len(manifest)),
    )
    torch.manual_seed(0)
    net = create_net("efficientnet_lite0", weights="imagenet", classes=2)
    config = FitConfig(**{"epochs": epochs, "lr": 1e-3, "batch_size": 4, **fit}).resolved("tail")
    history = train_tail(
        net,
        "stage5",
        seen,
        seen,
        config,
        0,
        sampled=False,
        checkpoint=checkpoint,
    )
    return net, history.epochs


class Kept:
    """In place of an extraction: notes which views it is asked for."""

    def __init__(self) -> None:
        self.views: NDArray[np.int64] | None = None

    def read(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[np.float16]:
        self.views = views
        return np.zeros((len(rows), 4, 8, 8), np.float16)


def taught(
    monkeypatch: pytest.MonkeyPatch,
    weights: NDArray[np.float32],
    *,
    views: int | None = None,
    smoothing: float = 0.0,
    sampled: bool = False,
) -> tuple[Kept, Callable[[int], Iterator[Batch]]]:
    """The batches, one an epoch, that a tail is trained on: of two classes in turn."""
    made: list[Callable[[int], Iterator[Batch]]] = []
    monkeypatch.setattr(module, "fit", lambda net, batches, *given, **named: made.append(batches))
    net, kept, count = create_net("lenet5_modern", classes=2), Kept(), len(weights)
    some: Any = Activated(
        extraction=kept,  # type: ignore[arg-type]  # a stand-in that notes the views it is asked for
        labels=np.arange(count) % 2,
        weights=weights,
        rows=np.arange(count),
        views=views,
    )
    config = FitConfig(epochs=4, batch_size=count, smoothing=smoothing).resolved("tail")
    cut = next(name for name, _ in net.stages.named_children())
    train_tail(net, cut, some, some, config, 0, sampled=sampled)
    return kept, made[0]


def test_how_much_a_picture_counts_is_in_its_target_and_so_is_smoothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = np.arange(1, 7, dtype=np.float32)
    _, batches = taught(monkeypatch, weights, smoothing=0.2)
    ((_, targets),) = batches(0)
    rows = order(np.arange(6) % 2, 0, 0, sampled=False)
    np.testing.assert_allclose(targets.sum(1), (weights / weights.mean())[rows], rtol=1e-6)
    own = targets[torch.arange(6), torch.from_numpy(rows % 2)]
    np.testing.assert_allclose(own / targets.sum(1), 0.9, rtol=1e-6)


def test_the_views_of_a_picture_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """In three epochs each is seen in all of its three views."""
    kept, batches = taught(monkeypatch, np.ones(6, np.float32), views=3)
    seen: dict[int, list[int]] = defaultdict(list)
    for epoch in range(3):
        list(batches(epoch))
        assert kept.views is not None
        rows = order(np.arange(6) % 2, 0, epoch, sampled=False)
        for row, view in zip(rows.tolist(), kept.views.tolist(), strict=True):
            seen[row].append(view)
    assert len(seen) == 6 and all(sorted(views) == [0, 1, 2] for views in seen.values())


def test_a_picture_that_is_drawn_again_in_an_epoch_is_seen_in_another_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, batches = taught(monkeypatch, np.ones(40, np.float32), views=3, sampled=True)
    list(batches(0))
    assert kept.views is not None
    seen: dict[int, list[int]] = defaultdict(list)
    rows = order(np.arange(40) % 2, 0, 0, sampled=True)
    for row, view in zip(rows.tolist(), kept.views.tolist(), strict=True):
        seen[row].append(view)
    assert max(map(len, seen.values())) > 2
    assert all(len(set(views)) == min(3, len(views)) for views in seen.values())


def test_norms_do_not_learn_from_one_picture_at_a_time(manifest: Manifest) -> None:
    with pytest.raises(ConfigError, match="batch_size=1: batch norms learn from how the pictures"):
        trained(manifest, batch_size=1, norms="trained")


def scale(state: dict[str, torch.Tensor], conv: str) -> torch.Tensor:
    """What the batch norm behind this convolution multiplies its channels by."""
    norm = conv.replace("conv.weight", "norm")
    return (state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + 1e-3)).view(-1, 1, 1, 1)


def test_only_the_tail_learns_and_the_net_is_whole_again(manifest: Manifest) -> None:
    before = create_net("efficientnet_lite0", weights="imagenet", classes=2).state_dict()
    net, history = trained(manifest)
    after = net.state_dict()
    assert list(after) == list(before)
    parts = ("stem", *(f"stages.stage{k}" for k in range(1, 6)))
    frozen = [name for name in after if name.startswith(parts)]
    assert all(torch.equal(after[name], before[name]) for name in frozen) and len(frozen) > 100
    convs = [name for name in after if name.startswith("stages.stage6") and name.endswith("conv.weight")]
    same = {
        name
        for name in convs
        if torch.allclose(after[name] * scale(after, name), before[name] * scale(before, name))
    }
    assert same == {name for name in convs if "depthwise" in name} and 0 < len(same) < len(convs)
    assert all(weight.requires_grad for weight in net.parameters())
    assert history[-1]["val_accuracy"] == 1 and history[-1]["loss"] < history[0]["loss"]
    trunk, tail = net.eval().cut("stage5")
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(tail(trunk(x)), net(x))


def test_the_whole_net_says_what_its_trained_tail_says(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained with its norms folded in, and put back together."""
    x, said = torch.rand(4, 112, 4, 4, generator=torch.Generator().manual_seed(0)), list[torch.Tensor]()

    def judged(part: torch.nn.Module, val: Activated) -> dict[str, float]:
        with torch.inference_mode():
            said.append(part.eval()(x))
        return {}

    monkeypatch.setattr(module, "_val_scores", judged)
    net, _ = trained(manifest, ema=0.0)  # the average is then what was trained
    _, tail = net.cut("stage5")
    with torch.inference_mode():
        torch.testing.assert_close(tail(x), said[-1], rtol=1e-5, atol=1e-5)
        assert (said[-1] - said[0]).abs().max() > 0.01, "it has learned"


def test_inside_the_block_depthwise_convolutions_do_not_learn_and_then_what_learned_before_does() -> None:
    net = create_net("efficientnet_lite0", classes=2)
    _, tail = net.cut("stage5")
    fold_norms(tail)
    first = tail.get_submodule("stages.stage6.0.residual.depthwise.conv").requires_grad_(False)
    with depthwise_frozen(tail):
        frozen = {name for name, weight in tail.named_parameters() if not weight.requires_grad}
    ends = ("depthwise.conv.weight", "depthwise.conv.bias")
    assert (
        frozen == {name for name, _ in tail.named_parameters() if name.endswith(ends)} and len(frozen) == 10
    )
    assert [w for w in tail.parameters() if not w.requires_grad] == list(first.parameters())


def test_of_many_short_epochs_twenty_are_judged_at_most(manifest: Manifest) -> None:
    _, history = trained(manifest, epochs=27)
    assert [one["epoch"] for one in history] == [*range(2, 27, 2), 27]


def test_the_same_training_gives_the_same_bits(manifest: Manifest) -> None:
    a, b = trained(manifest)[0].state_dict(), trained(manifest)[0].state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
