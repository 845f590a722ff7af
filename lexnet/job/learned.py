"""What training comes to, whichever way it was done: a graph, its head, and what it answered."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A trained classifier before it is exported."""

    graph: bytes
    """ONNX: `pixels` → `features`."""
    weight: NDArray[np.float32]
    """(classes, width) of the head on these features."""
    bias: NDArray[np.float32]
    """(classes,)"""
    temperature: float
    held_out: NDArray[np.float64]
    """(N, classes) probabilities that training itself gives the pictures that were held out."""
    val: NDArray[np.float64]
    """The same for the validation part."""
    axes: NDArray[np.float64] | None = None
    """(3, 3) the principal axes of the training pictures' colours, where the recipe needed them."""
    frozen: str | None = None
    """The last stage that stayed as it was, where later ones were trained."""
    history: list[dict[str, float]] = field(default_factory=list)
    """What was seen epoch by epoch, where there were epochs."""
