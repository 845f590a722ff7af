"""A view's numbers depend on its seed, purpose, number and picture, and on nothing else."""

import hashlib
import inspect
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest

from lexnet.augment.apply import apply
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import View, bend_knots, generator, noise, sample, sample_all
from lexnet.config import PreprocessSpec, Recipe
from lexnet.preprocess import Pixels

SPEC = PreprocessSpec(size=32, short_side=36)
EVERYTHING = replace(RECIPES["strong"], damage=1.0, erase=1.0)

ALTERED: dict[str, Any] = {
    "crop": "random", "pad": 0.4, "area": (0.1, 0.6), "aspect": (0.5, 3.0), "mirror": 0.9, "flip": 0.8,
    "rotate": 90.0, "shear": 30.0, "translate": 0.4, "zoom": (0.5, 3.0), "perspective": 0.3, "warp": 0.03,
    "wavelength": 0.9, "border": "edge", "colour": (1, 2, 3), "brightness": 0.8, "contrast": 0.7,
    "saturation": 0.9, "hue": 90.0, "grey": 0.9, "channels": 0.3, "pca": 0.9, "gamma": (0.3, 3.0),
    "damage": 0.7, "blur": 0.04, "noise": 0.4, "jpeg": 10, "erase": 0.9, "erased": (0.3, 0.6),
    "mixup": 5.0, "cutmix": 6.0,
}  # fmt: skip
"""For each field of a recipe another value than `EVERYTHING` has."""

DECIDES = {
    "crop": set(), "pad": set(), "border": set(), "colour": set(), "mixup": set(), "cutmix": set(),
    "warp": {"bend"}, "wavelength": {"bend"}, "damage": {"blur", "noise", "jpeg"}, "erased": {"erase"},
}  # fmt: skip
"""What of a view a field decides, where that is not the number of the same name."""


def picture(item: str) -> Pixels:
    """(48, 40, 3) unlike any other, made without a random number."""
    salt = hashlib.sha256(item.encode()).digest()[0]
    y, x, channel = np.indices((48, 40, 3))
    return ((x * (salt + 7) + y * y * 5 + channel * 91 + salt) % 256).astype(np.uint8)


def digest(item: str, epoch: int = 3) -> str:
    """Of the pixels of one view."""
    view = sample(EVERYTHING, 7, "train", epoch, item)
    return hashlib.sha256(apply(picture(item), view, SPEC).tobytes()).hexdigest()[:16]


ITEMS = [f"picture {i}.png" for i in range(24)]
ELSEWHERE = f"""
import hashlib, sys
from dataclasses import replace
import numpy as np
from lexnet.augment.apply import apply
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import sample
from lexnet.config import PreprocessSpec
from lexnet.preprocess import Pixels
SPEC = {SPEC!r}
EVERYTHING = replace(RECIPES["strong"], damage=1.0, erase=1.0)
"""


def numbers(view: View) -> dict[str, Any]:
    """All that was drawn, in a form that can be compared."""
    drawn = {field.name: getattr(view, field.name) for field in fields(View)}
    del drawn["recipe"], drawn["addresses"]
    if view.bend is not None:
        drawn["bend"] = view.bend.tobytes()
    return drawn


# --- workers, orders, batches, restarts


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    """Each picture's view, made one after the other."""
    return {item: digest(item) for item in ITEMS}


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_and_order_change_no_picture(threads: int, expected: dict[str, str]) -> None:
    for order in (1, 2):
        shuffled = random.Random(order).sample(ITEMS, len(ITEMS))
        with ThreadPoolExecutor(threads) as pool:
            assert dict(zip(shuffled, pool.map(digest, shuffled), strict=True)) == expected


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_and_a_restart_change_no_picture(processes: int, expected: dict[str, str]) -> None:
    """Each worker takes every second or fourth picture, and begins where another left off."""
    code = ELSEWHERE + inspect.getsource(picture) + inspect.getsource(digest)
    code += "\nfor item in sys.argv[1:]: print(item, digest(item), sep='=')"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, *ITEMS[i::processes][::-1]], stdout=subprocess.PIPE, text=True
        )
        for i in range(processes)
    ]
    lines = "".join(worker.communicate()[0] for worker in workers).splitlines()
    assert dict(line.split("=") for line in lines) == expected


def test_an_epoch_can_be_made_again_without_those_before_it(expected: dict[str, str]) -> None:
    assert digest(ITEMS[5], epoch=4) != expected[ITEMS[5]]
    assert digest(ITEMS[5]) == expected[ITEMS[5]]


def test_drawing_touches_no_global_state() -> None:
    before = np.random.get_state()[1].copy(), random.getstate()
    view = sample(EVERYTHING, 1, "train", 0, "a")
    noise(view, (4, 4))
    assert np.array_equal(before[0], np.random.get_state()[1]) and before[1] == random.getstate()


# --- addresses


