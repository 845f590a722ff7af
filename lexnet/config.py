"""Every setting, its default and its limits: the one page of knobs.

The command line makes its flags from these classes, so that both always say the same.
"""

import math
import os
import re
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args

from lexnet.errors import ConfigError

Interpolation = Literal["bicubic", "bilinear"]
Golden = Literal["real", "synthetic", "none"]
EngineChoice = Literal["auto", "openvino", "onnxruntime", "torch"]
Mode = Literal["auto", "probe", "tail", "finetune", "scratch"]
Crop = Literal["centre", "random", "resized"]
Border = Literal["reflect", "edge", "colour"]
Tta = Literal["none", "mirror", "crops", "ten"]
ClassWeight = Literal["none", "balanced", "sampled"]
Optimiser = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "steps"]
Norms = Literal["frozen", "trained"]
Precision = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]
Compile = Literal["auto", "always", "never"]
Range = tuple[float, float]

MAX_PIXELS = 64_000_000
"""Pictures with more are refused before decoding; well below Pillow's own limit of 179 million."""
MAX_BYTES = 512 * 2**20
"""Larger files are refused before they are read."""
NO_CLIP = 1e6
"""A gradient's length that none comes to."""
MAX_CLASSES = 2_000
"""A confusion matrix has this number squared of entries."""
PIXEL_RULES = 2
"""Raised when `preprocess` turns a file into other pixels: what was made by older rules is then refused."""
MAX_ASPECT = 100
"""Pictures longer than this many times their width are refused: a crop would show nothing of them."""
LEAST_BUDGET = 10
"""Seconds: starting, verifying and writing alone take some."""
MAX_BEND = 8
"""A local warp under the wavelength over this never turns a picture inside out: see `augment.warp`."""


