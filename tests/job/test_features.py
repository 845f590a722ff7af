"""What a head is fitted on, and where a net is cut."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from picture_makers import class_folder

from lexnet.check.duplicates import Pair
from lexnet.config import PreprocessSpec, SplitConfig, TrainConfig
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.data.splits import assign_parts
from lexnet.export.places import Place
from lexnet.job import features
from lexnet.job.features import cheapest, examples_of, why, with_views
from lexnet.job.job import Clock, Job
from lexnet.job.plan import make_plan
from lexnet.transfer.cut import Probed


def job(config: TrainConfig) -> Job:
    return Job(plan=make_plan("/data", config), clock=Clock(), tell=lambda event: None, workers=1)


def test_a_choice_within_limits_names_them_and_what_there_would_be_without() -> None:
    right = np.arange(200) < 180
    cheap, dear = (
        Probed(
            place=Place(stage=f"stage{n}", width=10, macs=n * 1_000_000, params=n * 1_000),
            accuracy=float(hits.mean()),
            interval=(0.0, 1.0),
            right=hits,
            units=np.arange(200).astype(str),
        )
        for n, hits in ((1, np.arange(200) < 80), (2, right))
    )
    for limits, said in (
        ({}, "cut stage2: 90.0 % out of fold"),
        ({"max_size": 1e9}, "; within max_size=1,000,000,000"),
        ({"max_macs": 1.5e6}, "; within max_macs=1,500,000, without which it would be cut stage2, 90.0 %"),
    ):
        own = job(TrainConfig(mode="probe", cut="auto", **limits))
        chosen = cheapest(own, [cheap, dear], 0, lambda one: 0.0)
        assert said in why(own, [cheap, dear], chosen, 0)


def test_near_copies_are_never_on_both_sides_of_a_fold(tmp_path: Path) -> None:
    manifest = read_folder(class_folder(tmp_path / "d", a=2, b=2))
    found = examples_of(manifest, [Pair(0, 1, 1.0, 1.0)], np.zeros((4, 2), np.float32))
    assert found.units[0] == found.units[1]
    assert len(set(found.units)) == 3


@pytest.mark.parametrize("folds", [None, 5])
def test_colour_axes_are_those_of_the_training_pictures_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folds: int | None
) -> None:
    """Even where every picture is fitted on in some fold."""
    manifest = assign_parts(read_folder(class_folder(tmp_path / "d", a=10, b=10)), SplitConfig(), 0)
    asked: list[list[int]] = []

    def stop(recipe: Any, manifest: Manifest, rows: np.ndarray, *others: Any) -> None:
        asked.append(rows.tolist())
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "colour_axes", stop)
    config = TrainConfig(mode="probe", recipe="alexnet", views=2, split=SplitConfig(folds=folds))
    trunk: Any = SimpleNamespace(spec=PreprocessSpec())
    with pytest.raises(KeyboardInterrupt):
        with_views(job(config), trunk, manifest, examples_of(manifest, [], np.zeros((20, 2), np.float32)))
    assert asked == [manifest.where("train").tolist()] and len(asked[0]) == 14


@pytest.mark.parametrize(("tta", "stage"), [("none", None), ("ten", "stage1")])
def test_multiply_adds_are_those_of_all_views_to_answer_by(tta: Any, stage: str | None) -> None:
    """The whole net takes ten million of the twenty allowed: for one view, but not for ten."""
    units = np.arange(100).astype(str)
    curve = [
        Probed(
            place=Place(stage=name, width=10, params=10, macs=macs),
            accuracy=hits / 100,
            interval=(0.0, 1.0),
            right=np.arange(100) < hits,
            units=units,
        )
        for name, macs, hits in (("stage1", 1_000_000, 50), (None, 10_000_000, 90))
    ]
    config = TrainConfig(mode="probe", cut="auto", max_macs=20e6, tta=tta)
    assert cheapest(job(config), curve, 2, lambda one: 0.0).place.stage == stage
