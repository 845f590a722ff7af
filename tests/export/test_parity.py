"""The gate between training and the file: it must shut for any fault and only for faults."""

import numpy as np
import pytest

from lexnet.errors import ParityError
from lexnet.export.parity import TOLERANCE, check_parity

MEASURED = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5], [0.4005, 0.4, 0.1995]])
NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def moved(row: int, *by: float) -> np.ndarray:
    exported = MEASURED.copy()
    exported[row] += by
    return exported


def test_equal_outputs_pass() -> None:
    parity = check_parity(MEASURED, MEASURED.astype(np.float32), NAMES)
    assert (parity.pictures, parity.agreement, parity.ties) == (4, 1.0, 0)
    assert parity.max_difference < 1e-7


def test_rounding_passes_and_is_recorded() -> None:
    parity = check_parity(MEASURED, moved(1, 9e-4, -9e-4, 0), NAMES)
    assert parity.max_difference == pytest.approx(9e-4) and parity.agreement == 1.0


def test_a_probability_off_by_two_thousandths_fails_and_names_the_picture() -> None:
    with pytest.raises(ParityError, match=r"100\.00 % equal.*off by up to 0\.002 .*most on c\.jpg"):
        check_parity(MEASURED, moved(2, -2e-3, 0, 2e-3), NAMES)


def test_another_class_fails_and_names_the_picture() -> None:
    with pytest.raises(ParityError, match=r"75\.00 % equal \(100 needed\).*most on b\.jpg"):
        check_parity(MEASURED, moved(1, 0.8, -0.7, -0.1), NAMES)


def test_another_class_fails_even_within_the_tolerance() -> None:
    """0.5007 against 0.4993 is no tie: rounding cannot turn it."""
    measured, exported = np.array([[0.5007, 0.4993]]), np.array([[0.4999, 0.5001]])
    assert np.abs(measured - exported).max() < TOLERANCE
    with pytest.raises(ParityError, match=r"0\.00 % equal"):
        check_parity(measured, exported, ["a.jpg"])


def test_a_tie_that_came_out_the_other_way_is_recorded() -> None:
    parity = check_parity(MEASURED, moved(3, -5e-4, 5e-4, 0), NAMES)
    assert (parity.ties, parity.agreement) == (1, 1.0)


def test_a_tie_excuses_no_large_difference() -> None:
    with pytest.raises(ParityError, match=r"most on d\.jpg"):
        check_parity(MEASURED, moved(3, -0.2, 0, 0.2), NAMES)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_fails_and_names_the_picture(broken: float) -> None:
    for row in (0, 2):
        with pytest.raises(ParityError, match=f"most on {NAMES[row]}"):
            check_parity(MEASURED, moved(row, broken, 0, 0), NAMES)
    with pytest.raises(ParityError):
        check_parity(MEASURED, np.full_like(MEASURED, broken), NAMES)


def test_no_numbers_in_training_fail_too() -> None:
    """Where both argmax of NaN, they agree."""
    with pytest.raises(ParityError, match=r"most on a\.jpg"):
        check_parity(moved(0, np.nan, np.nan, np.nan), MEASURED, NAMES)
    nothing = np.full_like(MEASURED, np.nan)
    with pytest.raises(ParityError):
        check_parity(nothing, nothing, NAMES)


def test_two_classes_and_one_picture() -> None:
    assert check_parity(np.array([[0.3, 0.7]]), np.array([[0.3, 0.7]]), ["a.jpg"]).agreement == 1.0
