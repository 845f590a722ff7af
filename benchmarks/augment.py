"""Augmentation: one view of a picture, ours beside albumentations, torchvision v2 and kornia.

    make bench-env && make bench NAME=augment

From 500 x 375 uint8 pictures (48 ImageNet photos of just this size) to 224 px, the drawing of the numbers
included. Two lists of operations: "plain" is resized crop, mirror, rotation, shear, brightness, contrast,
saturation and hue; "warped" is that and a local warp. Ours has PCA colour as well; of the others only
albumentations knows it, and is measured with and without. Each peer crops first and then has what it was
fastest with: albumentations uniform noise and the approximate kernel (and tables for the colours in one of
its rows); torchvision bytes with channels last to crop, and contiguous floats from there; kornia float
batches of 8. All local warps move a point by 1 to 1.5 px (root mean square), the peers' from one bulge to
the next over a shorter way than ours, for it is the cheaper for them.

One thread is timed by the processor's clock, two by the wall's; two share out the pictures, whatever the
library (torch's own threads within an operation were slower). 27 MB of pictures are gone through in turn,
so that each comes from memory, as a new one does. Rounds go A B A B; ratios are taken round by round.

Then: what more operations cost, the least that OpenCV takes, our torch backend, and the error after a
turn, a shear, a zoom and a shift of a picture that is known everywhere, at once or one by one.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib import metadata

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for its latest version

import albumentations as A
import cv2
import kornia
import kornia.augmentation as K
import numpy as np
import peers  # noqa: F401  makes torchvision importable
import torch
import torchvision.transforms.v2 as T
from common import Benchmark, arguments, in_turn, pictures, ratios
from PIL import Image

from lexnet.augment import warp
from lexnet.augment.apply import BORDERS, SAMPLED, Changes, apply
from lexnet.augment.batch import apply_batch, prepare
from lexnet.augment.colour import principal_axes
from lexnet.augment.sample import sample, sample_all
from lexnet.config import PreprocessSpec, Recipe

SIZE, BATCH = 224, 8
SPEC = PreprocessSpec(size=SIZE, short_side=SIZE)
CROP = Recipe(crop="resized", area=(0.35, 1.0), aspect=(3 / 4, 4 / 3), mirror=0.5)
GEOMETRY = replace(CROP, rotate=15.0, shear=10.0, translate=0.1, zoom=(0.9, 1.1), perspective=0.1)
PLAIN = replace(
    CROP, rotate=15.0, shear=10.0, brightness=0.2, contrast=0.2, saturation=0.2, hue=10.0, pca=0.1
)
WARPED = replace(PLAIN, warp=0.02)
GOALS = {  # times the peer's rate
    "plain": {"albumentations": 2, "albumentations, tables": 2, "torchvision": 9, "kornia": 15},
    "warped": {"albumentations": 4, "albumentations, tables": 4, "torchvision": 50, "kornia": 10},
}
JITTER = (0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (-10 / 360, 10 / 360)

View = Callable[[int], object]
torch.set_num_threads(1)  # as lexnet.augment.apply has done for OpenCV
options = arguments(__doc__)
rounds = 3 if options.quick else 9
benchmark = Benchmark("augment")


def photos() -> list[np.ndarray]:
    found = []
    for file in sorted((pictures() / "imagenet-sample").glob("*.JPEG")):
        with Image.open(file) as image:
            if image.size == (500, 375):
                found.append(np.array(image.convert("RGB")))
    return found[:48]


arrays = photos()
planes = [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]
axes = principal_axes(np.stack(arrays))


def ours(recipe: Recipe) -> View:
    changes: dict[int, Changes] = {}

    def view(i: int) -> object:
        """The numbers of 48 are worked out when the first is asked for, as training does for a batch."""
        epoch, item = divmod(i, len(arrays))
        if epoch not in changes:
            views = sample_all(recipe, 0, "benchmark", [(epoch, str(item)) for item in range(len(arrays))])
            changes.clear()
            changes[epoch] = Changes(views, arrays[0].shape, SPEC, axes)
        return changes[epoch](item, arrays[item])

    return view


def albumentations(*, warped: object = None, tables: bool = False, pca: bool = False) -> View:
    lut = A.RandomBrightnessContrast(0.2, 0.2, p=1), A.HueSaturationValue(5, 40, 0, p=1)
    steps = [
        A.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1), ratio=(3 / 4, 4 / 3), p=1),
        A.HorizontalFlip(p=0.5),
        A.Affine(rotate=(-15, 15), shear=(-10, 10), border_mode=cv2.BORDER_REFLECT_101, p=1),
        *([warped] if warped else []),
        *(lut if tables else (A.ColorJitter(*JITTER, p=1),)),
        *([A.FancyPCA(0.1, p=1)] if pca else []),
    ]
    compose = A.Compose(steps, seed=0)
    return lambda i: compose(image=arrays[i % len(arrays)])["image"]


def elastic(**settings: object) -> A.ElasticTransform:
    return A.ElasticTransform(**settings, border_mode=cv2.BORDER_REFLECT_101, p=1)


def quick_elastic() -> A.ElasticTransform:
    return elastic(alpha=40, sigma=8, approximate=True, noise_distribution="uniform")


def torchvision(warped: bool) -> View:
    compose = T.Compose([
        T.RandomResizedCrop(SIZE, scale=(0.35, 1), ratio=(3 / 4, 4 / 3)),
        T.Lambda(torch.Tensor.contiguous),
        T.ToDtype(torch.float32, scale=True),
        T.RandomHorizontalFlip(),
        T.RandomAffine(15, shear=(-10, 10, -10, 10), interpolation=T.InterpolationMode.BILINEAR),
        *([T.ElasticTransform(80.0, 5.0)] if warped else []),
        T.ColorJitter(0.2, 0.2, 0.2, 10 / 360),
    ])  # fmt: skip
    return lambda i: compose(planes[i % len(planes)])


def kornia_(warped: bool) -> View:
    compose = K.AugmentationSequential(
        K.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1), ratio=(3 / 4, 4 / 3), cropping_mode="slice", p=1),
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(15, shear=(-10, 10, -10, 10), p=1),
        *([K.RandomElasticTransform((33, 33), (8.0, 8.0), (0.5, 0.5), p=1)] if warped else []),
        K.ColorJiggle(0.2, 0.2, 0.2, 10 / 360, p=1),
        same_on_batch=False,
    )

    def view(i: int) -> object:
        """The whole batch, when its first picture is asked for."""
        if i % BATCH:
            return None
        start = i % len(planes)
        return compose(torch.stack(planes[start : start + BATCH]).float().div_(255))

    return view


def rate(make: Callable[[], View], number: int, threads: int = 1) -> Callable[[], float]:
    """Pictures a second, shared out among threads, each with a pipeline of its own."""
    views = [make() for _ in range(threads)]

    def work(part: int) -> None:
        with torch.inference_mode():
            for i in range(part * number // threads, (part + 1) * number // threads):
                views[part](i)

    def once() -> float:
        clock = time.process_time if threads == 1 else time.perf_counter
        begin = clock()
        if threads == 1:
            work(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, range(threads)))
        return number / (clock() - begin)

    return once


def speed(title: str, recipe: Recipe, threads: int) -> None:
    """Ours and the peers, with goals where it is one thread."""
    warped = bool(recipe.warp)

    def alb(
        number: int = 192, warp_: Callable[[], object] = quick_elastic, **kind: bool
    ) -> Callable[[], float]:
        return rate(lambda: albumentations(warped=warp_() if warped else None, **kind), number, threads)

    others = {
        "albumentations": alb(),
        "torchvision": rate(lambda: torchvision(warped), 8 if warped else 48, threads),
        "kornia": rate(lambda: kornia_(warped), 48, threads),
    }
    if threads == 1:
        others |= {"albumentations, tables": alb(tables=True), "albumentations, FancyPCA": alb(48, pca=True)}
    if threads == 1 and warped:
        others |= {
            "albumentations, exact kernel": alb(96, lambda: elastic(alpha=150, sigma=8)),
            "albumentations, GridDistortion": alb(192, lambda: A.GridDistortion(4, (-0.1, 0.1), p=1)),
        }
    results = in_turn(rounds, ours=rate(lambda: ours(recipe), 240, threads), **others)
    shown = f"{title}, {threads} thread{'s' * (threads > 1)}: "
    for name, values in results.items():
        benchmark.add(shown + name, values, "pictures/s")
    for name in others:
        goal = GOALS[title].get(name) if threads == 1 else None
        figure = f"{shown}ours / {name}"
        benchmark.add(figure, ratios(results["ours"], results[name]), "times", (">=", goal) if goal else None)


def least() -> View:
    """One sampling from the whole picture and one 3x4: what no arrangement of ours can do without."""
    matrices, colours = [], np.eye(3, 4, dtype=np.float32) * 0.9
    for item in range(len(arrays)):
        view = sample(PLAIN, 0, "benchmark", 0, str(item))
        matrices.append(warp.matrix(view, arrays[item].shape[0], arrays[item].shape[1], SPEC)[:2])

    def view_(i: int) -> object:
        item, border = i % len(arrays), BORDERS["reflect"]
        small = cv2.warpAffine(arrays[item], matrices[item], (SIZE, SIZE), flags=SAMPLED, borderMode=border)
        return cv2.transform(small, colours)

    return view_


def backend(recipe: Recipe) -> Callable[[], float]:
    stack, shape = torch.stack(planes[:32]).contiguous(), (3, *arrays[0].shape[:2])

    def once() -> float:
        begin = time.process_time()
        with torch.inference_mode():
            views = sample_all(recipe, 0, "benchmark", [(0, str(item)) for item in range(32)])
            apply_batch(stack, prepare(views, shape, SPEC, axes))
        return 32 / (time.process_time() - begin)

    return once


def costs() -> None:
    """What operations add up to, in times of one thread."""
    both = in_turn(  # a difference of some hundredths: many short rounds
        5 * rounds, crop=rate(partial(ours, CROP), 96), geometry=rate(partial(ours, GEOMETRY), 96)
    )
    results = in_turn(
        rounds,
        plain=rate(partial(ours, PLAIN), 240),
        warped=rate(partial(ours, WARPED), 240),
        least=rate(least, 240),
        backend=backend(PLAIN),
        backend_warped=backend(WARPED),
    )
    benchmark.add("mirror and resized crop", both["crop"], "pictures/s")
    benchmark.add("all geometry but the local warp", both["geometry"], "pictures/s")
    benchmark.add(
        "its time / that of mirror and crop",
        ratios(both["crop"], both["geometry"]),
        "ratio",
        ("<=", 1.15),
    )
    benchmark.add("one warpAffine and one transform alone", results["least"], "pictures/s")
    benchmark.add("our time, plain / theirs", ratios(results["least"], results["plain"]), "ratio")
    benchmark.add("our time, warped / theirs", ratios(results["least"], results["warped"]), "ratio")
    benchmark.add("torch backend on the CPU, plain", results["backend"], "pictures/s")
    benchmark.add("torch backend on the CPU, warped", results["backend_warped"], "pictures/s")


def waves(seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A picture known at every place: 40 waves of 4 to 64 px, like photographs as strong in each octave."""
    random = np.random.default_rng(seed)
    lengths = 4 * (64 / 4) ** random.random(40)
    angles, phases = 2 * np.pi * random.random(40), 2 * np.pi * random.random((40, 3))

    def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        turns = (x[..., None] * np.cos(angles) + y[..., None] * np.sin(angles)) / lengths
        return 127.5 + 5 * np.sin(2 * np.pi * turns[..., None] + phases).sum(axis=2)

    return at