@dataclass(frozen=True, kw_only=True)
class PreprocessSpec:
    """How a picture file becomes what the net sees; part of every bundle."""

    size: Annotated[int, "side of the square that the net sees, pixels"] = 224
    short_side: Annotated[int, "the picture's short side is resized to this, pixels"] = 256
    interpolation: Annotated[Interpolation, "antialiased filter"] = "bicubic"
    channels: Annotated[int, "1 grey or 3 RGB"] = 3
    mean: Annotated[tuple[float, ...], "subtracted from the pixels, 0..255"] = (0.0, 0.0, 0.0)
    std: Annotated[tuple[float, ...], "then divides them"] = (255.0, 255.0, 255.0)
    tta: Annotated[Tta, "views that an answer is the mean of: none but the square, mirror, crops, ten"] = (
        "none"
    )
    rules: Annotated[int, "version of the rules of decoding, orientation, alpha and 16 bits"] = PIXEL_RULES

    def __post_init__(self) -> None:
        if self.rules != PIXEL_RULES:
            raise ConfigError(
                f"pictures were prepared by rules {self.rules}, this lexnet has {PIXEL_RULES}; update it"
            )
        _within("size", self.size, 16, 1024)
        _within("short_side", self.short_side, self.size, 2048)
        _one_of("interpolation", self.interpolation, get_args(Interpolation))
        _one_of("channels", self.channels, (1, 3))
        _one_of("tta", self.tta, get_args(Tta))
        if self.tta in ("crops", "ten") and self.short_side == self.size:
            raise ConfigError(f"tta={self.tta!r} has no room: short_side={self.short_side} is size itself")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ConfigError(f"mean={self.mean} and std={self.std} need {self.channels} values each")
        if not all(-math.inf < m < math.inf for m in self.mean):
            raise ConfigError(f"mean={self.mean} must be finite")
        if not all(0 < s < math.inf for s in self.std):
            raise ConfigError(f"std={self.std} must be positive and finite")

    @classmethod
    def of_levels(cls, size: int, short_side: int, channels: int) -> "PreprocessSpec":
        """Of a net that takes each level, 0..255, as its share of 255."""
        mean, std = (0.0,) * channels, (255.0,) * channels
        return cls(size=size, short_side=short_side, channels=channels, mean=mean, std=std)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(size, size, channels), of a picture as the net sees it."""
        return self.size, self.size, self.channels

    def side(self, width: float, height: float) -> float:
        """Of the square that the net sees, in the picture's own pixels."""
        return min(width, height) * self.size / self.short_side

    def around(self) -> "PreprocessSpec":
        """The whole square as wide as the short side, of which the net sees the middle."""
        return replace(self, size=self.short_side, tta="none")


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
        int | None,
        "cross-validation: also measure on every picture in turn, in this many folds: for few held-out "
        "pictures",
    ] = None
    repeats: Annotated[int, "with --folds, how often, divided anew each time"] = 3

    def __post_init__(self) -> None:
        for name in ("val", "test"):
            share = getattr(self, name)
            if isinstance(share, (int, float)) and 2 <= share <= 100:
                raise ConfigError(f"{name}={share:g} is no share; give {share / 100:g} for {share:g} %")
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
    candidates: Annotated[
        tuple[float, ...], "values to try for C, the inverse regularisation, up to one that is much worse"
    ] = (0.001, 0.004, 0.016, 0.064, 0.256, 1.0, 4.0)

    def __post_init__(self) -> None:
        _within("cv", self.cv, 2, 20)
        if not isinstance(self.candidates, tuple) or not self.candidates:
            raise ConfigError(f"candidates={self.candidates!r} must be positive numbers, one or more")
        for candidate in self.candidates:
            if isinstance(candidate, bool) or not isinstance(candidate, Real) or not 0 < candidate < math.inf:
                raise ConfigError(f"candidates={self.candidates} must be positive numbers")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How much a picture is changed before training sees it; 0 or (1, 1) leaves a thing alone.

    Lengths are shares of the square's side, so that a recipe means the same at every size.
    """

    crop: Annotated[Crop, "centre (as in evaluation), random (of that size) or resized (of any size)"] = (
        "centre"
    )
    pad: Annotated[float, "a random crop may reach this far beyond the picture's central square"] = 0.0
    area: Annotated[Range, "share of the picture that a resized crop takes"] = (1.0, 1.0)
    aspect: Annotated[Range, "width over height of a resized crop"] = (1.0, 1.0)
    mirror: Annotated[float, "probability of left for right"] = 0.0
    flip: Annotated[float, "probability of top for bottom"] = 0.0
    rotate: Annotated[float, "degrees either way at most"] = 0.0
    shear: Annotated[float, "degrees either way at most"] = 0.0
    translate: Annotated[float, "at most, either way"] = 0.0
    zoom: Annotated[Range, "how many times larger"] = (1.0, 1.0)
    perspective: Annotated[float, "how much nearer one side may come: the homography's last row"] = 0.0
    warp: Annotated[float, "local warping: how far a point may move"] = 0.0
    wavelength: Annotated[float, "from one bulge of the local warping to the next"] = 0.3
    border: Annotated[Border, "what lies beyond the picture: reflect, edge, or a colour"] = "reflect"
    colour: Annotated[tuple[int, int, int], "of the border, where it is one"] = (128, 128, 128)
    brightness: Annotated[float, "factor 1 ± this at most"] = 0.0
    contrast: Annotated[float, "factor 1 ± this at most, about mid-grey"] = 0.0
    saturation: Annotated[float, "factor 1 ± this at most, about the luma"] = 0.0
    hue: Annotated[float, "degrees either way at most, the luma kept"] = 0.0
    grey: Annotated[float, "probability of no colour at all"] = 0.0
    channels: Annotated[float, "shift of each channel at most, of 255"] = 0.0
    pca: Annotated[float, "deviation of AlexNet's shifts along the colours' principal axes"] = 0.0
    gamma: Annotated[Range, "exponent of the tone curve"] = (1.0, 1.0)
    damage: Annotated[float, "probability of each of blur, noise and JPEG"] = 0.0
    blur: Annotated[float, "deviation at most"] = 0.0
    noise: Annotated[float, "deviation at most, of 255"] = 0.0
    jpeg: Annotated[int, "quality at least; 100 for none"] = 100
    erase: Annotated[float, "probability that a rectangle is painted over"] = 0.0
    erased: Annotated[Range, "share of the square that it takes"] = (0.02, 0.2)
    mixup: Annotated[float, "alpha of the Beta distribution of two pictures' shares"] = 0.0
    cutmix: Annotated[float, "alpha of the same, of the area that is another picture's"] = 0.0

    def __post_init__(self) -> None:
        _one_of("crop", self.crop, get_args(Crop))
        _one_of("border", self.border, get_args(Border))
        for name in ("mirror", "flip", "grey", "damage", "erase"):
            _within(name, getattr(self, name), 0.0, 1.0)
        for name, most in {
            "pad": 0.5, "rotate": 180.0, "shear": 45.0, "translate": 0.5, "perspective": 0.4, "warp": 0.1,
            "brightness": 0.9, "contrast": 0.9, "saturation": 1.0, "hue": 180.0, "channels": 0.5,
            "pca": 1.0, "blur": 0.05, "noise": 0.5, "mixup": 10.0, "cutmix": 10.0,
        }.items():  # fmt: skip
            _within(name, getattr(self, name), 0.0, most)
        _within("wavelength", self.wavelength, 0.1, 2.0)
        _within("jpeg", self.jpeg, 5, 100)
        _range("area", self.area, 0.02, 1.0)
        _range("aspect", self.aspect, 0.2, 5.0)
        _range("zoom", self.zoom, 0.2, 5.0)
        _range("gamma", self.gamma, 0.2, 5.0)
        _range("erased", self.erased, 0.0, 0.8)
        if not isinstance(self.colour, tuple) or len(self.colour) != 3:
            raise ConfigError(f"colour={self.colour} must be three levels: red, green, blue")
        for level in self.colour:
            _within("colour", level, 0, 255)
        if self.warp > self.wavelength / MAX_BEND:
            raise ConfigError(
                f"warp={self.warp} at wavelength={self.wavelength} would fold the picture over; "
                f"keep it under wavelength / {MAX_BEND}"
            )


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How weights are trained, where more than a linear head is; what is left out comes from `MODES`."""

    epochs: Annotated[
        int | None, "passes over the training pictures [default: 6, a tail of few pictures more; scratch 20]"
    ] = None
    raised: Annotated[
        tuple[int, ...], "totals of epochs that it was trained to before, where more were added later"
    ] = field(default=(), metadata={"hidden": True})  # what a plan records
    lr: Annotated[
        float | None,
        "learning rate at its peak [default: tail 5e-4, finetune 5e-4, scratch 3e-3; sgd 100 times as much]",
    ] = None
    find_lr: Annotated[bool, "measure which learning rate to take (its curve is in the report)"] = False
    batch_size: Annotated[int | None, "pictures a step [default: 32; from scratch 128]"] = None
    accumulate: Annotated[int, "gradient accumulation: batches whose gradients are added up for one step"] = 1
    optimiser: Annotated[Optimiser, "the optimiser: adamw, or sgd with Nesterov's momentum of 0.9"] = "adamw"
    weight_decay: Annotated[
        float | None, "weight decay, of all but biases and norms [default: 0.05; sgd 5e-4]"
    ] = None
    layer_decay: Annotated[
        float | None,
        "layer-wise learning-rate decay: each stage's rate as a share of the next one's "
        "[default: finetune 0.7, else 1]",
    ] = None
    norms: Annotated[
        Norms | None,
        "what batch norms do: keep what they know, or learn too [default: frozen; from scratch trained]",
    ] = None
    warmup: Annotated[float, "epochs over which the learning rate rises"] = 0.5
    schedule: Annotated[
        Schedule,
        "how the learning rate falls: cosine, or steps (to a tenth after a half and after three quarters)",
    ] = "cosine"
    clip: Annotated[float, "gradient clipping: a longer gradient is shortened to this length"] = 1.0
    ema: Annotated[
        float, "how much of the exponential moving average (EMA) of the weights each step keeps"
    ] = 0.99
    smoothing: Annotated[float, "label smoothing: share of each label that goes to all classes alike"] = 0.1
    patience: Annotated[
        int | None,
        "early stopping: stop after this many epochs without a lower validation loss, and take the best",
    ] = None
    steps: Annotated[int | None, "stop after this many steps, wherever that is [default: never]"] = None
    precision: Annotated[
        Precision, "numbers to compute with: float32, bfloat16, or auto (bfloat16 where a GPU does it)"
    ] = "auto"
    device: Annotated[
        Device, "where whole nets are trained: cpu, cuda, or auto (cuda where there is one)"
    ] = "auto"
    compile: Annotated[
        Compile,
        "whether whole nets go through torch.compile: always, never, or auto (where a long training is timed "
        "to gain by it)",
    ] = "auto"

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "epochs": (1, 10_000), "lr": (1e-8, 100.0), "batch_size": (1, 4096), "weight_decay": (0.0, 10.0),
            "layer_decay": (0.01, 1.0), "patience": (1, 10_000), "steps": (1, 10**9),
        }  # fmt: skip
        for name, (least, most) in limits.items():
            if getattr(self, name) is not None:
                _within(name, getattr(self, name), least, most)
        for total in self.raised:
            _within("raised", total, 1, 10_000)
        if self.raised and [*self.raised, self.epochs] != sorted({*self.raised, self.epochs or 0}):
            raise ConfigError(f"raised={self.raised} must grow, and end under epochs={self.epochs}")
        _within("accumulate", self.accumulate, 1, 10_000)
        _one_of("optimiser", self.optimiser, get_args(Optimiser))
        _one_of("schedule", self.schedule, get_args(Schedule))
        _one_of("norms", self.norms, (None, *get_args(Norms)))
        _one_of("precision", self.precision, get_args(Precision))
        _one_of("device", self.device, get_args(Device))
        _one_of("compile", self.compile, get_args(Compile))
        _within("warmup", self.warmup, 0.0, float(self.epochs or 10_000))
        _within("clip", self.clip, 1e-6, NO_CLIP)
        _within("ema", self.ema, 0.0, 0.99999)
        _within("smoothing", self.smoothing, 0.0, 0.9)
        _a_bool("find_lr", self.find_lr)
        if self.find_lr and self.lr is not None and not isinstance(self, Fit):
            raise ConfigError(f"lr={self.lr:g} and find_lr: give the rate, or have it measured, not both")

    def resolved(self, mode: str) -> "Fit":
        """The same with nothing left open; a tail's epochs, which its pictures decide, at the fewest."""
        chosen = MODES[mode] | (SGD[mode] if self.optimiser == "sgd" else {})
        if mode == "tail":
            chosen["epochs"] = max(chosen["epochs"], math.ceil(self.warmup))
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return Fit(**{**chosen, **given})


