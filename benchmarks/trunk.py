"""The frozen net: files in, features out, against the engine alone and against eager torch.

    python benchmarks/trunk.py [--quick]

End to end is `read, decode, resize, net` as training runs it. "Engine alone" runs the same engine
on the same pictures, decoded beforehand, from as many threads. Eager torch gets whole batches in
memory, its best memory layout and both cores. Rounds go A B C A B C.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from common import Benchmark, arguments, in_turn, pictures, ratios

from lexnet.config import available_cores
from lexnet.preprocess import Pixels, load
from lexnet.runtime.engines import Outputs, open_engine
from lexnet.runtime.stream import stream
from lexnet.transfer.trunk import open_trunk
from lexnet.weights.create import create_net

options = arguments(__doc__)
files = sorted((pictures() / "clothing/train").glob("*/*.jpg"))[:: 6 if options.quick else 3]
cores = available_cores()
torch.set_num_threads(cores)
trunk = open_trunk("efficientnet_lite0", None, print)
arrays = [load(file, trunk.spec) for file in files]
benchmark = Benchmark("trunk")


def per_second(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def engine_rate(choice: str, end_to_end: bool) -> Callable[[], float]:
    engine = engines[choice]

    def pixels(i: int) -> Pixels:
        return load(files[i], trunk.spec) if end_to_end else arrays[i]

    return lambda: per_second(len(files), lambda: list(stream(range(len(files)), pixels, engine)))


class Nothing:
    """Stands in for the engine, to time the decoding alone."""

    name = "nothing"
    callers = cores

    def run(self, pixels: Pixels) -> Outputs:
        return {}


def decode_rate() -> float:
    def pixels(i: int) -> Pixels:
        return load(files[i], trunk.spec)

    return per_second(len(files), lambda: list(stream(range(len(files)), pixels, Nothing())))


net = create_net("efficientnet_lite0", weights="imagenet", classes=0).eval()
BATCHES = {"1": 1, "32": 32}
planes = {}
for name, size in BATCHES.items():
    batch = torch.from_numpy(np.stack(arrays[:size])).float().sub(127.5).div(127.5)
    planes[name] = batch.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs leave it out


def torch_rate(name: str) -> float:
    count = max(1, 64 // BATCHES[name])
    with torch.inference_mode():
        return per_second(count * BATCHES[name], lambda: [net(planes[name]) for _ in range(count)])


engines = {choice: open_engine(choice, trunk.graph, cores) for choice in ("openvino", "onnxruntime")}
results = in_turn(
    3 if options.quick else 7,
    openvino_files=engine_rate("openvino", True),
    openvino_arrays=engine_rate("openvino", False),
    onnxruntime_files=engine_rate("onnxruntime", True),
    onnxruntime_arrays=engine_rate("onnxruntime", False),
    decode_only=decode_rate,
    torch_1=lambda: torch_rate("1"),
    torch_32=lambda: torch_rate("32"),
)
for name, values in results.items():
    benchmark.add(name.replace("_", " "), values, "pictures/s")
benchmark.add(
    "end to end / engine alone (OpenVINO)",
    ratios(results["openvino_files"], results["openvino_arrays"]),
    "ratio",
    (">=", 0.85),
)
benchmark.add(
    "end to end / engine alone (ONNX Runtime)",
    ratios(results["onnxruntime_files"], results["onnxruntime_arrays"]),
    "ratio",
)
benchmark.add(
    "engine / eager torch, one at a time",
    ratios(results["openvino_arrays"], results["torch_1"]),
    "ratio",
    (">=", 3),
)
benchmark.add(
    "engine / eager torch at batch 32",
    ratios(results["openvino_arrays"], results["torch_32"]),
    "ratio",
    (">=", 3),
)
benchmark.finish()
