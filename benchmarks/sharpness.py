"""How sharp a view is beside what evaluation sees, and where SOFTEN comes from.

    python benchmarks/sharpness.py [--quick]

Up to 60 photos of clothes (26 with --quick). Eight squares of each, anywhere, are sampled at a scale: so
many of the photo's pixels from one pixel of the view to the next. The views, upright or turned by 8 degrees,
are compared with Pillow's antialiased resizes of the same squares, bicubic and then bilinear, as nets have
it: the ratio of the mean squared Laplacian, and of the mean squared step from one pixel to the next across,
of all eight. (Of one square it would be chance: at scale 1 a resize blurs by how far its grid lies from the
photo's, while a turned view has every such distance in it.) Medians over the photos.

Then the filter (a, 1 - 2a, a) is left open: at which `a` the view's Laplacian, upright and turned together,
is Pillow's, and the line through these over the scales, a = growth (scale - start). Where the photo was
halved first, the scale is that of the halved photo.
"""

import math
from dataclasses import replace
from functools import partial
from typing import get_args
from unittest import mock

import cv2
import numpy as np
from common import Benchmark, arguments, pictures
from numpy.typing import NDArray
from PIL import Image

from lexnet.augment import apply as engine
from lexnet.augment import compose, warp
from lexnet.augment.sample import View, sample
from lexnet.config import Interpolation, PreprocessSpec, Recipe
from lexnet.preprocess import Pixels

SCALES = (0.6, 1.0, 1.2, 1.5, 1.9, 2.05, 2.4, 3.0, 3.6, 5.0)
KINDS = ("upright, Laplacian", "upright, gradient", "turned, Laplacian", "turned, gradient")
FILTERS = np.linspace(-0.15, 0.25, 9)
options = arguments(__doc__)
benchmark = Benchmark("sharpness")
SQUARES = 8
Case = tuple[Pixels, list[View], PreprocessSpec, NDArray[np.float64]]


def sharpness(views: list[Pixels]) -> NDArray[np.float64]:
    """(2,) mean squared Laplacian and step."""
    greys = [cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) for pixels in views]
    found = [((cv2.Laplacian(grey, cv2.CV_32F) ** 2).mean(), (np.diff(grey) ** 2).mean()) for grey in greys]
    return np.mean(found, axis=0, dtype=np.float64)


def case(photo: Pixels, scale: float, interpolation: Interpolation, random: np.random.Generator) -> Case:
    """Squares of the photo, to be seen at this scale, and how sharp Pillow's resizes of them are."""
    height, width = photo.shape[:2]
    size = min(160, int(360 / scale))
    spec = PreprocessSpec(size=size, short_side=size, interpolation=interpolation)
    area = (size * scale) ** 2 / (height * width)
    plain = sample(Recipe(crop="resized"), 0, "", 0, "")
    views, resized = [], []
    for place in random.random((SQUARES, 2)).tolist():
        view = replace(plain, area=area, place=tuple(place))
        left, top, wide, high = warp.crop_box(view, height, width, spec)
        box, filtered = (left, top, left + wide, top + high), Image.Resampling[interpolation.upper()]
        resized.append(np.asarray(Image.fromarray(photo).resize((size, size), filtered, box=box)))
        views.append(view)
    return photo, views, spec, sharpness(resized)


def compared(case: Case) -> list[float]:
    """The ratios, in the order of KINDS."""
    photo, views, spec, reference = case
    upright, turned = (
        sharpness([engine.apply(photo, replace(view, rotate=turn), spec) for view in views])
        for turn in (0.0, 8.0)
    )
    return [*(upright / reference).tolist(), *(turned / reference).tolist()]


def neutral(cases: list[Case]) -> list[float]:
    """For each photo the `a` at which the view's Laplacian, upright and turned together, is Pillow's."""
    logs = []
    for a in FILTERS:
        everywhere = partial(lambda a, views, *_: np.full((len(views), 2), a), a)
        with mock.patch.object(compose, "softness", everywhere):
            ratios = np.array([compared(case) for case in cases])
        logs.append(np.log(ratios[:, 0]) + np.log(ratios[:, 2]))
    rows = np.array(logs).T  # falling from left to right: a greater `a` is softer
    return [float(np.interp(0.0, row[::-1], FILTERS[::-1])) for row in rows]


files = sorted((pictures() / "clothing/train").glob("*/*.jpg"))[:: 120 if options.quick else 40][:60]
photos = []
for file in files:
    with Image.open(file) as image:
        if min(image.size) >= 360:
            photos.append(np.asarray(image.convert("RGB")))
for interpolation in get_args(Interpolation):
    random = np.random.default_rng(0)
    furthest = dict.fromkeys(KINDS, 0.0)
    wanted: dict[float, float] = {}
    for scale in SCALES:
        at = f"{interpolation}, scale {scale}"
        cases = [case(photo, scale, interpolation, random) for photo in photos]
        for kind, ratios in zip(KINDS, zip(*map(compared, cases), strict=True), strict=True):
            benchmark.add(f"{at}: {kind}", ratios, "ratio")
            furthest[kind] = max(furthest[kind], abs(1 - float(np.median(ratios))))
        if scale >= 1:
            found = neutral(cases)
            wanted[scale] = float(np.median(found))
            benchmark.add(f"{at}: a of Pillow's sharpness", found, "")
            rest = scale / 2 ** math.floor(math.log2(scale))
            growth, start = warp.SOFTEN[interpolation]
            benchmark.add(f"{at}: a in use", [growth * (rest - start)], "")
    for kind, distance in furthest.items():
        benchmark.add(f"{interpolation}, furthest from 1: {kind}", [distance], "ratio", ("<=", 0.15))
    rests = [scale / 2 ** math.floor(math.log2(scale)) for scale in wanted]
    slope, start = np.polyfit(rests, list(wanted.values()), 1)
    benchmark.add(f"{interpolation}, line through those a: growth", [float(slope)], "")
    benchmark.add(f"{interpolation}, line through those a: start", [float(-start / slope)], "")
benchmark.finish()
