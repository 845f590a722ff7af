"""fastai's `fine_tune` and a plain PyTorch loop beside `lexnet train`, on the clothing photos.

    python benchmarks/rivals.py [ours] [fastai] [plain] [fastai10]

All start from the same weights of EfficientNet-Lite0, at 224 px, with the same 3,068 photos to train on, two
threads and two loader workers, and are measured on the same 372 photos of the test part.

    ours      `--mode probe` and `--mode tail` as whole processes with empty caches, start-up included
    fastai    `fine_tune(3)` as its documentation has it: its transforms, its head, one frozen epoch before
    plain     AdamW on the whole net for the time of our tail, the rate a cosine of that time, at four
              learning rates, of which the best on the test part counts
    fastai10  `fine_tune(10)` with the rate that its finder suggests and its `ChannelsLast`: an hour and
              more, so it is kept after each epoch and goes on there when started again. glibc keeps what a
              step frees (set MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ to 17179869184): with
              both a batch takes half as long

What was measured is kept (LEXNET_STUDY names the file, rivals.jsonl here otherwise). The others are not
measured again, ours each time they are named; every run of ours is compared with the one of each other.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from common import LEXNET, Benchmark, arguments, pictures, timed
from peers import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision import transforms

import lexnet

SIZE, CLASSES, HALF = 224, 10, (0.5,) * 3
PHOTOS, BATCH = 3068, 32
RATES = (1e-4, 3e-4, 1e-3, 3e-3)
clothing = pictures() / "clothing"
file = Path(os.environ.get("LEXNET_STUDY", "rivals.jsonl"))
torch.set_num_threads(2)


def keep(name: str, seconds: float, accuracy: float, **more: float) -> None:
    """One line of the file of results."""
    line = json.dumps({"name": name, "seconds": seconds, "accuracy": accuracy, **more})
    with file.open("a") as stream:
        stream.write(line + "\n")
    print(line, flush=True)


def ours() -> None:
    """Whole processes with empty caches."""
    for mode in ("probe", "tail"):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            command = (*LEXNET, "train", str(clothing), "--mode", mode, "--json")
            seconds, _, text = timed(*command, cwd=place, cache=place / "cache")
        keep(mode, seconds, json.loads(text)["test_accuracy"])


def fastai(epochs: int, *, tuned: bool) -> None:
    """From opening the pictures to the end of training; its own import and the test part do not count."""
    from fastai.callback.channelslast import ChannelsLast
    from fastai.vision import all as vision

    torch.manual_seed(0)
    start = time.perf_counter()
    loaders = vision.ImageDataLoaders.from_folder(
        clothing,
        train="train",
        valid="validation",
        item_tfms=vision.Resize(256),
        batch_tfms=[*vision.aug_transforms(size=SIZE), vision.Normalize.from_stats(HALF, HALF)],
        num_workers=2,
    )
    net = lexnet.create_net("efficientnet_lite0", weights="imagenet")
    model = nn.Sequential(nn.Sequential(net.stem, net.stages), vision.create_head(1280, CLASSES))
    scratch = tempfile.mkdtemp()  # its finder would else write beside the pictures
    learner = vision.Learner(
        loaders, model, splitter=vision.default_split, metrics=vision.accuracy, path=scratch
    )
    if tuned:
        learner.add_cb(ChannelsLast())
    half = file.with_suffix(f".fastai{epochs}")
    state: dict[str, Any] = (
        torch.load(half, weights_only=False) if half.exists() else {"epochs": 0, "seconds": 0.0}
    )

    class Kept(vision.Callback):  # type: ignore[misc, name-defined]  # fastai is untyped
        """What has been learned so far, at the end of each epoch in which all of the net learns."""

        def after_epoch(self) -> None:
            if self.n_epoch == epochs and self.epoch >= state["epochs"]:
                now = {
                    "epochs": self.epoch + 1,
                    "seconds": state["seconds"] + time.perf_counter() - start,
                    "rate": rate,
                    "net": model.state_dict(),
                    "optimiser": self.learn.opt.state_dict(),
                }
                torch.save(now, half.with_suffix(".part"))
                half.with_suffix(".part").replace(half)

    if state["epochs"]:  # the second half of `fine_tune`, as it stands in fastai.callback.schedule
        rate = state["rate"]
        learner.unfreeze()
        learner.create_opt()
        model.load_state_dict(state["net"])
        learner.opt.load_state_dict(state["optimiser"])
        rates = slice(rate / 200, rate / 2)
        learner.fit_one_cycle(epochs, rates, pct_start=0.3, div=5.0, start_epoch=state["epochs"], cbs=Kept())
    else:
        learner.freeze()
        rate = learner.lr_find(show_plot=False).valley if tuned else 2e-3
        learner.fine_tune(epochs, rate, cbs=Kept())
    seconds = state["seconds"] + time.perf_counter() - start
    test = loaders.test_dl(vision.get_image_files(clothing / "test"), with_labels=True)
    keep(f"fastai {epochs}", seconds, float(learner.validate(dl=test)[1]), rate=rate)
    half.unlink()


def plain(seconds: float) -> None:
    """The usual loop, in which all is trained for so long, at each of the rates."""
    normal = [transforms.ToTensor(), transforms.Normalize(HALF, HALF)]
    changed = [transforms.RandomResizedCrop(SIZE, (0.35, 1.0)), transforms.RandomHorizontalFlip(), *normal]
    whole = [transforms.Resize(256), transforms.CenterCrop(SIZE), *normal]
    train, test = (
        torch.utils.data.DataLoader(
            torchvision.datasets.ImageFolder(clothing / part, transforms.Compose(steps)),
            batch_size=BATCH,
            shuffle=part == "train",
            drop_last=part == "train",
            num_workers=2,
        )
        for part, steps in (("train", changed), ("test", whole))
    )
    for rate in RATES:
        torch.manual_seed(0)
        net = lexnet.create_net("efficientnet_lite0", weights="imagenet", classes=CLASSES)
        net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # the stubs leave it out
        optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.05)
        start, step, took = time.perf_counter(), 0, 0.0
        while took < seconds:
            for inputs, labels in train:
                share = min(1.0, (step + 1) / 10) * 0.5 * (1 + cos(pi * took / seconds))
                for group in optimiser.param_groups:
                    group["lr"] = rate * share
                loss = F.cross_entropy(
                    net(inputs.contiguous(memory_format=torch.channels_last)), labels, label_smoothing=0.1
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                step, took = step + 1, time.perf_counter() - start
                if took >= seconds:
                    break
        net.eval()
        with torch.inference_mode():
            hits = [net(inputs).argmax(1) == labels for inputs, labels in test]
        keep(f"plain {rate:g}", took, float(torch.cat(hits).float().mean()), epochs=step * BATCH / PHOTOS)


def kept(name: str) -> list[dict[str, float]]:
    """All that was measured under this name."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for line in map(json.loads, lines) if line["name"] == name]


