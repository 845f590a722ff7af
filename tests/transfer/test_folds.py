"""Folds: equal shares, what belongs together together, the same whatever the order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lexnet.transfer.folds import assign_folds


def names(count: int) -> list[str]:
    return [f"{i:064x}" for i in range(count)]


def test_folds_hold_equal_shares_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [40, 21, 7])
    folds = assign_folds(labels, names(68), 4, seed=0)
    for label, most in ((0, 10), (1, 6), (2, 2)):
        counts = np.bincount(folds[labels == label], minlength=4)
        assert counts.max() == most and counts.max() - counts.min() <= 1


def test_folds_follow_the_picture_and_the_seed() -> None:
    labels, units = np.repeat([0, 1], 30), names(60)
    folds = assign_folds(labels, units, 4, seed=0)
    order = np.random.default_rng(0).permutation(60)
    assert np.array_equal(assign_folds(labels[order], [units[i] for i in order], 4, seed=0), folds[order])
    assert not np.array_equal(assign_folds(labels, units, 4, seed=1), folds)
    assert not np.array_equal(assign_folds(labels, units, 4, seed=0, purpose="another"), folds)


def test_a_unit_shares_a_fold() -> None:
    units = names(20) * 3
    labels = np.array([i % 2 for i in range(20)] * 3)
    folds = assign_folds(labels, units, 4, seed=0)
    assert all(len({folds[i], folds[i + 20], folds[i + 40]}) == 1 for i in range(20))
    assert set(folds) == {0, 1, 2, 3}


def test_there_are_no_more_folds_than_units_of_a_class() -> None:
    labels = np.array([0] * 9 + [1] * 9)
    units = [*names(9), *(["a" * 64, "b" * 64, "c" * 64] * 3)]
    assert set(assign_folds(labels, units, 4, seed=0)) == {0, 1, 2}


def test_a_class_in_one_unit_is_divided_all_the_same() -> None:
    """Or nothing could be fitted without it; the other class keeps its units together."""
    labels = np.array([0] * 8 + [1] * 6)
    units = [*(name for name in names(4) for _ in range(2)), *["one"] * 6]
    folds = assign_folds(labels, units, 3, seed=0)
    assert set(folds[8:]) == {0, 1, 2}
    assert all(folds[i] == folds[i + 1] for i in range(0, 8, 2))


def test_a_class_within_units_of_another_is_divided_all_the_same() -> None:
    """Two pictures of a class, both in groups that are mostly of another."""
    labels = np.array([0, 0, 1, 0, 0, 1, 0, 0])
    units = ["a", "a", "a", "b", "b", "b", "c", "d"]
    folds = assign_folds(labels, units, 4, seed=0)
    assert set(folds[labels == 1]) == {0, 1} and set(folds) == {0, 1}


@given(st.data())
def test_no_fold_takes_the_whole_of_a_class(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 4))
    labels = np.asarray([*range(classes)] * 2 + data.draw(st.lists(st.integers(0, classes - 1), max_size=30)))
    letters = st.lists(st.sampled_from("abcdefgh"), min_size=len(labels), max_size=len(labels))
    units = data.draw(letters)
    folds = assign_folds(labels, units, data.draw(st.integers(2, 6)), seed=data.draw(st.integers(0, 9)))
    assert folds.min() == 0 and len(set(folds)) == folds.max() + 1 >= 2
    for fold in set(folds):
        assert set(labels[folds != fold]) == set(labels)
