"""`lexnet train --budget` on the clothing photos, as whole processes with empty caches: is it kept to?

    python benchmarks/budget.py [--quick]

The time of the whole command, start-up included, as a share of the budget, and how good the result is.
"""

import json
import tempfile
from pathlib import Path

from common import LEXNET, Benchmark, arguments, pictures, timed

from lexnet.config import seconds

BUDGETS = (
    # budget, mode
    ("20s", "auto"),
    ("1m", "auto"),
    ("2m", "auto"),
    ("5m", "auto"),
    ("2m", "tail"),
    ("3m", "finetune"),
    ("2m", "scratch"),
)
MOST = 1.10
options = arguments(__doc__)
benchmark = Benchmark("budget")
shares = []
for budget, mode in BUDGETS[: 2 if options.quick else None]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        command = (
            *LEXNET,
            "train",
            str(pictures() / "clothing"),
            "--mode",
            mode,
            "--budget",
            budget,
            "--json",
        )
        took, _, text = timed(*command, cwd=place, cache=place / "cache")
    found = json.loads(text)
    shares.append(took / seconds(budget))
    what = f"{budget}, --mode {mode}: {found['mode']}"
    print(f"{what}, {took:.0f} s, {found['test_accuracy']:.4f}", flush=True)
    benchmark.add(f"{what}, share of the budget", [shares[-1]], "", ("<=", MOST))
    benchmark.add(f"{what}, test accuracy", [found["test_accuracy"]], "share")
benchmark.finish()
