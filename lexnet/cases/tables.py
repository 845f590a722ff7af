"""The table that most cases have: nets, what they cost, and how often they are right."""

from collections.abc import Mapping, Sequence

from lexnet.cases.case import Table
from lexnet.cases.lab import Learned
from lexnet.cases.verdict import interval
from lexnet.cost import params


def compared(caption: str, runs: Mapping[str, Sequence[Learned]], macs: Mapping[str, int]) -> Table:
    """A row for each net: its parameters, its multiply-adds for a picture, the loss that training ended with
    (a high one has not learned its pictures yet), and its accuracy over the seeds."""
    rows = []
    for name, learned in runs.items():
        cost = f"{params(learned[0].net):,}", f"{macs[name] / 1e6:.2f} M"
        loss = sum(one.losses[-1] for one in learned) / len(learned)
        rows.append((name, *cost, f"{loss:.2f}", *share([one.accuracy for one in learned])))
    costs = "parameters", "multiply-adds", "loss in the last epoch"
    head = ("net", *costs, "test accuracy", "its 95 % interval over seeds")
    return Table(caption, head, rows)


def share(values: Sequence[float]) -> tuple[str, str]:
    """The mean of some shares, and its interval."""
    mean, low, high = (100 * value for value in interval(values))
    return f"{mean:.1f} %", f"{low:.1f} to {high:.1f} %"


def by_seed(
    found: Mapping[tuple[str, int], Sequence[float]], name: str, each: Sequence[int]
) -> list[tuple[float, ...]]:
    """For each seed its accuracies, with ever more pictures."""
    return list(zip(*(found[name, many] for many in each), strict=True))
