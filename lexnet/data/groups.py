"""Pictures that belong together: shots of one thing, frames of one film, copies of one file."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lexnet.data.columns import repeats
from lexnet.data.manifest import Manifest, Skipped
from lexnet.errors import ConfigError, DataError

FEW = 3
"""Pictures of each class and part that a subset keeps at least, if its limit allows: they can be divided."""
REPEATS = 3  # such as in (\w+)-(\d+)_(\d+)
CHOICES = 10  # that lie in brackets of their own may be made in 2^10 ways
LEFT = "was not chosen: the subset is large enough without it"


def group_by(manifest: Manifest, pattern: str) -> Manifest:
    """The manifest with what the pattern finds in each path as its group: its first bracket, or all.

    Raises `ConfigError` for a pattern that is no regular expression, `DataError` for one that fits no path.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise ConfigError(f"group_by={pattern!r} is no regular expression ({error})") from error
    matches = (compiled.search(path) for path in manifest.paths)
    groups = [(match.group(min(compiled.groups, 1)) or "") if match else "" for match in matches]
    if groups and not any(groups):
        raise DataError(f"group_by={pattern!r} fits no path, such as {manifest.paths[0]}; change the pattern")
    return manifest.with_groups(groups)


def is_plain(pattern: str) -> bool:
    """Whether a pattern of somebody else's cannot take for ever: nothing in brackets is repeated or referred
    to, and there are few repetitions and choices."""
    if re.search(r"\)[*+{]|\\[1-9]|\(\?P=", pattern):
        return False
    plain = re.sub(r"\\.", "x", pattern)
    optional = r"(?<![(*+}?])\?"  # elsewhere it begins a bracket, or makes a repetition lazy
    return len(re.findall(rf"[*+}}]|{optional}", plain)) <= REPEATS and plain.count("|") <= CHOICES


def units(manifest: Manifest, pairs: Iterable[tuple[int, int]] = ()) -> NDArray[np.int64]:
    """(N,) the lowest row of all that must stay with it: same bytes, same group, or joined by `pairs`."""
    parent = np.arange(len(manifest))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def join(a: int, b: int) -> None:
        a, b = sorted((root(a), root(b)))
        parent[b] = a

    for column in (manifest.digests, manifest.groups):
        first: dict[str, int] = {}
        for row, value in enumerate(column):
            if value:
                join(first.setdefault(value, row), row)
    for a, b in pairs:
        join(a, b)
    return np.asarray([root(row) for row in range(len(manifest))], np.int64)


def by_class(
    together: Sequence[list[int]], labels: NDArray[np.int64], classes: int, least: int
) -> list[list[list[int]]]:
    """The units of each class, each the rows of what stays together: of the class that most of it is of.

    Where that leaves a class with fewer than `least`, as one that is rare in every unit, a unit of several
    classes counts for that of them which has the fewest so far.
    """
    found: list[list[list[int]]] = [[] for _ in range(classes)]
    for rows in together:
        found[int(np.bincount(labels[rows]).argmax())].append(rows)
    present = {int(label) for rows in together for label in labels[rows]}
    if all(len(found[label]) >= least for label in present):
        return found
    found = [[] for _ in range(classes)]
    of = {rows[0]: sorted({int(label) for label in labels[rows]}) for rows in together}
    for rows in sorted(together, key=lambda rows: len(of[rows[0]])):
        found[min(of[rows[0]], key=lambda label: len(found[label]))].append(rows)
    return found


def join_groups(manifest: Manifest, pairs: Iterable[tuple[int, int]]) -> Manifest:
    """The manifest with one group for all that `pairs`, a common group or the same bytes join."""
    found = units(manifest, pairs)
    sizes = np.bincount(found, minlength=len(manifest))
    names = manifest.digests
    return manifest.with_groups(names[unit] if sizes[unit] > 1 else "" for unit in found)


def _shares(sizes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """How many of each to take, of so many, to have the limit in all (but at least one of each)."""
    least = np.minimum(sizes, max(1, min(FEW, limit // int(np.count_nonzero(sizes)))))
    rare = np.zeros(len(sizes), bool)
    while True:
        shares, rests = np.divmod(sizes * (limit - least[rare].sum()), max(1, sizes[~rare].sum()))
        if not (more := ~rare & (shares < least)).any():
            break
        rare |= more
    taken = np.where(rare, least, shares)
    left = max(0, limit - int(taken.sum()))
    taken[np.argsort(np.where(rare, 0, -rests), kind="stable")[:left]] += 1  # the largest remainders
    return taken


def subset(
    manifest: Manifest, limit: int | None, per_class: int | None, order: NDArray[np.uint64]
) -> Manifest:
    """At most `per_class` pictures of each class and part, and `limit` in all, each class with its share
    and a rare one with `FEW`.

    `order` (N,) ranks the rows; of each class and part the first are taken, one of each group or file before
    a second of any.
    """
    keep = np.ones(len(manifest), bool)
    parts, _ = manifest.parts.codes()
    cells = manifest.labels * (parts.max(initial=0) + 1) + parts
    ranks, earlier = np.empty(len(manifest), np.int64), np.empty(len(manifest), np.int64)
    ordered = np.argsort(order, kind="stable")
    earlier[ordered] = repeats(units(manifest)[ordered])
    for cell in np.unique(cells):
        rows = np.flatnonzero(cells == cell)
        ranks[rows[np.lexsort((order[rows], earlier[rows]))]] = np.arange(len(rows))
    if per_class is not None:
        keep &= ranks < per_class
    if limit is not None and keep.sum() > limit:
        keep &= ranks < _shares(np.bincount(cells[keep]), limit)[cells]
    left = [Skipped(manifest.paths[row], LEFT) for row in np.flatnonzero(~keep)]
    return manifest.take(np.flatnonzero(keep), left)