def test_every_address_has_draws_of_its_own() -> None:
    addresses = [
        (seed, purpose, view, item)
        for seed in (0, 1, 2**63 - 1)
        for purpose in ("train", "train noise", "test time")
        for view in (0, 1, 2, 10, 999)
        for item in [*ITEMS, "", "1", "10", "Ö/ü.png", "not utf-8 \udcff"]
    ]
    views = [sample(EVERYTHING, *address) for address in addresses]
    for name in ("area", "place", "rotate", "shear", "brightness", "hue", "pca", "noise"):
        assert len({getattr(view, name) for view in views}) == len(addresses), name
    assert len({view.bend.tobytes() for view in views if view.bend is not None}) == len(addresses)
    assert len({noise(view, (2, 2)).tobytes() for view in views}) == len(addresses)
    assert views[0].addresses == (addresses[0],)


def test_numbers_of_one_view_are_unrelated_to_its_neighbours() -> None:
    """Over 400 pictures and 5 epochs: within four deviations of no correlation at all."""
    recipe = Recipe(rotate=1.0, brightness=0.9, crop="random", translate=0.5)
    drawn = np.array(
        [
            [(v.rotate, v.brightness, *v.place, *v.translate) for v in epoch]
            for epoch in ([sample(recipe, 0, "train", n, str(i)) for i in range(400)] for n in range(5))
        ]
    )  # (epochs, pictures, numbers)
    limit = 4 / np.sqrt(400)
    between_numbers = np.corrcoef(drawn[0].T) - np.eye(6)
    between_epochs = np.corrcoef(drawn[:, :, 0]) - np.eye(5)
    between_pictures = np.corrcoef(drawn[0, 1:, 0], drawn[0, :-1, 0])[0, 1]
    assert np.abs(between_numbers).max() < limit
    assert np.abs(between_epochs).max() < limit
    assert abs(between_pictures) < limit


def test_draws_are_pinned() -> None:
    """Another generator, numpy or machine that gave other numbers would be noticed here."""
    view = sample(EVERYTHING, 1, "train", 2, "birds/0.png")
    assert view.bend is not None
    assert (view.area, view.aspect) == pytest.approx((0.46359316220733693, 1.2578367107277706), rel=1e-12)
    assert view.place == pytest.approx((0.7833780908292516, 0.7857490210591739), rel=1e-12)
    assert (view.mirror, view.jpeg, view.erase_level) == (True, 81, 71)
    assert view.rotate == pytest.approx(13.716692603787584, rel=1e-12)
    assert view.hue == pytest.approx(17.799825797952025, rel=1e-12)
    assert view.pca == pytest.approx((-0.02088168331947996, -0.2259935963033866, -0.12460535146267487))
    assert view.bend[:, 0, 0].tolist() == pytest.approx([0.01308003, 0.0065473], rel=1e-5)
    assert noise(view, (3,)).tolist() == pytest.approx([1.0154465, -1.2640296, 2.0970626], rel=1e-5)


def test_draws_are_those_of_a_generator_of_their_own() -> None:
    """All bits of an address count, whatever was drawn before, half used up."""
    words = [np.frombuffer(hashlib.sha256(text).digest(), np.uint64) for text in (b"1|train|2", b"a.png")]
    fresh = np.random.Philox(key=words[0][:2], counter=np.concatenate([np.zeros(1, np.uint64), words[1][:3]]))
    expected = np.random.Generator(fresh).random(40)
    for _ in range(2):
        np.testing.assert_array_equal(generator(1, "train", 2, "a.png").random(40), expected)
        generator(1, "train", 2, "b.png").integers(9, dtype=np.int32)


@pytest.mark.parametrize("recipe", [*RECIPES.values(), EVERYTHING])
def test_many_views_at_once_are_those_drawn_one_by_one(recipe: Recipe) -> None:
    which = [(n, item) for n in (0, 7) for item in ITEMS]
    views = sample_all(recipe, 5, "train", which)
    assert len(views) == len(which)
    for i, (n, item) in enumerate(which):
        alone = sample(recipe, 5, "train", n, item)
        assert numbers(views[i]) == numbers(alone)
        assert views[i].addresses == alone.addresses == ((5, "train", n, item),)


def test_no_views_can_be_drawn() -> None:
    assert len(sample_all(EVERYTHING, 0, "train", [])) == 0


# --- a recipe's fields


def test_every_field_of_a_recipe_is_altered_below() -> None:
    plain = asdict(EVERYTHING)
    assert set(ALTERED) == set(plain)
    assert not [name for name, value in ALTERED.items() if value == plain[name]]


@pytest.mark.parametrize("name", ALTERED)
def test_changing_one_field_changes_no_other_draw(name: str) -> None:
    other = replace(EVERYTHING, **{name: ALTERED[name]})
    seen = set()
    for item in ITEMS:
        before, after = (numbers(sample(r, 0, "train", 0, item)) for r in (EVERYTHING, other))
        seen |= {key for key in before if before[key] != after[key]}
    assert seen == DECIDES.get(name, {name})


