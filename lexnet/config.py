"""Every setting, its default and its limits: the one page of knobs.

The command line makes its flags from these classes, so that both always say the same.
"""

import math
import os
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Annotated, Any, Literal

from lexnet.errors import ConfigError

Interpolation = Literal["bicubic", "bilinear"]
Golden = Literal["real", "synthetic", "none"]
EngineChoice = Literal["auto", "openvino", "onnxruntime", "torch"]
Mode = Literal["auto", "probe"]

MAX_PIXELS = 64_000_000
"""Pictures with more are refused before decoding; well below Pillow's own limit of 179 million."""
MAX_BYTES = 512 * 2**20
"""Larger files are refused before they are read."""
MAX_CLASSES = 2_000
"""A confusion matrix has this number squared of entries."""
PIXEL_RULES = 2
"""Raised when `preprocess` turns a file into other pixels: what was made by older rules is then refused."""
MAX_ASPECT = 100
"""Pictures longer than this many times their width are refused: a crop would show nothing of them."""


@dataclass(frozen=True, kw_only=True)
class PreprocessSpec:
    """How a picture file becomes what the net sees; part of every bundle."""

    size: Annotated[int, "side of the square that the net sees, pixels"] = 224
    short_side: Annotated[int, "the picture's short side is resized to this, pixels"] = 256
    interpolation: Annotated[Interpolation, "antialiased filter"] = "bicubic"
    channels: Annotated[int, "1 grey or 3 RGB"] = 3
    mean: Annotated[tuple[float, ...], "subtracted from the pixels, 0..255"] = (0.0, 0.0, 0.0)
    std: Annotated[tuple[float, ...], "then divides them"] = (255.0, 255.0, 255.0)
    rules: Annotated[int, "version of the rules of decoding, orientation, alpha and 16 bits"] = PIXEL_RULES

    def __post_init__(self) -> None:
        if self.rules != PIXEL_RULES:
            raise ConfigError(
                f"pictures were prepared by rules {self.rules}, this lexnet has {PIXEL_RULES}; update it"
            )
        _within("size", self.size, 16, 1024)
        _within("short_side", self.short_side, self.size, 2048)
        _one_of("interpolation", self.interpolation, ("bicubic", "bilinear"))
        _one_of("channels", self.channels, (1, 3))
        if not len(self.mean) == len(self.std) == self.channels:
            raise ConfigError(f"mean={self.mean} and std={self.std} need {self.channels} values each")
        if not all(-math.inf < m < math.inf for m in self.mean):
            raise ConfigError(f"mean={self.mean} must be finite")
        if not all(0 < s < math.inf for s in self.std):
            raise ConfigError(f"std={self.std} must be positive and finite")


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Which pictures are taken, and how they are set apart where the source does not say."""

    val: Annotated[float, "share of the pictures for validation"] = 0.1
    test: Annotated[float, "share of the pictures for the final test"] = 0.2
    group_by: Annotated[
        str | None, "regular expression on the path: pictures with the same match stay in one part"
    ] = None
    limit: Annotated[int | None, "take this many pictures in all, of each class its share"] = None
    per_class: Annotated[int | None, "take this many pictures of each class (and part) at most"] = None
    folds: Annotated[
        int | None, "also measure on every picture in turn, in this many folds: for few held-out pictures"
    ] = None
    repeats: Annotated[int, "with --folds, how often, divided anew each time"] = 3

    def __post_init__(self) -> None:
        _within("val", self.val, 0.0, 0.5)
        _within("test", self.test, 0.05, 0.5)
        if self.val + self.test > 0.8:
            raise ConfigError(f"val={self.val} and test={self.test} leave under a fifth to train on")
        if self.folds is not None:
            _within("folds", self.folds, 2, 20)
        _within("repeats", self.repeats, 1, 100)
        for name in ("limit", "per_class"):
            if getattr(self, name) is not None:
                _within(name, getattr(self, name), 1, 10**9)


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """The linear head on frozen features."""

    cv: Annotated[int, "folds of the cross-validation that chooses the regularisation"] = 4
    candidates: Annotated[tuple[float, ...], "values tried for C, the inverse regularisation"] = (
        0.001, 0.004, 0.016, 0.064, 0.256, 1.0, 4.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        _within("cv", self.cv, 2, 20)
        if not self.candidates or not all(0 < c < math.inf for c in self.candidates):
            raise ConfigError(f"candidates={self.candidates} must be positive numbers")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What `lexnet train` and `lexnet.Classifier` can be told."""

    net: Annotated[str, "which net, or auto (see `lexnet nets`)"] = "auto"
    mode: Annotated[Mode, "how it learns: auto, or probe (a linear head on the frozen net)"] = "auto"
    size: Annotated[
        int | None, "side of the square that the net sees, pixels [default: the weights' own]"
    ] = None
    seed: Annotated[int, "of the split and of every other random choice"] = 0
    workers: Annotated[int | None, "threads [default: all cores]"] = None
    engine: Annotated[EngineChoice, "what runs the frozen net"] = "auto"
    golden: Annotated[
        Golden, "pictures kept in the bundle to verify it by: some of yours, made up, or none"
    ] = "real"
    fixes: Annotated[str | None, "corrections to apply first: a fixes.csv of `lexnet check`"] = None
    skip_bad: Annotated[bool, "go on without the pictures that cannot be used, and record them"] = False
    split: SplitConfig = field(default_factory=SplitConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)

    def __post_init__(self) -> None:
        if not isinstance(self.skip_bad, bool):
            raise ConfigError(f"skip_bad={self.skip_bad!r} must be true or false")
        _one_of("mode", self.mode, ("auto", "probe"))
        _one_of("engine", self.engine, ("auto", "openvino", "onnxruntime", "torch"))
        _one_of("golden", self.golden, ("real", "synthetic", "none"))
        _within("seed", self.seed, 0, 2**63 - 1)
        if self.size is not None:
            _within("size", self.size, 32, 512)
        if self.workers is not None:
            _within("workers", self.workers, 1, 256)


def available_cores() -> int:
    """Cores that this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _within(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:  # type: ignore[operator]
        raise ConfigError(f"{name}={value!r} must lie in [{low}, {high}]")
    if isinstance(low, int) and not isinstance(value, Integral):
        raise ConfigError(f"{name}={value!r} must be a whole number")


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}={value!r} must be one of {', '.join(map(str, allowed))}")
