"""A verdict comes from all seeds and says when it is none."""

import numpy as np
import pytest

from lexnet.cases.case import Finding, Study
from lexnet.cases.verdict import counted, interval, more, no_less


def test_students_interval_is_the_textbooks() -> None:
    """Five values with mean 3 and deviation 1.5811; t(0.975, 4) is 2.7764."""
    mean, low, high = interval([1, 2, 3, 4, 5])
    assert mean == 3 and high - mean == pytest.approx(2.7764 * 1.5811 / 5**0.5, abs=1e-3)
    assert mean - low == pytest.approx(high - mean)


def test_one_seed_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="1 value: an interval needs two seeds or more"):
        interval([0.9])


@pytest.mark.parametrize(
    ("gains", "holds"), [((2.0, 3.0, 2.5), True), ((-2.0, -3.0, -2.5), False), ((2.0, -3.0, 2.5), None)]
)
def test_more_is_shown_only_where_the_interval_leaves_out_zero(
    gains: tuple[float, ...], holds: bool | None
) -> None:
    b = [0.5, 0.7, 0.6]
    found = more("x", [value + gain / 100 for value, gain in zip(b, gains, strict=True)], b)
    assert found.holds is holds
    assert found.seen.startswith(f"{np.mean(gains):+.2f} points (") and found.seen.endswith("; 3 seeds)")


def test_a_margin_forgives_a_little() -> None:
    a, b = [0.79, 0.795, 0.785], [0.80, 0.80, 0.80]
    assert more("x", a, b).holds is None or more("x", a, b).holds is False
    assert no_less("x", a, b, 3.0).holds is True
    assert no_less("x", a, [0.9, 0.9, 0.9], 3.0).holds is False


def test_a_claim_holds_where_all_of_it_does() -> None:
    yes, no, unknown = counted("a", True, ""), counted("b", False, ""), Finding("c", None, "", "")
    assert Study(findings=[yes, yes]).holds is True
    assert Study(findings=[yes, unknown]).holds is None
    assert Study(findings=[yes, unknown, no]).holds is False
