"""What happens to which picture: a recipe's ranges become one view's numbers; no pixel is touched here.

    (seed, purpose, view) ─ sha256 ─ key ─────┐
                                              Philox ─ uniform numbers, each with its fixed meaning
    picture's name ─ sha256 ─ counter ────────┘

Philox (Salmon et al., 2011) is a counter-based generator: it is addressed, not run. So a view does not
depend on which pictures, workers or batches came before it, and no operation on another's being there.
"""

import hashlib
import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lexnet.config import Recipe

NORMAL = NormalDist()
NUMBERS = 35  # that a view takes before those of its local warp


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One view of one picture, in units that do not depend on the picture's size."""

    recipe: Recipe
    area: float
    aspect: float
    place: tuple[float, float]
    """0..1 across and down: where a crop lies, from one end of its room to the other."""
    mirror: bool
    flip: bool
    rotate: float
    """Degrees, anticlockwise as seen."""
    shear: tuple[float, float]
    """Degrees, along x and along y."""
    translate: tuple[float, float]
    zoom: float
    perspective: tuple[float, float]
    bend: NDArray[np.float32] | None
    """(2, n, n) displacements at the knots of a cubic B-spline, shares of the square; none without a warp."""
    brightness: float
    contrast: float
    saturation: float
    hue: float
    grey: bool
    channels: tuple[float, float, float]
    pca: tuple[float, float, float]
    gamma: float
    blur: float
    noise: float
    jpeg: int
    erase: tuple[float, float, float, float] | None
    """Left, top, right, bottom, as shares of the square."""
    erase_level: int
    address: tuple[int, str, int, str]
    """Seed, purpose, the view's number and the picture's name: what all this was drawn from."""

    def numbers(self) -> dict[str, object]:
        """What is not neutral, for people to read."""
        plain = sample(Recipe(), 0, "", 0, "")
        fixed = {"recipe", "address", "place", "erase_level"}
        shown = {name: value for name, value in vars(self).items() if name not in fixed}
        changed = {name: value for name, value in shown.items() if value is not vars(plain)[name]}
        changed = {name: value for name, value in changed.items() if np.any(value != vars(plain)[name])}
        if self.recipe.crop != "centre":
            changed["place"] = self.place
        if self.bend is not None:
            changed["bend"] = float(np.abs(self.bend).max())
        return {name: _rounded(value) for name, value in changed.items()}


def sample(recipe: Recipe, seed: int, purpose: str, view: int, item: str) -> View:
    """The view with this number of this picture. `item` names the picture: its sha256, or its path.

    `view` is the epoch's number in training; `purpose` keeps draws for different uses apart.
    """
    knots = bend_knots(recipe.wavelength) if recipe.warp else 0
    numbers = generator(seed, purpose, view, item).random(NUMBERS + 2 * knots * knots)
    u = numbers[:NUMBERS].tolist()
    bend = None
    if recipe.warp:
        bend = numbers[NUMBERS:].astype(np.float32).reshape(2, knots, knots)
        bend = (2 * bend - 1) * np.float32(recipe.warp)
    return View(
        recipe=recipe,
        area=_between(u[0], recipe.area),
        aspect=_factor(u[1], recipe.aspect),
        place=(u[2], u[3]),
        mirror=u[4] < recipe.mirror,
        flip=u[5] < recipe.flip,
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
        grey=u[18] < recipe.grey,
        channels=(
            _either(u[19], recipe.channels), _either(u[20], recipe.channels), _either(u[21], recipe.channels),
        ),
        pca=(_normal(u[22], recipe.pca), _normal(u[23], recipe.pca), _normal(u[24], recipe.pca)),
        gamma=_factor(u[25], recipe.gamma),
        blur=_some(u[26], recipe.damage) * recipe.blur,
        noise=_some(u[27], recipe.damage) * recipe.noise,
        jpeg=100 - round(_some(u[28], recipe.damage) * (100 - recipe.jpeg)),
        erase=_rectangle(u[30:34], recipe.erased) if u[29] < recipe.erase else None,
        erase_level=int(256 * u[34]),
        address=(seed, purpose, view, item),
    )  # fmt: skip


def noise(view: View, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal numbers that belong to this view."""
    seed, purpose, number, item = view.address
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


def _between(u: float, bounds: tuple[float, float]) -> float:
    return bounds[0] + u * (bounds[1] - bounds[0])


def _factor(u: float, bounds: tuple[float, float]) -> float:
    """As often twice as half: uniform in the logarithm."""
    return bounds[0] * math.exp(u * math.log(bounds[1] / bounds[0]))


def _either(u: float, most: float) -> float:
    return (2 * u - 1) * most


def _normal(u: float, deviation: float) -> float:
    return NORMAL.inv_cdf(u or 2**-54) * deviation if deviation else 0.0


def _some(u: float, probability: float) -> float:
    """Nothing, or with this probability a uniform number: one draw does for both."""
    return u / probability if u < probability else 0.0


def _rectangle(u: list[float], area: tuple[float, float]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a rectangle up to twice as wide as high, or the reverse."""
    share, stretch = _between(u[0], area) ** 0.5, 2 ** _either(u[1], 0.5)
    wide, high = min(1.0, share * stretch), min(1.0, share / stretch)
    left, top = u[2] * (1 - wide), u[3] * (1 - high)
    return left, top, left + wide, top + high


def _rounded(value: object) -> object:
    if isinstance(value, (float, np.floating)):
        return round(float(value), 3)
    return tuple(_rounded(v) for v in value) if isinstance(value, tuple) else value
