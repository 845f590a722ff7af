"""A net ends where the rest of it does not pay, and what is left is what was measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_makers import clipart_folder
from scipy.stats import t

from lexnet.config import ProbeConfig
from lexnet.cost import cost
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.errors import ConfigError, UnknownStage
from lexnet.export.places import Place, places
from lexnet.nets import NETS
from lexnet.nets.adapt import truncated, unpooled
from lexnet.transfer.cut import Probed, choose_cut, columns, most_lost, probe_stages, reason
from lexnet.transfer.extract import Extraction, extract
from lexnet.transfer.probe import Examples
from lexnet.transfer.trunk import open_trunk
from lexnet.weights.create import create_net
from lexnet.weights.files import Bundled


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_folder(clipart_folder(tmp_path_factory.mktemp("cut") / "pictures", count=6))


@pytest.mark.parametrize("net", ["efficientnet_lite0", "resnet18", "mobilenet_v2"])
def test_places_cost_what_the_cut_net_costs(net: str) -> None:
    whole = create_net(net, classes=0)
    found = places(cost(NETS[net].build(classes=0), 96))
    assert [place.stage for place in found] == [*(f"stage{n}" for n in range(1, len(found))), None]
    for place in found[:-1]:
        short = cost(truncated(whole, str(place.stage), 0), 96)
        assert (place.params, place.macs, (place.width,)) == (short.params, short.macs, short.shape)
    assert (found[-1].params, found[-1].macs) == (cost(whole, 96).params, cost(whole, 96).macs)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "torch"])
def test_every_stage_in_one_pass_is_each_cut_net_on_its_own(engine: str, manifest: Manifest) -> None:
    def seen(**options: object) -> Extraction:
        trunk = open_trunk("efficientnet_lite0", 64, pytest.fail, **options)  # type: ignore[arg-type]
        return extract(trunk, manifest, engine, 2, warn=pytest.fail, progress=quiet)  # type: ignore[arg-type]

    one, whole = seen(every_stage=True), seen()
    stages = places(cost(NETS["efficientnet_lite0"].build(classes=0), 64))
    for place in stages:
        own = whole.features if place.stage is None else seen(cut=place.stage).features
        assert own.shape == (12, place.width)
        np.testing.assert_allclose(one.stages[:, columns(stages, place)], own, atol=2e-5)
    assert one.stages.shape[1] == columns(stages, stages[-1]).stop
    np.testing.assert_array_equal(one.features, one.stages[:, columns(stages, stages[-1])])
    np.testing.assert_array_equal(whole.features, whole.stages)


def test_an_unknown_stage_is_named(shared_cache: Path) -> None:
    with pytest.raises(UnknownStage, match=r"no 'stage9' to cut at.*; there is"):
        open_trunk("efficientnet_lite0", None, pytest.fail, cut="stage9")


def units_of(right: np.ndarray, together: int = 1) -> np.ndarray:
    """Each answer of a unit of its own, or so many of one."""
    return (np.arange(len(right)) // together).astype(str)


def probed(stage: str | None, macs: int, right: np.ndarray) -> Probed:
    place = Place(stage=stage, width=8, params=macs, macs=macs)
    return Probed(
        place=place, accuracy=float(right.mean()), interval=(0.0, 1.0), right=right, units=units_of(right)
    )


def test_the_cheapest_that_loses_hardly_anything() -> None:
    """Of 4,000 answers the first loses 80 and wins none, the second loses 24 and wins 20."""
    best = np.arange(4000) < 3600
    bad, good = best.copy(), best.copy()
    bad[:80] = False
    good[:24], good[3600:3620] = False, True
    own = units_of(best)
    assert most_lost(bad, best, own) == pytest.approx(0.02 + 1.645 * (0.02 * 0.98 / 4000) ** 0.5, abs=1e-5)
    assert 0 < most_lost(good, best, own) < 0.01 and most_lost(best, best, own) == 3 / 4000
    frames = units_of(best, together=20)  # the 80 lost ones are frames of four films among 200
    assert most_lost(best, best, frames) == 3 / 200
    assert most_lost(bad, best, frames) == pytest.approx(
        0.02 + t.ppf(0.95, 199) * (0.02 * 0.98 / 199) ** 0.5, abs=1e-5
    )
    curve = [probed("stage1", 10, bad), probed("stage2", 20, good), probed(None, 40, best)]
    chosen = choose_cut(curve, classes=0)
    assert chosen.place.stage == "stage2"
    assert reason(curve, chosen) == (
        "cut stage2: 89.9 % out of fold, the best 90.0 %; 50 % fewer multiply-adds than the whole"
    )


@pytest.mark.parametrize(("most", "stage"), [(5.0, None), (3.5, "stage3"), (2.5, "stage2"), (1.0, "stage1")])
def test_of_those_that_are_quick_enough_the_cheapest_that_is_no_worse(most: float, stage: str | None) -> None:
    best = np.arange(4000) < 3600
    curve = [probed(f"stage{n}", 10 * n, best & (np.arange(4000) % 10 < 5 + n)) for n in (1, 2, 3)]
    curve.append(probed(None, 40, best))
    chosen = choose_cut(curve, 0, latency=lambda one: one.place.macs / 10, max_latency=most)
    assert chosen.place.stage == stage


def test_where_the_whole_net_is_kept_nothing_is_said_to_be_saved() -> None:
    best = np.arange(40) < 36
    curve = [probed("stage1", 10, ~best), probed(None, 40, best)]
    assert (
        reason(curve, curve[1])
        == "the whole net: 90.0 % out of fold, and no earlier stage is shown to lose at most 1 point"
    )


def test_few_pictures_show_nothing_and_nothing_is_cut() -> None:
    best = np.arange(40) < 36
    other = best.copy()
    other[0], other[39] = False, True  # as good, but who knows
    for right in (other, best):  # nor where all answers are equal
        both = [probed("stage1", 10, right), probed(None, 40, best)]
        assert choose_cut(both, classes=2).place.stage is None


def test_a_cheap_one_that_happens_to_look_best_has_to_be_shown_too() -> None:
    """Of 200 answers it has one more right than the whole net, which may yet be three points better."""
    whole = np.arange(200) < 180
    lucky = whole.copy()
    lucky[:8], lucky[180:189] = False, True
    assert choose_cut([probed("stage1", 10, lucky), probed(None, 40, whole)], 0).place.stage is None
    far = np.arange(200) < 198
    assert choose_cut([probed("stage1", 10, far), probed(None, 40, whole)], 0).place.stage == "stage1"


def test_a_limit_is_kept_to_whatever_is_lost() -> None:
    best = np.arange(1000) < 900
    curve = [probed("stage1", 10, best & (np.arange(1000) > 300)), probed(None, 40, best)]
    assert choose_cut(curve, 0, max_macs=39).place.stage == "stage1"
    with pytest.raises(ConfigError, match="max_macs=9 is under the 10 of the cheapest"):
        choose_cut(curve, 0, max_macs=9)


def test_a_limit_counts_the_head_and_every_look() -> None:
    """40 multiply-adds and parameters, and a head from 8 to 2 classes: 16, and 18 with its biases."""
    curve = [probed("stage1", 10, np.zeros(100, bool)), probed(None, 40, np.ones(100, bool))]
    cases: tuple[tuple[dict[str, Any], str | None], ...] = (
        ({"max_macs": 56}, None), ({"max_macs": 55}, "stage1"), ({"max_macs": 111, "tta_views": 2}, "stage1"),
        ({"max_macs": 112, "tta_views": 2}, None), ({"max_size": 4 * 58}, None),
        ({"max_size": 4 * 57}, "stage1"),
    )  # fmt: skip
    for limits, stage in cases:
        assert choose_cut(curve, 2, **limits).place.stage == stage, limits


def test_each_place_is_judged_on_its_own_features() -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(80) % 2
    telling = draw.normal(size=(80, 3)).astype(np.float32)
    telling[:, 0] += 6 * labels
    noise = draw.normal(size=(80, 2)).astype(np.float32)
    examples = Examples(
        features=np.hstack([noise, telling, telling]),
        labels=labels,
        weights=np.ones(80, np.float32),
        units=[str(i) for i in range(80)],
    )
    stages = [
        Place(stage="stage1", width=2, params=1, macs=1),
        Place(stage="stage2", width=3, params=2, macs=2),
        Place(stage=None, width=3, params=3, macs=3),
    ]
    curve = probe_stages(stages, examples, 2, ProbeConfig(), 0, 1, quiet)
    assert curve[0].accuracy < 0.75 < 0.95 < curve[1].accuracy == curve[2].accuracy
    assert all(one.interval[0] < one.accuracy < one.interval[1] or one.accuracy == 1 for one in curve)
    stages[1] = replace(stages[1], macs=3)  # as a ResNet's last stage, behind which there is nothing to save
    less = probe_stages(stages, examples, 2, ProbeConfig(), 0, 1, quiet)
    assert [one.place.stage for one in less] == ["stage1", None]
    assert (less[1].right == curve[2].right).all()


def test_torch_runs_a_net_that_ends_with_its_stem_too(manifest: Manifest) -> None:
    trunk = open_trunk("efficientnet_lite0", 64, pytest.fail, cut="stem")
    for engine in ("torch", "onnxruntime"):
        found = extract(trunk, manifest, engine, 2, warn=pytest.fail, progress=quiet)
        assert found.features.shape == (len(manifest), 32)


def test_a_net_cut_inside_a_stage_ends_there_though_it_is_cut_behind_that_stage() -> None:
    trunk = open_trunk("efficientnet_lite0", 64, pytest.fail)
    bundle = replace(trunk.weights, origin=Bundled("a.lexnet", "stage4.0"))
    ends = {
        cut: replace(trunk, weights=bundle, cut=cut).end for cut in (None, "stage4", "stage3", "stage4.0")
    }
    assert ends == {None: "stage4.0", "stage4": "stage4.0", "stage3": "stage3", "stage4.0": "stage4.0"}


def test_a_net_cut_inside_its_stem_ends_there() -> None:
    net = create_net("resnet18", classes=0)
    size = len(dict(net.stem.named_children()))
    for short in (truncated(net, "stem.0", 0), unpooled(net, "stem.0")):
        assert len(list(short.stem.children())) == 1 < size and not len(list(short.stages.children()))
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(unpooled(net.eval(), "stem.0")(x), net.cut("stem.0")[0](x))
