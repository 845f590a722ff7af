"""Measuring on every picture in turn says what a held-out part would, of more pictures."""

import numpy as np
import pytest

from lexnet.config import ProbeConfig, SplitConfig, TrainConfig
from lexnet.errors import DataError
from lexnet.evaluate.intervals import wilson
from lexnet.transfer.cross_validate import CrossValidation, cross_validate
from lexnet.transfer.probe import Examples


def clouds(classes: int, each: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Points around one centre a class, `apart` standard deviations from the others."""
    draw = np.random.default_rng(0)
    centres = np.eye(classes, 8) * apart / np.sqrt(2)
    labels = np.repeat(np.arange(classes), each)
    return (centres[labels] + draw.normal(size=(len(labels), 8))).astype(np.float32), labels


def measured(
    features: np.ndarray,
    labels: np.ndarray,
    units: list[str] | None = None,
    seed: int = 0,
    folds: int = 5,
    repeats: int = 3,
    told: list[tuple[int, int]] | None = None,
) -> CrossValidation:
    split = SplitConfig(folds=folds, repeats=repeats)
    config = TrainConfig(seed=seed, split=split, probe=ProbeConfig(candidates=(0.01, 0.1, 1.0)))
    units = units or [f"{i:064x}" for i in range(len(labels))]
    classes = [f"class {label}" for label in range(int(labels.max()) + 1)]
    report = (told if told is not None else []).append
    weights = np.ones(len(labels), np.float32)
    examples = Examples(features=features, labels=labels, weights=weights, units=units)
    return cross_validate(examples, classes, config, 2, lambda *at: report(at))


def test_it_is_near_what_new_pictures_get() -> None:
    """Two clouds three deviations apart: the best line is right on 93.3 % (Φ(1.5))."""
    found = measured(*clouds(2, 300, 3.0))
    assert 0.91 < found.accuracy < 0.955
    assert found.interval[0] < 0.933 < found.interval[1]
    assert found.count == 600 and found.folds == 5 and len(found.repeats) == 3


def test_shuffled_labels_score_at_chance() -> None:
    features, labels = clouds(4, 60, 6)
    found = measured(features, np.random.default_rng(1).permutation(labels))
    assert 0.15 < found.accuracy < 0.35


def test_what_belongs_together_is_never_on_both_sides() -> None:
    """Six views of each of forty things, labels by chance: known by heart only where a view leaks."""
    draw = np.random.default_rng(0)
    thing = np.repeat(np.arange(40), 6)
    features = (draw.normal(size=(40, 64))[thing] * 3 + 0.1 * draw.normal(size=(240, 64))).astype(np.float32)
    labels = np.asarray([0, 1] * 20)[thing]
    assert measured(features, labels).accuracy > 0.95
    assert measured(features, labels, [f"thing {t}" for t in thing]).accuracy < 0.7


def test_the_interval_knows_what_belongs_together() -> None:
    """The same picture six times each: forty answers and not 240."""
    thing = np.repeat(np.arange(40), 6)
    features = (3 * np.random.default_rng(0).normal(size=(40, 64))[thing]).astype(np.float32)
    found = measured(features, np.asarray([0, 1] * 20)[thing], [f"thing {t}" for t in thing], repeats=1)
    low, high = wilson(found.accuracy * 240, 240)
    assert found.interval[1] - found.interval[0] > 1.5 * (high - low)


def test_repeats_divide_anew_and_the_seed_decides() -> None:
    data = clouds(3, 40, 2.0)
    one, same, other = measured(*data), measured(*data), measured(*data, seed=1)
    assert one == same != other
    assert len(set(one.repeats)) > 1 and one.accuracy == pytest.approx(np.mean(one.repeats))
    assert measured(*data, repeats=1).repeats == one.repeats[:1]


def test_progress_counts_every_fit() -> None:
    told: list[tuple[int, int]] = []
    measured(*clouds(2, 20, 4.0), folds=4, repeats=2, told=told)
    assert told == [(done, 8) for done in range(1, 9)]


def test_a_small_class_lowers_the_folds_or_is_named() -> None:
    features, labels = clouds(2, 20, 6.0)
    assert measured(features[:24], labels[:24]).folds == 4
    with pytest.raises(DataError, match=r"class 'class 1' has 2 pictures .* folds=5 needs 3; add some"):
        measured(features[:22], labels[:22])
    with pytest.raises(DataError, match=r"class 'class 1' has 3 pictures .* folds=2 needs 4; add some"):
        measured(features[:23], labels[:23], folds=2)
    assert measured(features[:24], labels[:24], folds=2).folds == 2
    units = [*(f"{i}" for i in range(20)), *(["a"] * 10), *(["b"] * 10)]
    with pytest.raises(DataError, match="'class 1' has 2"):
        measured(features, labels, units)
