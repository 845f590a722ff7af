"""Which pictures are trained on and which are kept back: stratified, seeded, recorded."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Container, Iterable
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from lexnet.config import MAX_CLASSES, SplitConfig
from lexnet.data.columns import rows_of
from lexnet.data.groups import by_class, subset, units
from lexnet.data.manifest import Manifest, Skipped
from lexnet.data.random import address
from lexnet.errors import DataError, listed

MIN_TRAIN = 2  # per class: cross-validation has to leave one out and still know the class
RANK = {"": 0, "train": 1, "val": 2, "test": 3}
"""Of what lies in several parts, that in the last of them stays."""
MIN_UNDIVIDED = 3  # per class: two to train on and one to test on


def assign_parts(
    manifest: Manifest, config: SplitConfig, seed: int, known: NDArray[np.bool_] | None = None
) -> Manifest:
    """The manifest with a part for every picture: the source's own, or a new stratified split.

    Copies of one file and pictures of one group always fall on the same side. A group counts for the class
    that most of it is of; one that is larger than what is to be held out of it is trained on. `known` (N,)
    marks pictures that the net has learned from before: the test part takes them last, the val part next to
    last. Raises `DataError` where a class is too small.
    """
    check_classes(manifest, config)
    if is_divided(manifest):
        return manifest
    parts = [""] * len(manifest)
    for label, mine in enumerate(stratified(manifest, np.arange(len(manifest)), seed)):
        if len(mine) < MIN_UNDIVIDED:
            name = manifest.classes[label]
            raise DataError(
                f"class {name!r} has {len(mine)} group{'s' * (len(mine) != 1)} of its own, at least "
                f"{MIN_UNDIVIDED} are needed to train and test on different ones; make the groups smaller"
            )
        if known is not None:
            mine.sort(key=lambda rows: known[rows].any())
        new = [rows for rows in mine if known is None or not known[rows].any()]
        usual, spare = sum(map(len, mine)) / len(mine), len(mine) - MIN_TRAIN
        test = _filled(new, _room(usual, config.test * len(mine)), spare) or [min(new or mine, key=len)]
        tested = {rows[0] for rows in test}
        rest = [rows for rows in mine if rows[0] not in tested]
        val = _filled(rest, _room(usual, config.val * len(mine)), spare - len(test))
        for part, taken in (("train", mine), ("test", test), ("val", val)):
            for row in (row for rows in taken for row in rows):
                parts[row] = part
    return manifest.with_parts(parts)


def with_val(manifest: Manifest, share: float, seed: int, pairs: Iterable[tuple[int, int]] = ()) -> Manifest:
    """The manifest with this share of each class's train part as its val part; `pairs` stay together."""
    parts, left = list(manifest.parts), manifest.counts("train")
    for mine in stratified(manifest, manifest.where("train"), seed, pairs):
        for rows in mine[: max(0, min(round(share * len(mine)), len(mine) - MIN_TRAIN))]:
            lent = np.bincount(manifest.labels[rows], minlength=len(left))
            if (left - lent)[lent > 0].min() >= MIN_TRAIN:  # else another class would have none left
                left = left - lent
                for row in rows:
                    parts[row] = "val"
    return manifest.with_parts(parts)


def stratified(
    manifest: Manifest, chosen: NDArray[np.int64], seed: int, pairs: Iterable[tuple[int, int]] = ()
) -> list[list[list[int]]]:
    """For each class the rows of each of its units (what must stay together), in a random order."""
    together: dict[int, list[int]] = defaultdict(list)
    unit_of = units(manifest, pairs)
    for row in chosen.tolist():
        together[int(unit_of[row])].append(row)
    shuffled = sorted(
        together.values(), key=lambda rows: address(seed, "split", min(manifest.digests[row] for row in rows))
    )
    of_class = by_class(shuffled, manifest.labels, len(manifest.classes), MIN_UNDIVIDED)
    place = {rows[0]: number for number, rows in enumerate(shuffled)}
    return [sorted(mine, key=lambda rows: place[rows[0]]) for mine in of_class]


def is_divided(manifest: Manifest) -> bool:
    """Whether the source says what to measure on."""
    return bool(len(manifest.where("val")) or len(manifest.where("test")))


def cut_down(manifest: Manifest, config: SplitConfig, seed: int) -> Manifest:
    """The manifest cut down as the settings say; the rest is recorded as skipped."""
    if config.limit is None and config.per_class is None:
        return manifest
    order = np.asarray([address(seed, "subset", digest) for digest in manifest.digests], np.uint64)
    return subset(manifest, config.limit, config.per_class, order)


def _room(usual: float, units: float) -> float:
    """Pictures in so many units of the usual size, and half a unit over: of nearly equal ones as many fit."""
    return usual * (round(units) + 0.5) if round(units) else 0.0


def _filled(units: list[list[int]], room: float, most: int) -> list[list[int]]:
    """Of these units in turn each that fits into what is left of the room, in pictures; at most so many."""
    taken: list[list[int]] = []
    for rows in units:
        if len(rows) <= room and len(taken) < most:
            taken.append(rows)
            room -= len(rows)
    return taken