def decibels(seed: int) -> dict[str, float]:
    """PSNR in the middle after turn 10, shear 8 degrees, zoom 1.1, shift 3 px; the peers do one by one."""
    picture, middle = waves(seed), (SIZE - 1) / 2
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    source = np.rint(picture(x, y)).astype(np.uint8)
    cos, sin, slope = np.cos(np.radians(10)), np.sin(np.radians(10)), np.tan(np.radians(8))
    steps = [
        np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]),
        np.array([[1, slope, 0], [0, 1, 0], [0, 0, 1]]),
        np.diag([1.1, 1.1, 1]),
        np.array([[1, 0, 3], [0, 1, 3], [0, 0, 1]]),
    ]
    to_middle = np.array([[1, 0, middle], [0, 1, middle], [0, 0, 1]])
    steps = [to_middle @ step @ np.linalg.inv(to_middle) for step in steps]
    back = np.linalg.inv(steps[3] @ steps[2] @ steps[1] @ steps[0])
    u, v, _ = np.einsum("ij,jhw->ihw", back, np.stack([x, y, np.ones_like(x)]))
    truth = picture(u, v)

    view = replace(
        sample(Recipe(), 0, "", 0, ""), rotate=-10.0, shear=(8.0, 0.0), zoom=1.1, translate=(3 / SIZE,) * 2
    )
    assert np.allclose(warp.matrix(view, SIZE, SIZE, SPEC), back)

    once = partial(A.Affine, interpolation=cv2.INTER_LINEAR, p=1)
    cut = {"rotate": (0, 0), "shear": (0, 0), "scale": (1, 1)}
    one_by_one = A.Compose([
        once(**cut | {"rotate": (-10, -10)}),
        once(**cut | {"shear": {"x": (-8, -8), "y": (0, 0)}}),
        once(**cut | {"scale": (1.1, 1.1)}),
        once(**cut, translate_px=(3, 3)),
    ])  # fmt: skip

    planes_ = torch.from_numpy(source).permute(2, 0, 1).contiguous()
    affine = partial(T.functional.affine, interpolation=T.InterpolationMode.BILINEAR)
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    turned = planes_
    for change in ({"angle": 10.0}, {"shear": [-8.0, 0.0]}, {"scale": 1.1}, {"translate": [3, 3]}):
        turned = affine(turned, **still | change)

    floats = planes_[None].float()
    for step in steps:
        matrix = torch.from_numpy(step[None, :2]).float()
        floats = kornia.geometry.transform.warp_affine(floats, matrix, (SIZE, SIZE))

    results = {
        "ours": apply(source, view, SPEC),
        "albumentations": one_by_one(image=source)["image"],
        "torchvision": turned.permute(1, 2, 0).numpy(),
        "kornia": floats[0].permute(1, 2, 0).numpy(),
    }
    inner = slice(SIZE // 5, -SIZE // 5)
    errors = {name: (result - truth)[inner, inner] for name, result in results.items()}
    return {name: float(10 * np.log10(255**2 / np.mean(error**2))) for name, error in errors.items()}


def quality() -> None:
    found = [decibels(seed) for seed in range(rounds)]
    for name in found[0]:
        benchmark.add(f"PSNR after four operations, {name}", [one[name] for one in found], "dB")
    for name in list(found[0])[1:]:
        benchmark.add(f"ours, more than {name}", [one["ours"] - one[name] for one in found], "dB", (">=", 0))


for threads in (1, 2):
    for title, recipe in {"plain": PLAIN, "warped": WARPED}.items():
        speed(title, recipe, threads)
costs()
quality()
shown = ("albumentations", "torchvision", "kornia", "opencv-python-headless")
print(", ".join(f"{name} {metadata.version(name)}" for name in shown))
benchmark.finish()
