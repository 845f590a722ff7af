"""What training starts from and comes to, whichever way it was done."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lexnet.check.duplicates import Pair
from lexnet.config import Compile, PreprocessSpec
from lexnet.data.manifest import Manifest
from lexnet.job.job import Job
from lexnet.transfer.cut import Probed
from lexnet.transfer.extract import Extraction
from lexnet.transfer.probe import Examples, Probe
from lexnet.transfer.trunk import Trunk


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Pictures that can be used."""

    manifest: Manifest
    near: list[Pair]
    """Which of them are nearly the same."""
    spec: PreprocessSpec
    """How they are prepared."""
    trunk: Trunk | None = None
    """The frozen net that saw them, where learning starts from one."""
    extraction: Extraction | None = None
    """What it made of them."""


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
    epochs: list[dict[str, float]] = field(default_factory=list)
    """What was seen epoch by epoch, where there were epochs."""
    steps: int = 0
    """How often the weights were changed."""
    stopped: str | None = None
    """Why that ended before its last epoch, where it did."""
    lr: float | None = None
    """The learning rate that was taken, where there was one."""
    compile: Compile | None = None
    """Whether the net was compiled, where that was open."""
    rates: list[tuple[float, float]] = field(default_factory=list)
    """(learning rate, loss) where the rate was measured."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """A trained classifier, and what it was trained with."""

    job: Job
    """With the plan that it follows, nothing left open."""
    spec: PreprocessSpec
    """How its pictures are prepared."""
    learned: Learned
    trunk: Trunk | None = None
    """The frozen net that it started from, cut short where the plan says so."""
    probe: Probe | None = None
    examples: Examples | None = None
    """What the probe was fitted on."""
    curve: list[Probed] = field(default_factory=list)
