"""How long it takes to start: `lexnet --help` and `import lexnet`.

python benchmarks/startup.py [--quick]
"""

import sys

from common import LEXNET, Benchmark, arguments, in_turn, timed

options = arguments(__doc__)
results = in_turn(
    7 if options.quick else 25,
    bare=lambda: timed(sys.executable, "-c", "pass")[0],
    imported=lambda: timed(sys.executable, "-c", "import lexnet")[0],
    help=lambda: timed(*LEXNET, "--help")[0],
    train_help=lambda: timed(*LEXNET, "train", "--help")[0],
)
benchmark = Benchmark("startup")
benchmark.add("python alone", results["bare"], "s")
imports = [a - b for a, b in zip(results["imported"], results["bare"], strict=True)]
benchmark.add("import lexnet, python taken off", imports, "s", ("<=", 0.1))
benchmark.add("lexnet --help", results["help"], "s", ("<=", 0.25))
benchmark.add("lexnet train --help", results["train_help"], "s", ("<=", 0.25))
benchmark.finish()