def test_an_operation_draws_the_same_with_and_without_all_others() -> None:
    for name in ("rotate", "shear", "zoom", "hue", "gamma", "translate", "pca", "area", "mirror"):
        alone = Recipe(**{name: getattr(EVERYTHING, name)})
        views = [sample(recipe, 3, "train", 1, "a") for recipe in (alone, EVERYTHING)]
        assert getattr(views[0], name) == getattr(views[1], name), name


def test_a_plain_recipe_changes_nothing() -> None:
    for item in ITEMS:
        assert sample(Recipe(), 0, "train", 0, item).numbers() == {}


def test_numbers_tell_what_is_changed_and_nothing_else() -> None:
    view = sample(Recipe(crop="random", rotate=30.0, mirror=1.0), 0, "train", 0, "a")
    place = tuple(round(share, 3) for share in view.place)
    assert view.numbers() == {"place": place, "mirror": True, "rotate": round(view.rotate, 3)}
    assert set(sample(EVERYTHING, 0, "train", 0, "a").numbers()) >= {"bend", "hue", "erase", "jpeg"}


# --- ranges


def test_draws_fill_their_ranges_and_stay_inside() -> None:
    recipe = replace(EVERYTHING, **ALTERED)
    views = [sample(recipe, 0, "train", 0, str(i)) for i in range(2000)]
    for name, low, high in [
        ("area", 0.1, 0.6), ("aspect", 0.5, 3.0), ("rotate", -90.0, 90.0), ("shear", -30.0, 30.0),
        ("translate", -0.4, 0.4), ("zoom", 0.5, 3.0), ("perspective", -0.3, 0.3), ("place", 0.0, 1.0),
        ("brightness", 0.2, 1.8), ("contrast", 0.3, 1.7), ("saturation", 0.1, 1.9), ("hue", -90.0, 90.0),
        ("channels", -0.3, 0.3), ("gamma", 0.3, 3.0), ("blur", 0.0, 0.04), ("noise", 0.0, 0.4),
        ("jpeg", 10, 100), ("erase_level", 0, 255), ("bend", -0.03, 0.03),
    ]:  # fmt: skip
        drawn = np.array([getattr(view, name) for view in views])
        margin = 0.02 * (high - low)
        assert low <= drawn.min() <= low + margin, name
        assert high - margin <= drawn.max() <= high, name


def test_chances_are_as_told() -> None:
    recipe = Recipe(mirror=0.5, flip=0.1, grey=0.9, erase=0.3, damage=0.2, blur=0.01)
    views = [sample(recipe, 0, "train", 0, str(i)) for i in range(4000)]
    for name, chance in {"mirror": 0.5, "flip": 0.1, "grey": 0.9, "erase": 0.3, "blur": 0.2}.items():
        share = np.mean([np.any(getattr(view, name)) for view in views])
        assert share == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 4000)), name


def test_factors_are_as_often_above_one_as_below() -> None:
    views = [sample(Recipe(gamma=(0.5, 2.0)), 0, "train", 0, str(i)) for i in range(2000)]
    assert np.mean([view.gamma > 1 for view in views]) == pytest.approx(0.5, abs=0.05)


def test_pca_is_normal_with_the_deviation_asked_for() -> None:
    drawn = np.array([sample(Recipe(pca=0.1), 0, "train", 0, str(i)).pca for i in range(2000)])
    assert np.abs(drawn.mean(0)).max() < 4 * 0.1 / np.sqrt(2000)
    assert drawn.std(0) == pytest.approx([0.1] * 3, rel=0.08)


@pytest.mark.parametrize("area", [(0.0, 0.0), (0.02, 0.2), (0.8, 0.8)])
def test_a_painted_rectangle_lies_within_the_square_and_has_the_area_asked_for(
    area: tuple[float, float],
) -> None:
    for i in range(200):
        erase = sample(Recipe(erase=1.0, erased=area), 0, "train", 0, str(i)).erase
        left, top, right, bottom = erase
        assert 0 <= left <= right <= 1 + 1e-12 and 0 <= top <= bottom <= 1 + 1e-12
        share = (right - left) * (bottom - top)
        assert area[0] - 1e-9 <= share <= area[1] + 1e-9


@pytest.mark.parametrize(("wavelength", "knots"), [(2.0, 4), (1.0, 5), (0.3, 10), (0.1, 23)])
def test_a_shorter_wavelength_has_more_knots(wavelength: float, knots: int) -> None:
    assert bend_knots(wavelength) == knots
    bend = sample(Recipe(warp=0.01, wavelength=wavelength), 0, "train", 0, "a").bend
    assert bend is not None and bend.shape == (2, knots, knots)
