"""What makes a step of training on a CPU cheaper: memory that is kept, and depthwise kernels that stay.

    python benchmarks/step.py [--quick] [memory] [depthwise]

Each round is a process of its own, with and without in turn: the median of some steps on random pixels, two
threads, AdamW, gradients clipped, weights averaged, as in any training here.

    memory     all of a net; without, what a step frees is handed back to the system, with, it is kept
    depthwise  the tail that would be trained; without, its depthwise convolutions learn, with, they stay
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch
from common import Benchmark, arguments, in_turn, ratios
from torch import nn
from torch.nn import functional as F

import lexnet
from lexnet.config import FitConfig
from lexnet.cost import cost_of
from lexnet.export.places import places
from lexnet.nets import NETS
from lexnet.nets.fold import depthwise_frozen, fold_norms, laid_out
from lexnet.train.allocator import freed_memory_kept
from lexnet.train.loop import _averaged, _Running, step
from lexnet.train.optimiser import make_optimiser
from lexnet.transfer.cut import default_cut

WHOLE = [
    ("resnet20", 32, 128),
    ("mobilenet_v2", 128, 64),
    ("efficientnet_lite0", 160, 32),
    ("resnet18", 160, 16),
]
TAILS = [("efficientnet_lite0", 224, 32), ("mobilenet_v2", 224, 32)]
CLASSES, WARM = 10, 5


def median_step(part: str, name: str, size: int, batch: int, steps: int, cheap: bool) -> float:
    """Milliseconds, in this process."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    net, x = lexnet.create_net(name, classes=CLASSES), torch.randn(batch, 3, size, size)
    learner: nn.Module = net
    if part == "depthwise":
        trunk, learner = net.cut(default_cut(places(cost_of(NETS[name], size, classes=0))))
        with torch.no_grad():
            x = trunk.eval()(x)
        fold_norms(learner)
    laid_out(learner.train(), torch.channels_last)
    x, y = x.contiguous(memory_format=torch.channels_last), F.one_hot(torch.arange(batch) % CLASSES).float()
    config = FitConfig(batch_size=batch).resolved("tail")
    times = []
    kept = freed_memory_kept() if cheap or part == "depthwise" else nullcontext()
    frozen = depthwise_frozen(learner) if cheap and part == "depthwise" else nullcontext()
    with kept, frozen:
        run = _Running(learner, make_optimiser(learner, config), _averaged(learner))
        for _ in range(WARM + steps):
            start = time.perf_counter()
            step(learner, learner, run.optimiser, iter([(x, y)]), config, "a benchmark")
            run.average(config.ema)
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[WARM:])


def alone(*case: Any) -> float:
    """The same, in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(median_step, *case).result()


def main() -> None:
    options = arguments(__doc__)
    benchmark, rounds, steps = Benchmark("step"), 1 if options.quick else 5, 10 if options.quick else 15
    for part, cases in (("memory", WHOLE), ("depthwise", TAILS)):
        for case in cases if part in (options.only or [part]) else []:
            found = in_turn(
                rounds,
                **{way: partial(alone, part, *case, steps, way == "with") for way in ("without", "with")},
            )
            for way, times in found.items():
                benchmark.add(f"{part}: {case[0]} {case[1]} px, {case[2]}, {way}", times, "ms a step")
            benchmark.add(
                f"{part}: {case[0]}, without / with", ratios(found["without"], found["with"]), "times"
            )
    benchmark.finish()


if __name__ == "__main__":
    main()
