"""Every case runs, on few pictures, and says what it saw; what is arithmetic in them is right."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from picture_makers import clipart_folder

from lexnet.cases import NAMES, case, find_case, inception, lab, mobilenet, resnet, run
from lexnet.cases.case import Lab
from lexnet.cases.run import run_case, write_booklet
from lexnet.config import Recipe
from lexnet.data import fashion_mnist
from lexnet.errors import ConfigError, DataError

FEW: dict[str, dict[str, Any]] = {
    "lenet5": {
        "train": {"digits": 100, "fashion-mnist": 100},
        "test": {"digits": 50, "fashion-mnist": 50},
        "epochs": {"digits": 1, "fashion-mnist": 1},
    },
    "classic": {"train": 100, "test": 50, "epochs": 1},
    "resnet": {"train": 100, "test": 50, "epochs": 1, "depths": (8, 14)},
    "pointwise": {"train": 100, "test": 50, "epochs": 1},
    "inception": {"train": 100, "test": 50, "epochs": 1},
    "mobilenet": {"train": 100, "test": 50, "epochs": 1, "widths": (8, 16)},
    "transfer": {"size": 32, "each": (3,), "steps": {"scratch": 1, "tail": 1, "finetune": 1}},
    "augmentation": {
        "each": (2, 5),
        "pool": 10,
        "test": 50,
        "epochs": (1, 1),
        "digits": 5,
        "digit_epochs": 1,
    },
}
"""Of two seeds each."""
LAB = Lab(workers=1)
COUNTED = {
    "lenet5": ["weight sharing makes it small"],
    "classic": [
        "two 3×3 see as far as one 5×5, with fewer weights",
        "three 3×3 see as far as one 7×7, with fewer weights",
    ],
    "resnet": ["a trained net deepened by blocks that add nothing computes the same"],
    "pointwise": [
        "a 1×1 convolution is a dense layer at each of the 36 positions",
        "it shrinks 192 channels to 32 cheaply",
    ],
    "inception": ["the 1×1 bottleneck makes a 5×5 affordable: 120 M multiply-adds become 12.4 M"],
    "mobilenet": ["depthwise then pointwise costs 1/n' + 1/f² of an ordinary convolution"],
}


@pytest.fixture(scope="module")
def few_clothes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the first 3,000 and 1,000 pictures of Fashion-MNIST's parts, where that is here."""
    cache, read = tmp_path_factory.mktemp("cases"), fashion_mnist._read

    def some(name: str) -> NDArray[np.uint8]:
        header, each = (16, 28 * 28) if "images" in name else (8, 1)
        return read(name)[: header + each * (3000 if name.startswith("train") else 1000)]

    if fashion_mnist.is_here():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LEXNET_CACHE", str(cache))
            patch.setattr(fashion_mnist, "_read", some)
            fashion_mnist.fashion_mnist()
    return cache


