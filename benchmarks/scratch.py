"""Nets trained from nothing on Fashion-MNIST, as whole processes: test accuracy and time.

    python benchmarks/scratch.py [--quick] [NET...]

The rows of the data set's own table (github.com/zalandoresearch/fashion-mnist) that ours are to be above: two
convolutional layers 0.916, AlexNet 0.899, GoogLeNet 0.937, VGG-16 0.935, ResNet-18 0.949, MobileNet 0.950.
Without names the two that two cores have time for; --quick is the first alone.
"""

import json
import tempfile
from pathlib import Path

import yaml
from common import LEXNET, Benchmark, arguments, timed

SHIFTED = {"crop": "random", "pad": 0.0625, "mirror": 0.5}
SLOW = ("--weight-decay", "0.01", "--ema", "0.998")
RUNS = {
    # net: (flags, recipe of its own, least accuracy, most seconds)
    "lenet5_modern": (("--epochs", "40", "--lr", "4e-3", "--smoothing", "0", *SLOW), SHIFTED, 0.915, 600),
    "resnet20": (("--epochs", "24", "--lr", "5e-3", "--ema", "0.998", "--tta", "mirror"), None, 0.94, 2400),
}

options = arguments(__doc__)
benchmark = Benchmark("scratch")
for net in options.only or list(RUNS)[: 1 if options.quick else None]:
    flags, recipe, accuracy, most = RUNS[net]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if recipe is not None:
            (place / "own.yaml").write_text(yaml.safe_dump(recipe))
            flags = (*flags, "--recipe", "own.yaml")
        command = (*LEXNET, "train", "fashion-mnist", "--mode", "scratch", "--net", net, *flags, "--json")
        seconds, peak, text = timed(*command, cwd=place, cache=place / "cache")
    found = json.loads(text)
    print(f"{net}: {found['test_accuracy']:.4f} in {seconds:.0f} s, {peak:.2f} GB", flush=True)
    benchmark.add(f"{net}, test accuracy", [found["test_accuracy"]], "share", (">=", accuracy))
    benchmark.add(f"{net}, seconds, start-up included", [seconds], "s", ("<=", most))
benchmark.finish()
