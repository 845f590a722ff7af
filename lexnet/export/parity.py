"""Whether the exported graph says what was measured in training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.errors import ParityError

TOLERANCE = 1e-3
"""Largest difference of a probability that rounding in two engines explains, with room to spare."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The exported graph against training, on pictures that were held out."""

    pictures: int
    agreement: float
    """Share of equal top classes; ties count as equal."""
    ties: int
    """Pictures whose two likeliest classes were within `TOLERANCE` and came out the other way round."""
    max_difference: float
    """Of any probability."""


def check_parity(
    measured: NDArray[np.floating[Any]], exported: NDArray[np.floating[Any]], names: list[str]
) -> Parity:
    """Compares (N, classes) probabilities; raises `ParityError` naming the worst picture."""
    difference = np.abs(measured - exported).max(axis=1)
    gap = np.diff(np.sort(measured, axis=1)[:, -2:], axis=1)[:, 0]
    turned = measured.argmax(axis=1) != exported.argmax(axis=1)
    ties = turned & (gap < TOLERANCE)
    parity = Parity(
        pictures=len(names),
        agreement=float(1 - (turned & ~ties).mean()),
        ties=int(ties.sum()),
        max_difference=float(difference.max()),
    )
    if parity.agreement < 1 or not parity.max_difference <= TOLERANCE:  # also catches NaN
        worst = names[int(np.argmax(np.nan_to_num(difference, nan=np.inf)))]
        raise ParityError(
            f"the exported graph disagrees with training on {len(names)} held-out pictures: "
            f"{100 * parity.agreement:.2f} % equal (100 needed), a probability off by up to "
            f"{parity.max_difference:.2g} (at most {TOLERANCE}), most on {worst}; "
            "nothing was written; try another --engine, and please report it"
        )
    return parity
