"""Which pictures are left out together in cross-validation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lexnet.data.columns import rows_of
from lexnet.data.groups import by_class
from lexnet.data.random import address


def assign_folds(
    labels: NDArray[np.int64], units: Sequence[str], folds: int, seed: int, purpose: str = "fold"
) -> NDArray[np.int64]:
    """(N,) fold of each picture: stratified, the pictures of one unit together.

    `units` (N,) names what belongs together: a group, or a picture's digest where it has none. A unit
    counts for the class that most of it is of, or else for one that has too few. There are no more folds
    than the smallest class has units; where a class has but one of its own, each picture of it stands alone.
    """
    own = units_of(labels, units)
    for label in [label for label, mine in own.items() if len(mine) < 2]:
        del own[label]  # and dealt out last: its pictures may lie in units of other classes
        own[label] = [[row] for row in np.flatnonzero(labels == label).tolist()]
    folds = min(folds, *map(len, own.values()))
    result = np.empty(len(labels), np.int64)
    for mine in own.values():
        mine.sort(key=lambda rows: address(seed, purpose, units[rows[0]]))
        for place, rows in enumerate(mine):
            result[rows] = place % folds
    return np.unique(result, return_inverse=True)[1]  # of the folds none is empty


def units_of(labels: NDArray[np.int64], units: Sequence[str]) -> dict[int, list[list[int]]]:
    """For each class the rows of each of its units; see `by_class`."""
    together = [rows for _, rows in sorted(rows_of(units).items())]
    found = by_class(together, labels, int(labels.max()) + 1, least=2)
    return {label: found[label] for label in np.unique(labels).tolist()}