@pytest.fixture(autouse=True)
def own_cache(few_clothes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole set takes seconds to read, in each test anew."""
    monkeypatch.setenv("LEXNET_CACHE", str(few_clothes))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases with few pictures and two seeds."""
    monkeypatch.setattr(mobilenet, "WHOLE", ("mobilenet_v1", "mobilenet_v2"))
    monkeypatch.setattr(mobilenet, "THIN", (0.25,))
    monkeypatch.setattr(mobilenet, "RUNS", 1)

    def shrunk(name: str) -> case.Case:
        found = find_case(name)
        return replace(found, short=replace(found.short, seeds=(0, 1), **FEW[name]))

    monkeypatch.setattr(run, "find_case", shrunk)


@pytest.mark.fashion
@pytest.mark.parametrize("name", [name for name in NAMES if name != "transfer"])
def test_it_runs_and_leaves_a_page(name: str, small: None, tmp_path: Path) -> None:
    document = run_case(name, LAB, tmp_path)
    assert {"name", "claim", "holds", "numbers", "figure", "seconds"} <= document.keys()
    json.dumps(document, allow_nan=False)
    assert document["holds"] in (True, False, None) and document["findings"]
    holds = {one["claim"]: one["holds"] for one in document["findings"]}
    for claim in COUNTED.get(name, []):
        assert holds[claim] is True
    page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
    assert page.count("<figure>") >= 1 and "Fixed before the result" in page and "<script" not in page
    assert all(one["seen"] for one in document["findings"])
    assert (tmp_path / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")
    if any(one["test"].startswith(("differences", "the mean")) for one in document["findings"]):
        assert "2 seeds" in page


@pytest.mark.fashion
def test_the_same_settings_give_the_same_numbers(small: None, tmp_path: Path) -> None:
    first, again = (run_case("augmentation", LAB, tmp_path / name)["numbers"] for name in "ab")
    assert first == again


def test_pictures_of_ones_own_are_for_the_cases_that_take_them(small: None, tmp_path: Path) -> None:
    folder = clipart_folder(tmp_path / "pictures", ("birds", "flags"), 20)
    document = run_case("transfer", replace(LAB, data=folder), tmp_path / "out")
    assert document["numbers"]["stages"][-1]["stage"] is None
    assert {len(values) for values in document["numbers"]["accuracy"].values()} == {2}
    page = (tmp_path / "out/transfer.html").read_text(encoding="utf-8")
    assert "Fixed before the result" in page and f"--data {folder}" in page
    assert f"<dt>data</dt><dd>{folder}</dd>" in page
    with pytest.raises(ConfigError, match=r"data=.*: classic has pictures of its own; leave it out"):
        run_case("classic", replace(LAB, data=folder), tmp_path / "out")


@pytest.mark.fashion
def test_handwriting_of_ones_own_is_read_beside_the_digits(small: None, tmp_path: Path) -> None:
    folder = clipart_folder(tmp_path / "pictures", ("birds", "flags"), 40)
    document = run_case("lenet5", replace(LAB, data=folder), tmp_path / "out")
    assert f"LeNet-5, {folder}" in document["numbers"]["accuracy"]
    read = [one["claim"] for one in document["findings"] if one["claim"].startswith("it reads handwriting")]
    assert len(read) == 2 and str(folder) in read[1]
    folder = clipart_folder(tmp_path / "few", ("birds", "flags"), 20)
    with pytest.raises(
        DataError, match="birds has 20 pictures, and this case takes 25 of each class to test"
    ):
        run_case("lenet5", replace(LAB, data=folder), tmp_path / "out")


def test_with_a_gpu_the_long_version_on_ones_own_pictures_is_the_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are chosen where a GPU is said to be there; what they do is tried on few, without it."""
    found, own = find_case("resnet"), replace(LAB, data=clipart_folder(tmp_path, ("birds", "flags"), 20))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run.settings_of(found, own, full=True) == found.full.with_data(str(own.data))
    few = replace(found.published, train=30, test=10, epochs=1, depths=(8, 14), seeds=(0, 1))
    study = found.study(few.with_data(str(own.data)), own)
    assert set(study.numbers["training_loss"]) == {f"{twin} {n}" for twin in resnet.TWINS for n in (8, 14)}
    assert few.learning() == (
        "SGD, Nesterov's momentum 0.9, decay 0.0001, 128 pictures a step, "
        "a tenth of the rate after 1/2 and after 3/4, "
        "pictures changed by border colour, crop random, mirror 0.5, pad 0.125"
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert run.settings_of(found, own, full=True) == found.published.with_data(str(own.data))
    assert run.settings_of(found, own, full=False) == found.short.with_data(str(own.data))
    assert run.settings_of(found, LAB, full=True) is found.full
    lenet5 = find_case("lenet5")
    assert run.settings_of(lenet5, own, full=True) == lenet5.full.with_data(str(own.data))


def test_what_is_seen_in_an_epoch_is_changed_by_the_recipe_and_always_so() -> None:
    digits = lab.pictures("digits", LAB, size=32, train=50, test=50)
    rows = np.arange(8)
    same = lab.changed(digits, Recipe(), 0, 0, rows)
    torch.testing.assert_close(same, digits.x[:8])
    once, again, later = (lab.changed(digits, Recipe(mirror=0.5), 0, epoch, rows) for epoch in (0, 0, 1))
    assert torch.equal(once, again) and not torch.equal(once, later)
    for one, whole in zip(once, digits.x, strict=False):
        assert torch.equal(one, whole) or torch.equal(one, whole.flip(-1))


def test_a_class_with_too_few_pictures_is_named(small: None, tmp_path: Path) -> None:
    folder = clipart_folder(tmp_path / "pictures", ("birds", "flags"), 3)
    with pytest.raises(DataError, match="has 2 training pictures, this case takes 3 of each class; add more"):
        run_case("transfer", replace(LAB, data=folder), tmp_path / "out")


@pytest.mark.fashion
def test_v2_is_as_wide_as_v1_is_dear_and_the_other_filters_as_all_together() -> None:
    """Within a tenth: what is compared at the same cost has about the same cost."""
    short = find_case("mobilenet").short
    for width in short.widths:
        v1 = mobilenet._macs(mobilenet.net(mobilenet.separable, width), short)
        v2 = mobilenet._macs(mobilenet.net(mobilenet.inverted, mobilenet._as_dear(v1, short)), short)
        assert abs(v2 / v1 - 1) < 0.1
    short = find_case("inception").short
    wanted = inception._macs(dict.fromkeys((1, 3, 5), short.width // 3), short)
    for k in (1, 3, 5):
        assert abs(inception._macs(inception._as_dear(k, wanted, short), short) / wanted - 1) < 0.1


def test_a_whole_net_costs_the_formulas_share_and_a_little_for_its_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mobilenet, "RUNS", 1)
    thin, one = mobilenet._thin(0.25), mobilenet._layer(32, 64, 14)
    assert thin.formula < thin.counted < 1.1 * thin.formula
    assert one.formula == pytest.approx(one.counted) == 1 / 64 + 1 / 9


@pytest.mark.parametrize("wanted", range(30))
def test_the_width_nearest_to_a_cost(wanted: int) -> None:
    widths = range(4, 12, 2)
    assert lab.nearest(widths, wanted, lambda width: 2 * width) == min(
        widths, key=lambda width: abs(2 * width - wanted)
    )


def test_an_unknown_case_is_refused_with_the_names() -> None:
    with pytest.raises(
        ConfigError, match="no case named 'vgg'; there are lenet5, classic, resnet, pointwise"
    ):
        find_case("vgg")


def test_the_booklet_leads_to_every_page(tmp_path: Path) -> None:
    found = [
        {
            "name": name,
            "title": find_case(name).title,
            "claim": find_case(name).claim,
            "holds": holds,
            "seconds": 1.0,
        }
        for name, holds in zip(NAMES, (True, False, None, True, True, True, True, True), strict=True)
    ]
    page = write_booklet(found, LAB, tmp_path, full=False).read_text(encoding="utf-8")
    assert all(f'href="{name}.html"' in page for name in NAMES)
    assert (page.count(">holds<"), page.count(">does not hold<"), page.count(">not shown<")) == (6, 1, 1)


@pytest.mark.fashion
def test_pictures_are_always_the_same_each_class_alike_and_never_in_both_parts() -> None:
    one, two = (lab.pictures("fashion-mnist", LAB, size=28, train=200, test=100) for _ in range(2))
    assert torch.equal(one.x, two.x) and torch.equal(one.test_x, two.test_x)
    assert torch.bincount(one.y).tolist() == [20] * 10 and torch.bincount(one.test_y).tolist() == [10] * 10
    assert abs(float(one.x.mean())) < 1e-4 and abs(float(one.x.std()) - 1) < 1e-3
    digits = lab.pictures("digits", LAB, size=32, train=200, test=100)
    test = {x.numpy().tobytes() for x in digits.test_x}
    assert len(digits.test_y) == 100 and not test & {x.numpy().tobytes() for x in digits.x}


def test_the_few_are_drawn_by_the_seed_as_many_of_each_class_and_never_fewer_than_was_said() -> None:
    digits = lab.pictures("digits", LAB, size=32, train=200, test=100)
    one, other = digits.few(5, 0), digits.few(5, 1)
    assert torch.bincount(one.y).tolist() == [5] * 10 and not torch.equal(one.x, other.x)
    assert torch.equal(one.x, digits.few(5, 0).x)
    torch.testing.assert_close(lab.normal(one.pixels, one.scale), one.x)
    with pytest.raises(DataError, match="a class has 20 pictures, and this case takes 21 of each; add more"):
        digits.few(21, 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_long_version_asks_for_nothing_that_its_pictures_do_not_have(name: str) -> None:
    """Fashion-MNIST has 6,000 clothes of each kind to learn from, and 1,000 to be judged by."""
    full = find_case(name).full
    for setting, most in (("train", 60_000), ("test", 10_000), ("pool", 6_000)):
        value = getattr(full, setting, 0)
        assert max(value.values()) <= most if isinstance(value, dict) else value <= most
    if name == "augmentation":
        assert max(full.each) <= full.pool and len(full.each) == len(full.epochs)
    assert len(full.seeds) >= 3 <= len(find_case(name).short.seeds)
