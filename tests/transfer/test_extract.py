"""What is kept of a picture is what the net said."""

import numpy as np
import pytest

from lexnet.errors import TrainingError
from lexnet.transfer.extract import _halved


def test_activations_that_half_precision_cannot_hold_are_told_and_not_kept() -> None:
    fine = np.array([[65_504.0, -65_504.0, 1e-3]], np.float32)
    np.testing.assert_array_equal(_halved(fine), fine.astype(np.float16))
    for odd in (65_600.0, -70_000.0, np.inf, np.nan):
        with pytest.raises(
            TrainingError, match=r"activations reach .*, over the 65,504 that are kept; train with"
        ):
            _halved(np.array([[odd, 1.0]], np.float32))
