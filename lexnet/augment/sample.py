"""What happens to which picture: a recipe's ranges become the numbers of views; no pixel is touched here.

    (seed, purpose, view) ─ sha256 ─ key ─────┐
                                              Philox ─ uniform numbers, each with its fixed meaning
    picture's name ─ sha256 ─ counter ────────┘

Philox (Salmon et al., 2011) is a counter-based generator: it is addressed, not run. So a view does not
depend on which pictures, workers or batches came before it, and no operation on another's being there.
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.config import Recipe

NORMAL = NormalDist()
NUMBERS = 35  # that a view takes before those of its local warp

Number = Any
"""A float, or N of them for N views (still one, for all, where the recipe leaves it be)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One view of one picture, or N of as many, in units that do not depend on the picture's size."""

    recipe: Recipe
    area: Number
    aspect: Number
    place: tuple[Number, Number]
    """0..1 across and down: where a crop lies, from one end of its room to the other."""
    mirror: Number
    flip: Number
    rotate: Number
    """Degrees, anticlockwise as seen."""
    shear: tuple[Number, Number]
    """Degrees, along x and along y."""
    translate: tuple[Number, Number]
    zoom: Number
    perspective: tuple[Number, Number]
    bend: NDArray[np.float32] | None
    """(2, n, n), or (N, 2, n, n), displacements at the knots of a cubic B-spline, shares of the square."""
    brightness: Number
    contrast: Number
    saturation: Number
    hue: Number
    grey: Number
    channels: tuple[Number, Number, Number]
    pca: tuple[Number, Number, Number]
    gamma: Number
    blur: Number
    noise: Number
    jpeg: Number
    erase: tuple[Number, Number, Number, Number]
    """Left, top, right, bottom, as shares of the square; of no area for none."""
    erase_level: Number
    addresses: tuple[tuple[int, str, int, str], ...]
    """Seed, purpose, the view's number and the picture's name: what all this was drawn from, N times."""

    def __len__(self) -> int:
        return len(self.addresses)

    def __getitem__(self, i: int) -> "View":
        """One of them."""

        def own(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(own, value))
            return value[i].item() if isinstance(value, np.ndarray) else value

        values = {name: own(value) for name, value in vars(self).items() if name != "bend"}
        bend = self.bend if self.bend is None or self.bend.ndim == 3 else self.bend[i]
        return View(**values | {"bend": bend, "addresses": (self.addresses[i],)})

    def numbers(self) -> dict[str, object]:
        """What is not neutral in one view, for people to read."""
        plain = sample(Recipe(), 0, "", 0, "")
        fixed = {"recipe", "addresses", "place", "erase_level"}
        shown = {name: value for name, value in vars(self).items() if name not in fixed}
        changed = {name: value for name, value in shown.items() if np.any(value != vars(plain)[name])}
        if self.recipe.crop != "centre":
            changed["place"] = self.place
        if self.bend is not None:
            changed["bend"] = float(np.abs(self.bend).max())
        return {name: _rounded(value) for name, value in changed.items()}


def sample(recipe: Recipe, seed: int, purpose: str, view: int, item: str) -> View:
    """The view with this number of this picture. `item` names the picture: its sha256, or its path.

    `view` is the epoch's number in training; `purpose` keeps draws for different uses apart.
    """
    return sample_all(recipe, seed, purpose, [(view, item)])[0]


def sample_all(recipe: Recipe, seed: int, purpose: str, which: Sequence[tuple[int, str]]) -> View:
    """For each (view, item) what `sample` gives, all at once."""
    knots = bend_knots(recipe.wavelength) if recipe.warp else 0
    count = NUMBERS + 2 * knots * knots
    numbers = np.empty((len(which), count))
    for row, (view, item) in zip(numbers, which, strict=True):
        generator(seed, purpose, view, item).random(out=row)
    u = numbers[:, :NUMBERS].T
    bend = None
    if recipe.warp:
        bend = numbers[:, NUMBERS:].astype(np.float32).reshape(-1, 2, knots, knots)
        bend = (2 * bend - 1) * np.float32(recipe.warp)
    return View(
        recipe=recipe,
        area=_between(u[0], recipe.area),
        aspect=_factor(u[1], recipe.aspect),
        place=(u[2], u[3]),
        mirror=_whether(u[4], recipe.mirror),
        flip=_whether(u[5], recipe.flip),
        rotate=_either(u[6], recipe.rotate),
        shear=(_either(u[7], recipe.shear), _either(u[8], recipe.shear)),
        translate=(_either(u[9], recipe.translate), _either(u[10], recipe.translate)),
        zoom=_between(u[11], recipe.zoom),
        perspective=(_either(u[12], recipe.perspective), _either(u[13], recipe.perspective)),
        bend=bend,
        brightness=1 + _either(u[14], recipe.brightness),
        contrast=1 + _either(u[15], recipe.contrast),
        saturation=1 + _either(u[16], recipe.saturation),
        hue=_either(u[17], recipe.hue),
        grey=_whether(u[18], recipe.grey),
        channels=(
            _either(u[19], recipe.channels), _either(u[20], recipe.channels), _either(u[21], recipe.channels),
        ),
        pca=(_normal(u[22], recipe.pca), _normal(u[23], recipe.pca), _normal(u[24], recipe.pca)),
        gamma=_factor(u[25], recipe.gamma),
        blur=_some(u[26], recipe.damage) * recipe.blur,
        noise=_some(u[27], recipe.damage) * recipe.noise,
        jpeg=_quality(_some(u[28], recipe.damage), recipe.jpeg),
        erase=_rectangle(u[30:34], recipe.erased, _whether(u[29], recipe.erase)),
        erase_level=(256 * u[34]).astype(int),
        addresses=tuple((seed, purpose, view, item) for view, item in which),
    )  # fmt: skip


