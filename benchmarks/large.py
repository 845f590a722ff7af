"""12-megapixel JPEGs: our decode to the net's square, beside Pillow's full decode and resize.

    python benchmarks/large.py [--quick]

200 photos of clothes (40 with --quick), enlarged to 12 million pixels and saved at quality 90. Rounds go
A B A B, one thread, whose processor time is what is compared. The features are EfficientNet-Lite0's. What
half a level does to them is shown beside: the full decode again, each value rounded up or down at random.
Last, what it does to accuracy: a logistic head on the training photos as they are answers the enlarged test
photos, decoded in each of the three ways.
"""

import io
import time

import numpy as np
from common import Benchmark, arguments, in_turn, pictures, ratios
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from lexnet.preprocess import FILTERS, Pixels, load
from lexnet.runtime.engines import open_engine
from lexnet.transfer.trunk import open_trunk

options = arguments(__doc__)
files = sorted((pictures() / "clothing/train").glob("*/*.jpg"))[:: 75 if options.quick else 15][:200]
trunk = open_trunk("efficientnet_lite0", None, print)
spec = trunk.spec
benchmark = Benchmark("large")


def enlarged(path: str) -> bytes:
    with Image.open(path) as image:
        scale = (12e6 / (image.width * image.height)) ** 0.5
        size = (round(image.width * scale), round(image.height * scale))
        large = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def usual(content: bytes) -> Pixels:
    """As torchvision's and timm's evaluation does: decode, resize to the short side, cut the centre out."""
    with Image.open(io.BytesIO(content)) as image:
        scale = spec.short_side / min(image.size)
        size = round(image.width * scale), round(image.height * scale)
        small = image.resize(size, FILTERS[spec.interpolation])
        left, top = ((n - spec.size) // 2 for n in size)
        return np.asarray(small.crop((left, top, left + spec.size, top + spec.size)))


def centre(image: Image.Image) -> Image.Image:
    side = min(image.size) * spec.size / spec.short_side
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((spec.size,) * 2, FILTERS[spec.interpolation], box=box)


def whole(content: bytes) -> Pixels:
    """What load does, without the decoder's own scaling: only what is cut out is resized."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return np.asarray(centre(image))


def dithered(content: bytes, seed: int) -> Pixels:
    """The same, its levels not rounded to the nearest but up or down at random."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        exact = np.stack([np.asarray(centre(band.convert("F"))) for band in image.split()], axis=2)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, exact.shape)
    return np.clip(np.rint(exact + noise), 0, 255).astype(np.uint8)


contents = [enlarged(str(path)) for path in files]


def seconds(function: object) -> float:
    start = time.thread_time()
    for content in contents[:20]:
        function(content)  # type: ignore[operator]
    return (time.thread_time() - start) / 20


results = in_turn(
    3 if options.quick else 7,
    ours=lambda: seconds(lambda content: load(content, spec)),
    usual=lambda: seconds(usual),
    whole=lambda: seconds(whole),
)
benchmark.add("ours, ms a picture", [1e3 * s for s in results["ours"]], "ms")
benchmark.add("full decode, resize, centre, ms", [1e3 * s for s in results["usual"]], "ms")
benchmark.add("full decode, resize of the centre alone, ms", [1e3 * s for s in results["whole"]], "ms")
benchmark.add("times faster", ratios(results["usual"], results["ours"]), "ratio", (">=", 7))
benchmark.add("times faster than the latter", ratios(results["whole"], results["ours"]), "ratio")
engine = open_engine("auto", trunk.graph, 2)
cosines, usual_cosines, dithered_cosines, apart = [], [], [], []


def features(pixels: Pixels) -> NDArray[np.float32]:
    return np.asarray(engine.run(pixels[None])["features"][0])


def cosine(a: Pixels, b: Pixels) -> float:
    x, y = features(a), features(b)
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


for seed, content in enumerate(contents):
    ours, full = load(content, spec), whole(content)
    cosines.append(cosine(ours, full))
    usual_cosines.append(cosine(usual(content), full))
    dithered_cosines.append(cosine(dithered(content, seed), full))
    apart.append(float(np.abs(ours.astype(int) - full).max()))
benchmark.add("cosine of the features, the least", [min(cosines)], "cosine", (">=", 0.999))
benchmark.add("cosine of the features", cosines, "cosine")
benchmark.add("photos with at least 0.999", [float(np.mean(np.asarray(cosines) >= 0.999))], "share")
benchmark.add("cosine after half a level of noise, the least", [min(dithered_cosines)], "cosine")
benchmark.add("cosine after half a level of noise", dithered_cosines, "cosine")
benchmark.add("cosine between the two full decodes' features", usual_cosines, "cosine")
benchmark.add("pixels apart at most, of 255", apart, "levels")
head = LogisticRegression(C=0.05, max_iter=1000)
known = sorted((pictures() / "clothing/train").glob("*/*.jpg"))[:: 6 if options.quick else 1]
head.fit([features(load(file, spec)) for file in known], [file.parent.name for file in known])
asked = sorted((pictures() / "clothing/test").glob("*/*.jpg"))[:: 6 if options.quick else 1]
answers: dict[str, list[str]] = {"ours": [], "the centre of a full decode": [], "a full decode": []}
for file in asked:
    content = enlarged(str(file))
    ways = (load(content, spec), whole(content), usual(content))
    for said, answer in zip(answers.values(), head.predict([features(way) for way in ways]), strict=True):
        said.append(answer)
for way, said in answers.items():
    right = [answer == file.parent.name for answer, file in zip(said, asked, strict=True)]
    benchmark.add(f"accuracy on the test photos, {way}", [float(np.mean(right))], "share")
    others = [a != b for a, b in zip(said, answers["the centre of a full decode"], strict=True)]
    benchmark.add(f"of {len(asked)} answered otherwise than by the centre, {way}", [sum(others)], "photos")
benchmark.finish()
