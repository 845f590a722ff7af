"""Training ResNet-20 on 32×32 pictures: pictures a second, beside a plain PyTorch loop with a DataLoader.

    python benchmarks/throughput.py [--quick]

The pictures are JPEGs of CIFAR-10's test set in a folder. Both crop at random (4 pixels of padding), mirror,
normalise and take SGD steps of 128, with two threads in float32 or, where torch sees one, on a GPU in
bfloat16 (autocast) and channels last. Ours reads what was decoded once; the loop decodes in the workers of
its DataLoader, two or one a core beside a GPU, as its tutorial does. Ours is compiled where timing says so,
as in any long training; that takes its time once and is not counted. Rounds of some batches alternate.
"""

import os
import random
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from common import Benchmark, arguments, pictures
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import lexnet
from lexnet.augment.recipes import RECIPES
from lexnet.config import FitConfig, PreprocessSpec
from lexnet.data.loader import open_pictures
from lexnet.data.source import read_data
from lexnet.nets.fold import laid_out
from lexnet.train.allocator import freed_memory_kept
from lexnet.train.compiled import choose
from lexnet.train.loop import Batch, step
from lexnet.train.optimiser import make_optimiser
from lexnet.train.pixels import TrainingPictures

options = arguments(__doc__)
benchmark = Benchmark("throughput")
LONG = 100_000  # steps of a training that is long enough to compile its net for
GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
WORKERS = os.cpu_count() or 1 if GPU else 2
BATCHES, ROUNDS, MANY = 300 if GPU else 40, 3 if options.quick else 9, 10_000 if GPU else 5_000
MEAN, STD = 122.0, 62.0
torch.set_num_threads(2)


class Plain(Dataset[tuple[torch.Tensor, int]]):
    """Files, decoded and changed whenever they are asked for."""

    def __init__(self, files: list[Path], labels: list[int]) -> None:
        self._files, self._labels = files, labels

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        with Image.open(self._files[i]) as image:
            x = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float().div(255)
        x = F.pad(x, (4, 4, 4, 4))
        top, left = random.randrange(9), random.randrange(9)
        x = x[:, top : top + 32, left : left + 32]
        if random.random() < 0.5:
            x = x.flip(2)
        return (x - MEAN / 255) / (STD / 255), self._labels[i]


def plain(loader: DataLoader[tuple[torch.Tensor, int]]) -> Iterator[None]:
    """The usual loop."""
    net = lexnet.create_net("resnet20", classes=10).train().to(DEVICE)
    if GPU:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs leave it out
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    while True:
        for inputs, labels in loader:
            if len(inputs) < 128:
                continue
            inputs, labels = inputs.to(DEVICE, non_blocking=True), labels.to(DEVICE, non_blocking=True)
            if GPU:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=GPU):
                loss = F.cross_entropy(net(inputs), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield


def ours(pixels: TrainingPictures) -> Iterator[None]:
    """What `--mode scratch --optimiser sgd` does between two epochs' ends."""
    config = FitConfig(optimiser="sgd").resolved("scratch")
    net = lexnet.create_net("resnet20", classes=10).train().to(DEVICE)
    laid_out(net, torch.channels_last)
    choice = choose(net, next(pixels.batches(0, config)), LONG, config)
    print(choice.reason, flush=True)
    optimiser = make_optimiser(net, config)
    epoch = 0
    while True:
        batches: Iterator[Batch] = pixels.batches(epoch, config)
        for batch in batches:
            if len(batch[0]) == 128:
                step(net, choice.model or net, optimiser, iter([batch]), config, "a benchmark")
                yield
        epoch += 1


def rate(name: str) -> float:
    """Pictures a second over a round, its first batch not counted."""
    with freed_memory_kept() if name == "ours" else nullcontext():  # as in any training of ours
        next(loops[name])
        if GPU:
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(BATCHES):
            next(loops[name])
        if GPU:
            torch.cuda.synchronize()
        return BATCHES * 128 / (time.perf_counter() - start)


with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    with tarfile.open(pictures() / "cifar10-test.tar") as archive:
        for member in [m for m in archive.getmembers() if m.isfile()][:: 10_000 // MANY]:
            content = archive.extractfile(member)
            assert content is not None
            place = root / Path(member.name).parent.name / Path(member.name).name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(BytesIO(content.read()).getvalue())
    manifest = read_data(str(root))
    files = [root / path for path in manifest.paths]
    loader = DataLoader(
        Plain(files, manifest.labels.tolist()),
        batch_size=128,
        shuffle=True,
        num_workers=WORKERS,
        pin_memory=GPU,
        persistent_workers=GPU,
    )
    spec = PreprocessSpec(size=32, short_side=32, mean=(MEAN,) * 3, std=(STD,) * 3)
    pixels = TrainingPictures(
        pictures=open_pictures(manifest, spec, None, warn=print, progress=lambda done, total: None),
        labels=manifest.labels,
        weights=manifest.weights,
        spec=spec,
        classes=len(manifest.classes),
        recipe=RECIPES["cifar"],
        axes=None,
        seed=0,
        sampled=False,
        workers=WORKERS,
        device=DEVICE,
        batched=GPU,
    )
    loops = {"ours": ours(pixels), "plain": plain(loader)}
    for name in loops:
        rate(name)  # warm
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(ROUNDS):
        for name in loops if number % 2 else reversed(loops):
            rates[name].append(rate(name))
        print({name: round(each[-1]) for name, each in rates.items()}, flush=True)
benchmark.add("ours", rates["ours"], "pictures/s")
benchmark.add("a plain PyTorch loop with DataLoader", rates["plain"], "pictures/s")
ratios = np.divide(rates["ours"], rates["plain"]).tolist()
benchmark.add("ours / plain", ratios, "times", (">=", 1.5))
benchmark.finish()
