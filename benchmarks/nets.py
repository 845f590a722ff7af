"""Every net: how fast it is built, and how fast it runs beside torchvision's and timm's own.

    make bench-env && make bench NAME=nets

Building is on the meta device, imports excluded. A forward pass is a batch of 8 at the net's own size
in evaluation mode, eager torch in float32 on all cores; both do the same work. Rounds go A B A B; a ratio
over 1 means that ours is slower. A neighbour on a shared machine can make any pass take ten times as
long: look at the spread. glibc is told to keep the memory that is freed: else every pass pays for new
pages, more or fewer of them by what ran before, a tenth of the time where activations are large.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from common import Benchmark, arguments, in_turn, ratios
from peers import timm, torchvision

from lexnet.nets import NETS

KEEP = {"MALLOC_MMAP_THRESHOLD_": 2**31 - 1, "MALLOC_TRIM_THRESHOLD_": 2**34, "MALLOC_TOP_PAD_": 2**30}
if not KEEP.keys() <= os.environ.keys():
    settings = {name: str(value) for name, value in KEEP.items()}
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | settings)

BATCH = 8
TORCHVISION = [
    *("alexnet", "mobilenet_v2"),
    *(f"resnet{layers}" for layers in (18, 34, 50, 101, 152)),
    *(f"vgg{layers}{norm}" for layers in (11, 13, 16, 19) for norm in ("", "_bn")),
]
TIMM = {
    "mobilenet_v1": "mobilenetv1_100",
    **{f"mobilenet_v2_{width}": f"mobilenetv2_{width}" for width in ("140", "075", "050", "035")},
    **{f"efficientnet_lite{number}": f"tf_efficientnet_lite{number}" for number in range(5)},
}
SHARED: dict[str, tuple[str, Callable[[], torch.nn.Module]]] = {
    **{n: ("torchvision", partial(getattr(torchvision.models, n))) for n in TORCHVISION},
    "googlenet": ("torchvision", lambda: torchvision.models.googlenet(init_weights=False, aux_logits=False)),
    **{ours: ("timm", partial(timm.create_model, theirs)) for ours, theirs in TIMM.items()},
}
LARGE = 5e9  # multiply-adds from which on there are fewer rounds
options = arguments(__doc__)
rounds = 7 if options.quick else 25
benchmark = Benchmark("nets")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def build(name: str) -> None:
    with torch.device("meta"):
        NETS[name].build()


def forward(net: torch.nn.Module, pixels: torch.Tensor) -> Callable[[], float]:
    def work() -> object:
        with torch.inference_mode():
            return net(pixels)

    return lambda: seconds(work)


build("resnet18")  # the first build of all pays for what torch sets up
slowest = max(NETS, key=lambda name: seconds(lambda: build(name)))
benchmark.add(
    f"build on meta, the slowest of {len(NETS)} ({slowest})",
    [seconds(lambda: build(slowest)) for _ in range(rounds)],
    "s",
    ("<=", 0.5),
)
for name, (library, make) in SHARED.items():
    if options.only and name not in options.only:
        continue
    pixels = torch.randn(BATCH, 3, NETS[name].size, NETS[name].size)
    ours, theirs = NETS[name].build().eval(), make().eval()
    few = rounds if NETS[name].macs < LARGE or options.only else (rounds + 2) // 3
    results = in_turn(few, ours=forward(ours, pixels), theirs=forward(theirs, pixels))
    benchmark.add(
        f"{name} / {library}'s",
        ratios(results["ours"], results["theirs"]),
        "ratio",
        ("<=", 1.03),
    )
benchmark.finish()