class Fit(FitConfig):
    """A `FitConfig` in which nothing is left open."""

    epochs: int
    lr: float
    batch_size: int
    weight_decay: float
    layer_decay: float
    norms: Norms

    def ends(self) -> list[int]:
        """For each epoch the total of epochs that its learning rates are laid out for."""
        totals = (*self.raised, self.epochs)
        return [next(total for total in totals if total > epoch) for epoch in range(self.epochs)]


MODES: dict[str, dict[str, Any]] = {
    "tail": {
        "epochs": 6, "lr": 5e-4, "batch_size": 32, "weight_decay": 0.05, "layer_decay": 1.0,
        "norms": "frozen",
    },
    "finetune": {
        "epochs": 6, "lr": 5e-4, "batch_size": 32, "weight_decay": 0.05, "layer_decay": 0.7,
        "norms": "frozen",
    },
    "scratch": {
        "epochs": 20, "lr": 3e-3, "batch_size": 128, "weight_decay": 0.05, "layer_decay": 1.0,
        "norms": "trained",
    },
}  # fmt: skip
"""What each mode takes where nobody chose."""
VIEWS = 4
"""Changed copies of each training picture, where nobody chose."""
TTA_VIEWS: dict[str, int] = {"none": 1, "mirror": 2, "crops": 5, "ten": 10}
"""Views that an answer is the mean of, by `tta`."""
TAIL_STEPS = 300
"""The least steps of a tail whose epochs nobody chose: the first ones lose what the head knew."""
SGD: dict[str, dict[str, Any]] = {
    mode: {"lr": 100 * values["lr"], "weight_decay": 5e-4} for mode, values in MODES.items()
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What `lexnet train` and `lexnet.Classifier` can be told."""

    net: Annotated[
        str,
        "which net (see `lexnet nets`), several with commas to take the cheapest within a point, or auto",
    ] = "auto"
    from_: Annotated[
        str | None, "go on from this bundle: its net and weights, with more pictures or other classes"
    ] = None
    mode: Annotated[
        Mode,
        "what is trained: probe (a linear head on the frozen net), tail (its last stages too), finetune (all "
        "of it), scratch (all of it, from random weights), or auto: a probe, or a tail where that proves "
        "better on pictures kept back; scratch for thousands of pictures under 32 px",
    ] = "auto"
    size: Annotated[
        int | None,
        "side of the square that the net sees, pixels [default: the weights'; from scratch the pictures']",
    ] = None
    channels: Annotated[
        int | None, "1 grey or 3 colours [default: the weights'; from scratch the pictures']"
    ] = None
    cut: Annotated[
        str,
        "a stage (see `lexnet show`), auto or none: for a probe the last one to keep, for a tail to freeze",
    ] = "none"
    max_macs: Annotated[
        float | None, "with --cut auto, most multiply-adds a picture may cost, such as 150e6"
    ] = None
    max_size: Annotated[
        float | None, "with --cut auto, most bytes that the net's weights may take, such as 5e6"
    ] = None
    max_latency: Annotated[
        float | None, "with --cut auto, most milliseconds that one picture may take here, measured"
    ] = None
    budget: Annotated[
        str | None,
        "time limit for the whole run, such as 90s, 5m or 1h: times this machine, and picks what fits",
    ] = None
    seed: Annotated[int, "what the split and every other random choice are drawn from"] = 0
    workers: Annotated[int | None, "threads [default: all cores]"] = None
    engine: Annotated[EngineChoice, "what runs the frozen net"] = "auto"
    recipe: Annotated[
        str | Recipe, "how training pictures are changed: auto, a name (see `lexnet augment`), or a YAML file"
    ] = "auto"
    views: Annotated[
        int | None,
        "changed copies of each training picture for a probe or a tail, where the recipe changes any "
        "[default: 4]",
    ] = None
    tta: Annotated[
        Tta,
        "test-time augmentation: answer with the mean over several views: none, mirror, crops (five) or ten "
        "(both)",
    ] = "none"
    golden: Annotated[
        Golden, "pictures kept in the bundle to verify it by: some of yours, made up, or none"
    ] = "real"
    class_weight: Annotated[
        ClassWeight,
        "how much a picture counts: none (what the source says), balanced (each class alike) or "
        "sampled (pictures are drawn so that each class comes as often; not for a probe)",
    ] = "none"
    fixes: Annotated[str | None, "corrections to apply first: a fixes.csv of `lexnet check`"] = None
    skip_bad: Annotated[bool, "go on without the pictures that cannot be used, and record them"] = False
    split: Annotated[SplitConfig, "which pictures are taken and held out"] = field(
        default_factory=SplitConfig
    )
    probe: Annotated[ProbeConfig, "the linear head"] = field(default_factory=ProbeConfig)
    fit: Annotated[FitConfig, "training of a tail or a whole net"] = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        _a_bool("skip_bad", self.skip_bad)
        if not isinstance(self.net, str):
            raise ConfigError(f"net={self.net!r} must be a net's name, or several with commas between")
        _one_of("mode", self.mode, get_args(Mode))
        _one_of("engine", self.engine, get_args(EngineChoice))
        _one_of("golden", self.golden, get_args(Golden))
        _one_of("class_weight", self.class_weight, get_args(ClassWeight))
        _one_of("tta", self.tta, get_args(Tta))
        if self.views is not None:
            _within("views", self.views, 1, 1000)
        if not isinstance(self.recipe, (str, Recipe)):
            raise ConfigError(f"recipe={self.recipe!r} must be auto, a recipe's name or a YAML file's")
        _within("seed", self.seed, 0, 2**63 - 1)
        if self.size is not None:
            _within("size", self.size, 16, 512)
        _one_of("channels", self.channels, (None, 1, 3))
        for name in ("max_macs", "max_size", "max_latency"):
            if (limit := getattr(self, name)) is not None:
                _within(name, limit, 1e-3, 1e15)
                if self.cut != "auto":
                    raise ConfigError(f"{name}={limit:g} limits cut='auto', not cut={self.cut!r}")
        if self.budget is not None:
            seconds(self.budget)
        if self.workers is not None:
            _within("workers", self.workers, 1, 256)

    def nets(self) -> list[str]:
        """The names of the nets."""
        return [name.strip() for name in self.net.split(",")]


def seconds(budget: str) -> float:
    """90s, 5m, 1h or 1h30m in seconds; a number alone is seconds too. Raises `ConfigError`."""
    found = re.fullmatch(
        r"(?:([\d.]+)h(?![\d.]+$))?(?:([\d.]+)m(?:in)?)?(?:([\d.]+)s?)?", str(budget).strip().lower()
    )
    try:
        hours, minutes, rest = (float(piece or 0) for piece in found.groups()) if found else (0.0, 0.0, 0.0)
    except ValueError:
        hours = minutes = rest = 0.0
    total = 3600 * hours + 60 * minutes + rest
    if not LEAST_BUDGET <= total <= 30 * 86400:
        raise ConfigError(
            f"budget={budget!r} must be a time of {LEAST_BUDGET} seconds or more, such as 90s, 5m or 1h30m"
        )
    return total


def tail_epochs(config: FitConfig, pictures: int) -> int:
    """How often a tail sees each of this many training pictures."""
    fit = config.resolved("tail")
    return config.epochs or max(fit.epochs, -(-TAIL_STEPS * fit.batch_size * fit.accumulate // pictures))


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


def _range(name: str, value: Any, low: float, high: float) -> None:
    if not isinstance(value, tuple) or len(value) != 2:
        raise ConfigError(f"{name}={value!r} must be two numbers, the least and the most")
    for number in value:
        _within(name, number, low, high)
    if value[0] > value[1]:
        raise ConfigError(f"{name}={value} must have the lesser number first")


def _a_bool(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name}={value!r} must be true or false")


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}={value!r} must be one of {', '.join(map(str, allowed))}")
