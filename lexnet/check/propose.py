"""What to do about each finding: a proposal a row, for a person to agree to or to change.

Taken as they are, they leave nothing that blocks but classes that are too small.
"""

import re
from collections.abc import Iterator

import numpy as np

from lexnet.check.examine import Findings
from lexnet.check.labels import Doubt
from lexnet.data.columns import rows_of
from lexnet.data.fixes import Fix
from lexnet.data.groups import units
from lexnet.data.splits import RANK

COPY = re.compile(r"\(\d+\)|\bcopy\b", re.IGNORECASE)
"""What a file manager writes into the name of a copy."""


def proposals(found: Findings) -> list[Fix]:
    """Rows for fixes.csv. Of copies or a group in several parts, what is in test stays, or else in val."""
    fixes = [Fix(skip.path, "unreadable", "drop", why=skip.reason) for skip in found.unreadable]
    dropped: set[int] = set()
    for drops in (_copies(found), _straddlers(found, dropped)):
        for fix, row in drops:
            fixes.append(fix)
            if fix.proposal == "drop":
                dropped.add(row)
    fixes += _regroups(found, dropped)
    paths, classes = found.manifest.paths, found.manifest.classes
    for doubt in found.doubts:
        why = said_of(doubt, classes)
        fixes.append(Fix(paths[doubt.row], "suspect_labels", "keep", classes[doubt.label], why))
    for row, far in found.outliers:
        fixes.append(Fix(paths[row], "outliers", "keep", why=f"{far:.1f} spreads farther than the median"))
    return fixes


def said_of(doubt: Doubt, classes: list[str]) -> str:
    """What the other pictures say of a suspect label."""
    return f"looks more like {classes[doubt.label]} (confidence {min(doubt.confidence, 0.99):.0%})"


def _copies(found: Findings) -> Iterator[tuple[Fix, int]]:
    """Of each set of copies: those under wrong labels, those in other parts, second copies of a file."""
    manifest = found.manifest
    paths, labels, parts = manifest.paths, manifest.labels, manifest.parts
    suspects = {doubt.row for doubt in found.doubts}
    for rows in _sets(found):
        left, exact = rows, len({manifest.digests[row] for row in rows}) == 1
        names = sorted({manifest.classes[labels[row]] for row in rows})
        if len(names) > 1:
            sound = [row for row in rows if row not in suspects]
            left = sound if len({int(labels[row]) for row in sound}) == 1 else []
            fault = "label_conflicts" if exact else "near_conflicts"
            proposal = "keep" if found.settled(tuple(rows), fault) and not exact else "drop"
            for row in set(rows) - set(left):
                why = f"one picture, called {' and '.join(names)}"
                yield Fix(paths[row], fault, proposal, why=why), row
        best = max((parts[row] for row in left), key=RANK.__getitem__, default="")
        keep: dict[str, int] = {}
        fault = "leaks" if exact else "near_leaks"
        leak = "keep" if found.settled(tuple(rows), fault) and not exact else "drop"
        for row in sorted(left, key=lambda row: (-RANK[parts[row]], bool(COPY.search(paths[row])), row)):
            first = keep.setdefault(manifest.digests[row], row)
            if parts[row] != best:
                why = f"nearly or wholly the same as {paths[next(iter(keep.values()))]}"
                yield Fix(paths[row], fault, leak, why=why), row
            elif first != row:
                yield Fix(paths[row], "exact_duplicates", "drop", why=f"the same file as {paths[first]}"), row


def _straddlers(found: Findings, dropped: set[int]) -> Iterator[tuple[Fix, int]]:
    """Of a group that is in several parts: the pictures outside the test part, or else the val part."""
    manifest = found.manifest
    members = rows_of(manifest.groups)
    for group, held in found.groups.items():
        mine = [row for row in members[group] if row not in dropped]
        if not mine:
            continue
        best = max((manifest.parts[row] for row in mine), key=RANK.__getitem__)
        for row in mine:
            if manifest.parts[row] != best:
                why = f"{group} is in {' and '.join(held)}"
                yield Fix(manifest.paths[row], "groups", "drop", why=why), row


def _regroups(found: Findings, dropped: set[int]) -> Iterator[Fix]:
    """One group for near copies that stay, and for whatever was in a group with one of them."""
    stay = [row for row in range(len(found.manifest)) if row not in dropped]
    kept = found.manifest.take(np.asarray(stay, np.int64))
    place = {digest: row for row, digest in enumerate(kept.digests)}  # a copy may stand for a dropped one
    digests = (
        (found.manifest.digests[pair.first], found.manifest.digests[pair.second]) for pair in found.near
    )
    both = [(place[a], place[b]) for a, b in digests if a in place and b in place]
    near = [(a, b) for a, b in both if kept.parts[a] == kept.parts[b]]  # a leak that is kept stays one
    joined = units(kept, near)
    members = rows_of(joined.tolist())
    for unit in sorted({int(joined[row]) for pair in near for row in pair}):
        groups = [group for row in members[unit] if (group := kept.groups[row])]
        name = groups[0] if groups else f"near-{kept.digests[unit][:12]}"
        for row in members[unit]:
            if kept.groups[row] != name:
                yield Fix(kept.paths[row], "near_duplicates", "regroup", name, "nearly the same as another")


def _sets(found: Findings) -> list[list[int]]:
    """Rows of each set of pictures that are copies of one another, exactly or nearly."""
    pairs = [pair.rows for pair in found.near]
    alone = found.manifest.with_groups("" for _ in range(len(found.manifest)))
    return [rows for rows in rows_of(units(alone, pairs).tolist()).values() if len(rows) > 1]
