"""What every benchmark shares: the pictures, the machine's description, paired runs, the last line."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LEXNET = (sys.executable, "-m", "lexnet")


def pictures() -> Path:
    """The folder of real pictures: LEXNET_TEST_DATA, or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("LEXNET_TEST_DATA", ROOT.parent / "shared/data"))
    if not folder.is_dir():
        sys.exit(
            f"no pictures in {folder}; set LEXNET_TEST_DATA to a folder with clothing/ and imagenet-sample/"
        )
    return folder


def arguments(description: str | None) -> argparse.Namespace:
    """`--quick` for a run of under five minutes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer runs: under 5 minutes")
    parser.add_argument("only", nargs="*", help="where a script measures several things: these alone")
    return parser.parse_args()


@dataclass
class Benchmark:
    """Collects figures and prints them: a readable table, then one JSON document as the last line."""

    name: str
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(
        self, figure: str, values: Sequence[float], unit: str, goal: tuple[str, float] | None = None
    ) -> None:
        """The median of the values is the figure; `goal` is ("<=" or ">=", limit)."""
        value = statistics.median(values)
        met = None if goal is None else (value <= goal[1] if goal[0] == "<=" else value >= goal[1])
        self.figures[figure] = {
            "value": round(value, 4),
            "goal": None if goal is None else f"{goal[0]} {goal[1]:g}",
            "met": met,
            "unit": unit,
            "runs": len(values),
            "spread": [round(min(values), 4), round(max(values), 4)],
        }

    def finish(self) -> None:
        """Prints everything that was collected."""
        packages = ("lexnet", "numpy", "pillow", "onnxruntime", "openvino", "scikit-learn", "torch")
        there = {name: version for name in packages if (version := _version(name))}
        versions = {"python": platform.python_version()} | there
        print(f"\n{self.name}: {machine()}, {time.strftime('%Y-%m-%d')}")
        for figure, f in self.figures.items():
            low, high = f["spread"]
            mark = {None: "", True: "met", False: "NOT MET"}[f["met"]]
            print(
                f"  {figure:44} {f['value']:>10} {f['unit']:12} {f['runs']} runs, {low} to {high}"
                f"   {f['goal'] or '':>10} {mark}"
            )
        document = {"name": self.name, "machine": machine(), "versions": versions, "figures": self.figures}
        print(json.dumps(document))


def _version(package: str) -> str | None:
    """None where it is not installed: not all of them are needed everywhere."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine() -> str:
    """The processor, how many cores may be used, the memory, the widest vector instructions, a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    model = fields.get("model name", platform.processor() or platform.machine())
    flags = set(fields.get("flags", "").split())
    vectors = next((name for name in ("avx512_vnni", "avx512f", "avx2") if name in flags), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    return f"{model}, {cores} cores, {vectors}, {memory:.0f} GiB, {platform.system()}{_gpu()}"


def _gpu() -> str:
    """Its name, where there is one."""
    try:
        import torch
    except ImportError:
        return ""
    return f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""


def in_turn(runs: int, **functions: Callable[[], float]) -> dict[str, list[float]]:
    """Each function's results of `runs` rounds, A B C A B C ..., after one round that is not counted."""
    results: dict[str, list[float]] = {name: [] for name in functions}
    for round_ in range(runs + 1):
        for name, function in functions.items():
            value = function()
            if round_:
                results[name].append(value)
    return results


def ratios(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """a/b, round by round."""
    return [x / y for x, y in zip(a, b, strict=True)]


def timed(*command: str, cwd: Path | None = None, cache: Path | None = None) -> tuple[float, float, str]:
    """(seconds from start to end, peak memory in GB, stdout) of a command; it must succeed."""
    environment = dict(os.environ) | ({"LEXNET_CACHE": str(cache)} if cache else {})
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=said, text=True
        )
        assert process.stdout
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}: {said.read()[-2000:]}")
    return seconds, usage.ru_maxrss * 1024 / 1e9, out
