"""`lexnet check` on photos with planted faults, beside imagededup and cleanvision, and how long it takes.

    make bench-env && make bench NAME=check

The faults are those of planted.py, on a copy of the 3,781 clothing photos. A peer's near duplicates
are judged as ours are: a found pair counts as right if it was planted, near or exact. Peers that
are not installed are left out and said to be.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

from common import LEXNET, Benchmark, arguments, pictures, timed
from planted import plant

options = arguments(__doc__)
runs = 1 if options.quick else 3
benchmark = Benchmark("check")
Pairs = set[frozenset[str]]


def checked(data: Path, out: Path, cache: Path) -> tuple[float, dict[str, Any]]:
    seconds, _, text = timed(
        *LEXNET, "check", str(data), "--json", "--fail-on", "", "--out", str(out), cache=cache
    )
    return seconds, json.loads(text)


def pairs(sets: list[dict[str, Any]]) -> Pairs:
    return {frozenset(pair) for one in sets for pair in combinations(one["paths"], 2)}


def imagededup(data: Path) -> Pairs:
    import peers  # noqa: F401  makes torchvision importable
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(str(data), recursive=True, max_distance_threshold=10)
    return {frozenset((a, b)) for a, others in found.items() for b in others}


def cleanvision(data: Path) -> Pairs:
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(data), verbose=False)
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, verbose=False)
    return {
        frozenset(str(Path(path).relative_to(data)) for path in pair)
        for kind in ("exact_duplicates", "near_duplicates")
        for one in lab.info[kind]["sets"]
        for pair in combinations(one, 2)
    }


def judge(name: str, found: Pairs, goals: bool) -> None:
    right = found & (near | exact)
    least = [(">=", 0.95), (">=", 0.98)] if goals else [None, None]
    benchmark.add(f"{name}: near copies found", [len(found & near) / len(near)], "share", least[0])
    benchmark.add(f"{name}: exact copies found", [len(found & exact) / len(exact)], "share")
    share = len(right) / max(1, len(found))
    benchmark.add(f"{name}: found pairs that were planted", [share], "share", least[1])


with tempfile.TemporaryDirectory() as temporary:
    root = Path(temporary)
    cold, warm = [], []
    for number in range(runs):
        cache = root / f"cache{number}"
        cold.append(checked(pictures() / "clothing", root / f"cold{number}", cache)[0])
        warm.append(checked(pictures() / "clothing", root / f"warm{number}", cache)[0])
        shutil.rmtree(cache)
    benchmark.add("the 3,781 photos, cold, start-up included", cold, "s", ("<=", 45))
    benchmark.add("again, warm", warm, "s", ("<=", 5))
    data = root / "planted"
    truth = plant(pictures() / "clothing", data)
    _, said = checked(data, root / "out", root / "cache")
    broken = {record["path"] for record in said["unreadable"]}
    benchmark.add("broken files found", [len(broken & truth["broken"].keys()) / 40], "share", (">=", 1))
    benchmark.add("false alarms of broken files", [len(broken - truth["broken"].keys())], "files", ("<=", 0))
    exact = {frozenset(pair) for pair in truth["exact"]}
    near = {frozenset(pair[:2]) for pair in truth["near"]}
    found = pairs(said["exact_duplicates"])
    benchmark.add("exact copies found", [len(found & exact) / len(exact)], "share", (">=", 1))
    benchmark.add("false alarms of exact copies", [len(found - exact)], "pairs", ("<=", 0))
    judge("lexnet", pairs(said["near_duplicates"]) | found, goals=True)
    ranked = [record["path"] for record in said["suspect_labels"]][: said["pictures"] // 10]
    flipped = truth["flipped"].keys()
    benchmark.add(
        f"changed labels among the {len(ranked)} most suspect ({said['pictures'] // 10} are a tenth)",
        [len(flipped & set(ranked)) / len(flipped)],
        "share",
        (">=", 0.8),
    )
    for path in truth["broken"]:
        (data / path).unlink()  # the peers stop at some of them
    others: dict[str, Callable[[Path], Pairs]] = {"imagededup": imagededup, "cleanvision": cleanvision}
    for name, peer in others.items():
        if find_spec(name) is None:
            print(f"{name} is not installed here: left out", file=sys.stderr)
        else:
            judge(name, peer(data), goals=False)
benchmark.finish()
