"""Where the time before the net goes, on one core, and what it leaves of the engine's throughput.

    python benchmarks/decoding.py [--quick]

Milliseconds a photograph for reading, JPEG decoding, and Pillow's resampling of the crop with each of
its filters; then the most that any arrangement on these cores could reach of the engine alone, which
is engine time / (engine time + decoding time), with today's filter, with a cheaper one, and if
resampling cost nothing.
"""

import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TypeVar

from common import Benchmark, arguments, in_turn, pictures
from PIL import Image

from lexnet.config import available_cores
from lexnet.preprocess import Pixels, load_bytes, read
from lexnet.runtime.engines import open_engine
from lexnet.runtime.stream import stream
from lexnet.transfer.trunk import open_trunk

T = TypeVar("T")
options = arguments(__doc__)
files = sorted((pictures() / "clothing/train").glob("*/*.jpg"))[:: 24 if options.quick else 8]
cores = available_cores()
trunk = open_trunk("efficientnet_lite0", None, print)
contents = [read(file) for file in files]
images = [Image.open(BytesIO(content)) for content in contents]
for image in images:
    image.load()
arrays = [load_bytes(content, trunk.spec) for content in contents]
engines = {choice: open_engine(choice, trunk.graph, cores) for choice in ("openvino", "onnxruntime")}


def milliseconds(work: Callable[[T], object], items: Sequence[T]) -> float:
    """For one item; results are dropped at once, so that memory is reused as it is in use."""
    start = time.perf_counter()
    for item in items:
        work(item)
    return 1000 * (time.perf_counter() - start) / len(items)


def resized(filter_: Image.Resampling) -> Callable[[], float]:
    def one(image: Image.Image) -> Image.Image:
        width, height = image.size
        side = min(width, height) * trunk.spec.size / trunk.spec.short_side
        left, top = (width - side) / 2, (height - side) / 2
        return image.resize((trunk.spec.size,) * 2, filter_, box=(left, top, left + side, top + side))

    return lambda: milliseconds(one, images)


def engine_alone(choice: str) -> Callable[[], float]:
    def pixels(i: int) -> Pixels:
        return arrays[i]

    rows = range(len(files))
    return lambda: milliseconds(lambda _: list(stream(rows, pixels, engines[choice])), [None]) / len(files)


filters = {
    name: getattr(Image.Resampling, name.upper()) for name in ("bicubic", "hamming", "bilinear", "box")
}
results = in_turn(
    3 if options.quick else 7,
    read=lambda: milliseconds(read, files),
    decode=lambda: milliseconds(lambda content: Image.open(BytesIO(content)).load(), contents),
    whole=lambda: milliseconds(lambda content: load_bytes(content, trunk.spec), contents),
    openvino=engine_alone("openvino"),
    onnxruntime=engine_alone("onnxruntime"),
    **{name: resized(filter_) for name, filter_ in filters.items()},
)
benchmark = Benchmark("decoding")
benchmark.add("reading the file", results["read"], "ms, 1 core")
benchmark.add("JPEG decoding", results["decode"], "ms, 1 core")
for name in filters:
    benchmark.add(f"resampling, {name}", results[name], "ms, 1 core")
benchmark.add("all of preprocess", results["whole"], "ms, 1 core")
for choice in engines:
    benchmark.add(f"{choice} alone", results[choice], f"ms, {cores} cores")
    for what, before in (
        ("today", results["whole"]),
        ("with hamming", [d + h for d, h in zip(results["decode"], results["hamming"], strict=True)]),
        ("if resampling were free", results["decode"]),
    ):
        most = [e / (e + b / cores) for e, b in zip(results[choice], before, strict=True)]
        benchmark.add(f"most of {choice}, {what}", most, "ratio")
benchmark.finish()