def noise(view: View, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal numbers that belong to this one view."""
    seed, purpose, number, item = view.addresses[0]
    return generator(seed, f"{purpose} noise", number, item).standard_normal(shape, np.float32)


class _PerThread(threading.local):
    """A generator for each thread: to make one takes longer than all that a view draws from it."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(0)
        self.generator = np.random.Generator(self.philox)


_per_thread = _PerThread()


def generator(seed: int, purpose: str, view: int, item: str) -> np.random.Generator:
    """The random numbers that belong to this view of this picture and to nothing else.

    To be drawn at once: it is the thread's only one, and the next call sets it elsewhere.
    """
    _per_thread.philox.state = {
        "bit_generator": "Philox",
        "state": {"counter": _counter(item), "key": _key(seed, purpose, view)},
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,  # all of it used
        "has_uint32": 0,
        "uinteger": 0,
    }
    return _per_thread.generator


def bend_knots(wavelength: float) -> int:
    """Knots of the spline along one side of the square: two a wavelength, and two beyond either end."""
    return int(np.ceil(2 / wavelength)) + 3


@lru_cache(maxsize=4096)
def _key(seed: int, purpose: str, view: int) -> NDArray[np.uint64]:
    return _words(f"{seed}|{purpose}|{view}".encode())[:2]


def _counter(item: str) -> NDArray[np.uint64]:
    """Its first word, which counts the numbers drawn, starts at 0 for every picture."""
    counter = _words(item.encode("utf-8", "surrogateescape"))
    counter[1:] = counter[:3]
    counter[0] = 0
    return counter


def _words(content: bytes) -> NDArray[np.uint64]:
    """(4,) of its sha256."""
    return np.frombuffer(hashlib.sha256(content).digest(), "<u8").astype(np.uint64)


def _whether(u: Number, probability: float) -> Number:
    return u < probability if probability else False


def _between(u: Number, bounds: tuple[float, float]) -> Number:
    return bounds[0] + u * (bounds[1] - bounds[0]) if bounds[0] < bounds[1] else bounds[0]


def _factor(u: Number, bounds: tuple[float, float]) -> Number:
    """As often twice as half: uniform in the logarithm."""
    return bounds[0] * np.exp(u * np.log(bounds[1] / bounds[0])) if bounds[0] < bounds[1] else bounds[0]


def _either(u: Number, most: float) -> Number:
    return (2 * u - 1) * most if most else 0.0


def _normal(u: Number, deviation: float) -> Number:
    return np.array([NORMAL.inv_cdf(one or 2**-54) for one in u.tolist()]) * deviation if deviation else 0.0


def _some(u: Number, probability: float) -> Number:
    """Nothing, or with this probability a uniform number: one draw does for both."""
    return np.where(u < probability, np.minimum(u, probability) / probability, 0.0) if probability else 0.0


def _quality(share: Number, least: int) -> Number:
    return 100 - np.rint(share * (100 - least)).astype(int) if np.ndim(share) else 100


def _rectangle(u: Number, area: tuple[float, float], there: Number) -> tuple[Number, Number, Number, Number]:
    """Left, top, right, bottom of a rectangle up to twice as wide as high, or the reverse, where one is."""
    if there is False:
        return 0.0, 0.0, 0.0, 0.0
    share, stretch = np.sqrt(_between(u[0], area)), np.exp2(_either(u[1], 0.5))
    stretch = np.clip(stretch, share, 1 / np.maximum(share, 1e-9))  # a large one has no room to be long
    wide, high = share * stretch, share / stretch
    left, top = u[2] * (1 - wide), u[3] * (1 - high)
    return there * left, there * top, there * (left + wide), there * (top + high)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    return tuple(_rounded(v) for v in value) if isinstance(value, tuple) else value
