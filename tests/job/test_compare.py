"""Several nets on the same pictures: each looked at as if it were alone; the cheapest good one is taken."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from picture_makers import clipart_folder

from lexnet import preprocess
from lexnet.config import FitConfig, TrainConfig
from lexnet.data.manifest import Manifest
from lexnet.data.source import read_data
from lexnet.errors import ConfigError, DataError
from lexnet.job import compare, learn
from lexnet.job.events import Event, Note
from lexnet.job.plan import make_plan
from lexnet.job.run import preview, train
from lexnet.transfer.cut import Probed
from lexnet.transfer.extract import extract, extract_each
from lexnet.transfer.trunk import open_trunk

LITE0, LITE1 = "efficientnet_lite0", "efficientnet_lite1"
BOTH = TrainConfig(net=f"{LITE0}, {LITE1}", mode="probe", size=64, workers=1)
MODEL = "model.lexnet"
SILENT: dict[str, Any] = {"warn": pytest.fail, "progress": lambda done, total: None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 20 clip arts."""
    return clipart_folder(tmp_path_factory.mktemp("compare") / "pictures", ("birds", "flags"), 20)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_features_are_those_of_each_net_alone_and_each_picture_is_decoded_once(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At sizes of their own; what one net knows already is not computed again."""
    manifest = read_data(str(folder))
    two = [open_trunk(LITE0, 64, pytest.fail), open_trunk(LITE1, 96, pytest.fail)]
    alone = [extract(trunk, manifest, "onnxruntime", 1, **SILENT).features for trunk in two]
    monkeypatch.setenv("LEXNET_CACHE", str(cache.parent / "other"))
    decoded: list[str] = []
    upright = preprocess._upright
    monkeypatch.setattr(
        preprocess,
        "_upright",
        lambda image, full, name: (decoded.append(name), upright(image, full, name))[1],
    )
    found = extract_each(two, manifest, "onnxruntime", 2, **SILENT)
    for one, features in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.features, features)
        assert (one.computed, one.from_cache) == (40, 0)
    assert len(decoded) == 40
    three = [*two, open_trunk(LITE1, 64, pytest.fail)]
    again = extract_each(three, manifest, "onnxruntime", 2, **SILENT)
    assert [one.computed for one in again] == [0, 0, 40] and len(decoded) == 80
    np.testing.assert_array_equal(again[1].features, alone[1])
    assert [one.computed for one in extract_each(three, manifest, "onnxruntime", 2, **SILENT)] == [0, 0, 0]


def test_one_net_is_taken_and_the_run_is_that_nets(folder: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    run = train(str(folder), BOTH, tmp_path / "a", told.append)
    stages = run.metrics["stages"]
    assert [(one["net"], one["stage"]) for one in stages] == [(LITE0, None), (LITE1, None)]
    best = max(one["accuracy"] for one in stages)
    taken = max(stages, key=lambda one: (one["accuracy"], one["macs"]))
    assert run.metrics["net"] == taken["net"], "so few pictures do not show that a cheaper one loses little"
    reasons = [e.text for e in told if isinstance(e, Note) and e.text.startswith("net eff")]
    assert any(f"net {run.metrics['net']}, the whole net: " in text for text in reasons)
    assert f"the best {100 * best:.1f} %" in " ".join(reasons)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Which net it could be" in page and f">{LITE1}<" in page
    alone = train(str(folder), replace(BOTH, net=run.metrics["net"]), tmp_path / "b")
    assert (alone.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()
    assert (alone.folder / "plan.yaml").read_text() == (run.folder / "plan.yaml").read_text()


def test_with_a_cut_left_open_every_stage_of_every_net_is_a_candidate(folder: Path, tmp_path: Path) -> None:
    config = replace(BOTH, cut="auto", max_macs=20e6)
    run = train(str(folder), config, tmp_path / "a")
    stages = run.metrics["stages"]
    assert len(stages) > 10 and {one["net"] for one in stages} == {LITE0, LITE1}
    macs = [one["macs"] for one in stages]
    assert macs == sorted(macs) and macs[-1] > 20e6
    taken = {"net": run.metrics["net"], "stage": run.metrics["cut"]}
    chosen = next(one for one in stages if taken.items() <= one.items())
    assert chosen["macs"] <= 20e6
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert (plan["net"], plan["cut"], plan["max_macs"]) == (run.metrics["net"], run.metrics["cut"], None)
    again = train(str(run.folder / "plan.yaml"), None, tmp_path / "again")
    assert (again.folder / MODEL).read_bytes() == (run.folder / MODEL).read_bytes()


def test_the_net_is_chosen_first_and_then_trained(folder: Path, tmp_path: Path) -> None:
    config = replace(BOTH, mode="tail", recipe="none", fit=FitConfig(epochs=1, batch_size=8))
    run = train(str(folder), config, tmp_path / "a")
    assert run.metrics["mode"] == "tail" and len(run.metrics["stages"]) == 2 and run.metrics["frozen"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(BOTH, mode="scratch"), "several nets are compared frozen; name one with mode=scratch"),
        (replace(BOTH, mode="auto", budget="5m"), "within budget='5m' there is time for one; name it"),
        (replace(BOTH, net=f"{LITE0},efficientnet-lite0"), "names one net twice; leave it out"),
        (replace(BOTH, cut="stage3"), "with cut='stage3': take --cut auto, or name one net"),
    ],
)
def test_what_cannot_be_compared_is_refused(config: TrainConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan("/data", config)


def test_a_dry_run_asks_for_one_net(folder: Path) -> None:
    with pytest.raises(ConfigError, match="a dry run measures one net; name it"):
        preview(str(folder), BOTH)


def test_the_dearer_net_is_taken_where_it_is_shown_to_be_better(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the cheaper one were wrong on every other picture."""
    probe_stages = compare.probe_stages
    asked: list[int] = []

    def handicapped(*arguments: Any) -> list[Probed]:
        (found,) = probe_stages(*arguments)
        asked.append(1)
        right = found.right & (np.arange(len(found.right)) % 2 == 0) if len(asked) == 1 else found.right
        return [replace(found, right=right, accuracy=float(right.mean()))]

    monkeypatch.setattr(compare, "probe_stages", handicapped)
    assert train(str(folder), BOTH, tmp_path / "a").metrics["net"] == LITE1


@pytest.mark.parametrize("nets", [LITE0, f"{LITE0}, {LITE1}"])
def test_a_picture_that_is_another_when_it_is_looked_at_again_is_named(
    nets: str, folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look at it, which ends in dividing, and the second."""
    root = tmp_path / "pictures"
    shutil.copytree(folder, root)
    for module in (compare, learn):
        divide = module.divide

        def meddle(*arguments: Any, divide: Callable[..., Manifest] = divide) -> Manifest:
            divided = divide(*arguments)
            path = root / divided.paths[divided.where("train")[0]]
            path.write_bytes(path.read_bytes() + b"another")
            return divided

        monkeypatch.setattr(module, "divide", meddle)
    with pytest.raises(
        DataError, match=r"png has changed since it was listed(, after it was seen once)?; run again"
    ):
        train(str(root), replace(BOTH, net=nets, cut="auto", tta="mirror"), tmp_path / "run")


def test_a_picture_that_cannot_be_had_is_left_out_for_all_and_what_is_known_is_not_computed_again(
    folder: Path, cache: Path, tmp_path: Path
) -> None:
    """One net has seen all but two pictures, of which one is damaged; the other net none."""
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    first = sorted(path for path in broken.rglob("*") if path.is_file())[0]
    first.write_bytes(first.read_bytes()[:200])
    manifest = read_data(str(broken))
    two = [open_trunk(LITE0, 64, pytest.fail), open_trunk(LITE1, 64, pytest.fail)]
    extract(two[0], manifest.take(np.arange(2, 40)), "onnxruntime", 1, **SILENT)
    for computed in ([1, 39], [0, 0]):
        found = extract_each(two, manifest, "onnxruntime", 2, **SILENT)
        assert [len(one.manifest) for one in found] == [39, 39] == [len(one.features) for one in found]
        assert [skip.path for skip in found[1].manifest.skipped] == [first.relative_to(broken).as_posix()]
        assert [one.computed for one in found] == computed
    assert all(sum(shard.rows for shard in one.store._shards) == 39 for one in found), "no row is kept twice"
