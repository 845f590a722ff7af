"""The Wilson interval against published values."""

from math import comb

import numpy as np
import pytest
from scipy.stats import t as student

from lexnet.evaluate.intervals import Z_95, clustered_error, clustered_wilson, freedom, student_point, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_nothing_and_everything() -> None:
    low, high = wilson(0, 10)
    assert low == 0.0 and high == pytest.approx(0.2775, abs=5e-5)
    low, high = wilson(10, 10)
    assert high == 1.0 and low == pytest.approx(0.7225, abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(1, 1) == pytest.approx((0.2065, 1), abs=5e-5)


def test_it_is_symmetric_and_holds_the_share() -> None:
    for count in (1, 7, 50):
        for hits in range(count + 1):
            low, high = wilson(hits, count)
            other_low, other_high = wilson(count - hits, count)
            assert (low, high) == pytest.approx((1 - other_high, 1 - other_low))
            assert 0 <= low <= hits / count <= high <= 1


def test_more_counts_make_it_narrower() -> None:
    widths = [high - low for low, high in (wilson(8 * k, 10 * k) for k in (1, 10, 100, 1000))]
    assert widths == sorted(widths, reverse=True) and widths[-1] < 0.02


def test_it_covers_the_true_share_about_as_often_as_it_says() -> None:
    """Exactly, by summing the binomial: 0.93 to 0.98 wherever 60 are counted."""
    for share in (0.1, 0.3, 0.5, 0.77, 0.9):
        covered = sum(
            comb(60, hits) * share**hits * (1 - share) ** (60 - hits)
            for hits in range(61)
            if wilson(hits, 60)[0] <= share <= wilson(hits, 60)[1]
        )
        assert 0.93 < covered < 0.98


# --- clustered_wilson


def test_units_of_one_picture_are_as_none() -> None:
    right = np.arange(50) % 3 > 0
    assert clustered_wilson(right, np.arange(50)) == clustered_wilson(right) == wilson(int(right.sum()), 50)


def test_pictures_that_say_the_same_count_once() -> None:
    right, units = np.repeat(np.arange(20) % 4 > 0, 6), np.repeat(np.arange(20), 6)
    low, high = clustered_wilson(right, units)
    few = student_point(Z_95, 19)
    assert (low, high) == pytest.approx(wilson(15, 20, few), abs=0.005)
    assert clustered_wilson(np.ones(120), units) == wilson(20, 20, few), "nothing shows how much they differ"
    assert clustered_wilson(right, np.zeros(120)) == (0.0, 1.0)
    assert clustered_wilson(np.empty(0), np.empty(0)) == (0.0, 1.0)


def test_units_never_make_more_witnesses_than_there_are_pictures() -> None:
    """One of each pair is right, so that all units say the same: twenty pairs are still forty answers."""
    right, units = np.arange(40) % 2 > 0, np.repeat(np.arange(20), 2)
    assert clustered_wilson(right, units) == wilson(20, 40, student_point(Z_95, 19))


@pytest.mark.parametrize(("alike", "plain"), [(0.0, (0.92, 0.98)), (0.5, (0.3, 0.75))])
def test_it_holds_the_truth_in_95_of_100_trials(alike: float, plain: tuple[float, float]) -> None:
    """40 units of 12; with `alike` of them all pictures are right or wrong as the first one is."""
    draw, truth, held, usual = np.random.default_rng(0), 0.7, 0, 0
    units = np.repeat(np.arange(40), 12)
    for _ in range(1000):
        own = draw.random((40, 12)) < truth
        together = draw.random((40, 1)) < alike
        right = np.where(together, own[:, :1], own).ravel()
        low, high = clustered_wilson(right, units)
        held += low <= truth <= high
        low, high = clustered_wilson(right)
        usual += low <= truth <= high
    assert 0.92 <= held / 1000 <= 0.98
    assert plain[0] <= usual / 1000 <= plain[1]


def test_students_distribution_where_units_are_few() -> None:
    for free in (3, 5, 10, 40, 400):
        assert student_point(Z_95, free) == pytest.approx(student.ppf(0.975, free), rel=1.5e-3)
    assert 4.2 < student_point(Z_95, 2) < student.ppf(0.975, 2)
    assert 11 < student_point(Z_95, 1) < student.ppf(0.975, 1)


def test_the_interval_of_few_groups_holds_the_truth_as_often_as_it_says() -> None:
    """Six groups of ten pictures each, whose shares vary; the normal distribution's would hold it in 89 %."""
    random, held = np.random.default_rng(0), 0
    units = np.repeat(np.arange(6), 10)
    for _ in range(1000):
        shares = random.beta(0.7 * 2 / 3, 0.3 * 2 / 3, 6)  # they correlate by 0.6
        low, high = clustered_wilson(random.random(60) < shares[units], units)
        held += low <= 0.7 <= high
    assert 0.935 <= held / 1000 <= 1


def test_units_of_very_different_sizes_hold_the_truth_too() -> None:
    """60 single pictures and two groups of 30, which decide; 62 witnesses would hold it in 75 %."""
    random, held = np.random.default_rng(0), 0
    units = np.r_[np.arange(60), np.repeat([60, 61], 30)]
    for _ in range(1000):
        shares = random.beta(0.72 / 4, 0.28 / 4, 62)  # they correlate by 0.8
        low, high = clustered_wilson(random.random(120) < shares[units], units)
        held += low <= 0.72 <= high
    assert 0.92 <= held / 1000 <= 0.99


def test_the_error_of_single_pictures_is_the_usual_one() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert clustered_error(values, np.arange(30)) == pytest.approx(values.std(ddof=1) / np.sqrt(30))
    assert clustered_error(values, np.zeros(30)) == np.inf
    assert freedom(np.arange(30)) == 29 and freedom(np.repeat(np.arange(6), 5)) == 5
    assert 2 < freedom(np.minimum(np.arange(600), 300)) < 4, "one of them holds half of the pictures"


@pytest.mark.parametrize("sizes", [[1] * 300, [10] * 30, [1] * 300 + [300]])
def test_the_error_of_groups_reaches_the_truth_as_often_as_it_says(sizes: list[int]) -> None:
    """What varies from unit to unit is within Student's reach in some 95 of 100 trials, or in more."""
    random, held = np.random.default_rng(0), 0
    units = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(1000):
        shift = random.normal(0, 0.3, len(sizes))
        values = shift[units] + random.normal(size=len(units))
        reach = student_point(Z_95, freedom(units)) * clustered_error(values, units)
        held += abs(values.mean()) <= reach
    assert 0.93 <= held / 1000 <= 1