def check_classes(manifest: Manifest, config: SplitConfig) -> None:
    """Raises `DataError` for fewer than two classes, an empty class, or one too small to divide."""
    names = manifest.classes
    if len(names) < 2:
        raise DataError(
            f"{manifest.name} has {len(names)} class ({', '.join(names)}); a classifier needs two or more"
        )
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{manifest.name} has {len(names):,} classes, over {MAX_CLASSES:,}; train on groups of them"
        )
    divided = is_divided(manifest)
    least = MIN_TRAIN if divided else MIN_UNDIVIDED
    where = " to train on" if divided else ""
    limits = {"--limit": config.limit, "--per-class": config.per_class}
    raised = "".join(f", or raise {name}" for name, limit in limits.items() if limit is not None)
    mend = f"add some or drop the class{raised}"
    for label, name in enumerate(names):
        mine = np.flatnonzero(manifest.labels == label)
        different = len({manifest.digests[i] for i in mine if manifest.parts[i] in ("", "train")})
        if different == 0:
            raise DataError(f"class {name!r} has no usable picture{where}; {mend}")
        if different < least:
            raise DataError(
                f"class {name!r} has {different} different picture{'s' * (different > 1)}{where}, "
                f"at least {least} are needed; {mend}"
            )


def resolve_copies(manifest: Manifest, skip_bad: bool) -> Manifest:
    """Finds files that are one picture under two labels, or on both sides of the split.

    Raises `DataError` naming them. With `skip_bad`, a picture under two labels is left out wholly,
    and of a picture on two sides the copies outside the last side (test over val over train) are.
    """
    drop: dict[int, str] = {}
    for rows in rows_of(manifest.digests).values():
        if len({int(manifest.labels[i]) for i in rows}) > 1:
            for i in rows:
                other = next(j for j in rows if manifest.labels[j] != manifest.labels[i])
                drop[i] = f"is the same file as {manifest.paths[other]}, which has another label"
        elif len({manifest.parts[i] for i in rows}) > 1:
            keep = max(rows, key=lambda i: RANK[manifest.parts[i]])
            for i in rows:
                if manifest.parts[i] != manifest.parts[keep]:
                    drop[i] = f"is the same file as {manifest.paths[keep]}, which is in another part"
    if not drop:
        return manifest
    if not skip_bad:
        lines = [f"{manifest.paths[i]} {reason}" for i, reason in sorted(drop.items())]
        raise DataError(
            f"{len(drop)} pictures have copies under another label or in another part:{listed(lines)}\n"
            "remove them (`lexnet check` lists all faults, for --fixes), or go on without them with "
            "--skip-bad"
        )
    keep_rows = np.asarray([i for i in range(len(manifest)) if i not in drop], np.int64)
    return manifest.take(
        keep_rows, [Skipped(manifest.paths[i], reason, bad=True) for i, reason in drop.items()]
    )


def resolve_groups(manifest: Manifest, skip_bad: bool, agreed: Container[str]) -> Manifest:
    """Finds groups, but for those agreed on, that lie in several parts.

    Raises `DataError` naming one. With `skip_bad`, what lies outside the last part (test over val over train)
    is left out.
    """
    found = {group: parts for group, parts in straddling(manifest).items() if group not in agreed}
    if not found:
        return manifest
    if not skip_bad:
        lie = "groups lie" if len(found) > 1 else "group lies"
        raise DataError(
            f"{len(found)} {lie} in several parts, such as {next(iter(found))}; `lexnet check` proposes what "
            "to drop, for --fixes; --skip-bad drops it"
        )
    last = {group: max(parts, key=RANK.__getitem__) for group, parts in found.items()}
    drop = {
        row: f"is of the group {group}, which is in the {last[group]} part too"
        for row, (group, part) in enumerate(zip(manifest.groups, manifest.parts, strict=True))
        if last.get(group, part) != part
    }
    skipped = [Skipped(manifest.paths[row], reason, bad=True) for row, reason in drop.items()]
    return manifest.take(np.delete(np.arange(len(manifest)), [*drop]), skipped)


def straddling(manifest: Manifest) -> dict[str, list[str]]:
    """The parts of each group that has pictures in several."""
    parts: dict[str, set[str]] = defaultdict(set)
    for group, part in zip(manifest.groups, manifest.parts, strict=True):
        if group:
            parts[group].add(part)
    return {group: sorted(found) for group, found in parts.items() if len(found) > 1}


def split_csv(manifest: Manifest) -> str:
    """`path,label,split,sha256`, one row a picture."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "split", "sha256"))
    for path, label, part, digest in zip(
        manifest.paths, manifest.labels, manifest.parts, manifest.digests, strict=True
    ):
        writer.writerow((path, manifest.classes[label], part, digest))
    return text.getvalue()


def prefixes(digests: Iterable[str]) -> NDArray[np.uint32]:
    """(N,) the first 32 bits of each sha256: enough to recognise a picture, and short enough to ship."""
    return np.asarray([int(digest[:8], 16) for digest in digests], np.uint32)


def split_hash(manifest: Manifest) -> str:
    """sha256 over what is in which part under which label, whatever the files are called."""
    rows = sorted(
        f"{digest} {part} {manifest.classes[label]}\n"
        for digest, part, label in zip(manifest.digests, manifest.parts, manifest.labels, strict=True)
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()
