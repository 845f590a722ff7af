"""The Wilson interval against published values."""

from math import comb

import pytest

from lexnet.evaluate.intervals import wilson


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