def once(name: str, measure: Callable[[], None]) -> None:
    """Unless it was measured before."""
    if not kept(name):
        measure()


measures: dict[str, Callable[[], None]] = {
    "ours": ours,
    "fastai": lambda: once("fastai 3", lambda: fastai(3, tuned=False)),
    "plain": lambda: once(f"plain {RATES[-1]:g}", lambda: plain(kept("tail")[-1]["seconds"])),
    "fastai10": lambda: once("fastai 10", lambda: fastai(10, tuned=True)),
}
chosen = arguments(__doc__).only or ["ours", "fastai", "plain"]
if "ours" not in chosen and not kept("tail"):
    sys.exit(f"{file} holds no run of ours to compare with: measure ours first")
for name in chosen:
    measures[name]()
benchmark = Benchmark("rivals")
for name in ("probe", "tail", "fastai 3", "fastai 10", *(f"plain {rate:g}" for rate in RATES)):
    if found := kept(name):
        benchmark.add(f"{name}: test accuracy", [one["accuracy"] for one in found], "share")
        benchmark.add(f"{name}: time", [one["seconds"] for one in found], "s")
for name, (sooner, done, better) in {
    "fastai 3": ((">=", 40.0), (">=", 8.0), (">=", 8.0)),
    "fastai 10": (None, None, None),
}.items():
    for theirs in kept(name):
        probes, tails = kept("probe"), kept("tail")
        for runs in (probes, tails):
            if all(one["accuracy"] >= theirs["accuracy"] for one in runs):
                times = [theirs["seconds"] / one["seconds"] for one in runs]
                benchmark.add(f"{name} / ours, time to its accuracy", times, "times", sooner)
                break
        times = [theirs["seconds"] / one["seconds"] for one in tails]
        benchmark.add(f"{name} / our tail, time", times, "times", done)
        points = [100 * (one["accuracy"] - theirs["accuracy"]) for one in tails]
        benchmark.add(f"our tail over {name}", points, "points", better)
benchmark.finish()
