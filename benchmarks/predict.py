"""`lexnet predict`: 372 photographs against ONNX Runtime alone, and one photograph from a cold start.

    python benchmarks/predict.py [--quick]

The command takes the engine it prefers, OpenVINO, and for comparison ONNX Runtime. It is timed as a
whole process; what one picture takes is taken off to leave the time that 371 more take. ONNX Runtime
alone runs the bundle's graph on arrays in memory, as it comes (its own threads; the best of batches
of 1, 8 and 32), and one picture a thread.
"""

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from common import LEXNET, Benchmark, arguments, in_turn, pictures, ratios, timed

import lexnet
from lexnet.config import available_cores
from lexnet.preprocess import load

options = arguments(__doc__)
test = pictures() / "clothing/test"
files = sorted(test.glob("*/*.jpg"))
cores = available_cores()
with tempfile.TemporaryDirectory() as folder:
    command = (
        *LEXNET,
        "train",
        str(pictures() / "clothing"),
        "--mode",
        "probe",
        "--out",
        str(Path(folder, "run")),
    )
    timed(*command, cwd=Path(folder))
    bundle = str(Path(folder, "run", "model.lexnet"))
    model = lexnet.load(bundle)
    arrays = [load(file, model.spec) for file in files]
    default = onnxruntime.InferenceSession(model.bundle.model)
    single = onnxruntime.SessionOptions()
    single.intra_op_num_threads = 1
    threaded = onnxruntime.InferenceSession(model.bundle.model, single)

    def batched(size: int) -> float:
        batches = [np.stack(arrays[i : i + size]) for i in range(0, len(arrays), size)]
        start = time.perf_counter()
        for batch in batches:
            default.run(["probabilities"], {"pixels": batch})
        return len(files) / (time.perf_counter() - start)

    def as_it_comes() -> float:
        return max(batched(size) for size in (1, 8, 32))

    def one_a_thread() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(lambda array: threaded.run(["probabilities"], {"pixels": array[None]}), arrays))
        return len(files) / (time.perf_counter() - start)

    def command_all() -> float:
        seconds, _, out = timed(*LEXNET, "predict", bundle, str(test), "--json")
        assert len(json.loads(out)) == len(files)
        return seconds

    def command_onnxruntime() -> float:
        return timed(*LEXNET, "predict", bundle, str(test), "--json", "--engine", "onnxruntime")[0]

    def command_onnxruntime_one() -> float:
        return timed(*LEXNET, "predict", bundle, str(files[0]), "--json", "--engine", "onnxruntime")[0]

    def command_one() -> float:
        return timed(*LEXNET, "predict", bundle, str(files[0]), "--json")[0]

    results = in_turn(
        3 if options.quick else 9,
        as_it_comes=as_it_comes,
        one_a_thread=one_a_thread,
        all=command_all,
        one=command_one,
        onnxruntime=command_onnxruntime,
        onnxruntime_one=command_onnxruntime_one,
    )

benchmark = Benchmark("predict")
onnxruntime_work = [
    (len(files) - 1) / (a - o)
    for a, o in zip(results["onnxruntime"], results["onnxruntime_one"], strict=True)
]
whole = [len(files) / seconds for seconds in results["all"]]
work = [(len(files) - 1) / (a - o) for a, o in zip(results["all"], results["one"], strict=True)]
benchmark.add("ONNX Runtime alone, as it comes", results["as_it_comes"], "pictures/s")
benchmark.add("ONNX Runtime alone, one a thread", results["one_a_thread"], "pictures/s")
benchmark.add("lexnet predict, 372 pictures", work, "pictures/s")
benchmark.add("lexnet predict, start-up included", whole, "pictures/s")
benchmark.add(
    "predict / ONNX Runtime as it comes", ratios(work, results["as_it_comes"]), "ratio", (">=", 0.8)
)
benchmark.add("predict / ONNX Runtime, one a thread", ratios(work, results["one_a_thread"]), "ratio")
benchmark.add("the same, start-up included", ratios(whole, results["one_a_thread"]), "ratio")
benchmark.add("lexnet predict --engine onnxruntime", onnxruntime_work, "pictures/s")
benchmark.add(
    "the same / ONNX Runtime as it comes", ratios(onnxruntime_work, results["as_it_comes"]), "ratio"
)
benchmark.add("one picture --engine onnxruntime, cold", results["onnxruntime_one"], "s")
benchmark.add("one picture from a cold start", results["one"], "s", ("<=", 1.0))
benchmark.finish()
