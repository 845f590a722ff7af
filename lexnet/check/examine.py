"""Everything that can be told of a set of pictures before training, in one pass."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexnet.check.duplicates import Pair, near_duplicates
from lexnet.check.headers import oddities, tiny
from lexnet.check.labels import SUSPECT, Doubt, doubts, outliers
from lexnet.check.squares import SIDE, Squares, squares
from lexnet.config import EngineChoice, available_cores
from lexnet.data.columns import rows_of
from lexnet.data.groups import units
from lexnet.data.manifest import PARTS, Manifest, Skipped
from lexnet.data.splits import MIN_TRAIN, MIN_UNDIVIDED, is_divided, straddling, stratified
from lexnet.memory import refuse_too_many
from lexnet.transfer.extract import Extraction, extract
from lexnet.transfer.probe import refuse_infinite
from lexnet.transfer.trunk import Trunk

FAULTS = {
    "unreadable": "files that were meant as pictures and cannot be used",
    "classes": "fewer than two classes, or a class with no picture or hardly any",
    "label_conflicts": "one picture under two labels",
    "leaks": "one picture in two parts",
    "groups": "a group with pictures in two parts",
    "exact_duplicates": "copies of one file",
    "near_duplicates": "one picture recompressed, resized, cropped, brightened or mirrored",
    "near_conflicts": "near duplicates under two labels",
    "near_leaks": "near duplicates in two parts",
    "suspect_labels": "labels that other pictures speak against",
    "outliers": "pictures far from all others",
    "balance": "a class with over ten times the pictures of another",
    "oddities": "headers worth knowing of: turned, very small, long, of an unusual size, or misnamed",
    "left_out": "files that were not looked at: of another kind, hidden, or outside the class folders",
}
BLOCKING = ("unreadable", "classes", "label_conflicts", "leaks", "groups")
"""What `train` refuses."""
RATIO = 10

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found; rows are those of `manifest`, which has only pictures that can be decoded."""

    manifest: Manifest
    oddities: list[tuple[str, ...]]
    unreadable: list[Skipped]
    exact: list[list[int]]
    near: list[Pair]
    doubts: list[Doubt]
    """The suspect ones, the most suspect first."""
    outliers: list[tuple[int, float]]
    classes: list[tuple[str, str]]
    """(class, what is wrong with it)."""
    groups: dict[str, list[str]] = field(default_factory=dict)
    """The parts of each group that has several."""
    kept: frozenset[tuple[str, str]] = frozenset()
    """(path, fault) that a person has looked at and keeps."""

    def reviewed(self, kept: frozenset[tuple[str, str]]) -> "Findings":
        """Without the doubts of labels, the outliers and the groups in several parts that a person keeps."""
        manifest = self.manifest
        paths, groups = manifest.paths, manifest.groups
        held = {groups[row] for row in range(len(manifest)) if (paths[row], "groups") in kept}
        return replace(
            self,
            kept=kept,
            doubts=[one for one in self.doubts if (paths[one.row], "suspect_labels") not in kept],
            outliers=[(row, far) for row, far in self.outliers if (paths[row], "outliers") not in kept],
            groups={group: parts for group, parts in self.groups.items() if group not in held},
        )

    def apart(self) -> list[Pair]:
        """Near copies that are not of one group already."""
        groups = self.manifest.groups
        return [p for p in self.near if not groups[p.first] or groups[p.first] != groups[p.second]]

    def alike(self, *, exact: bool) -> list[tuple[int, ...]]:
        """Rows of each set of exact copies, or of each near pair."""
        return [tuple(rows) for rows in self.exact] if exact else [pair.rows for pair in self.near]

    def conflicts(self, *, exact: bool) -> list[tuple[int, ...]]:
        """Those of them that have several labels, but for near ones that somebody keeps."""
        found = (
            rows
            for rows in self.alike(exact=exact)
            if len({int(self.manifest.labels[row]) for row in rows}) > 1
        )
        return [rows for rows in found if exact or not self.settled(rows, "near_conflicts")]

    def leaks(self, *, exact: bool) -> list[tuple[int, ...]]:
        """Those of them that lie in several parts, but for near ones that somebody keeps."""
        found = (
            rows for rows in self.alike(exact=exact) if len({self.manifest.parts[row] for row in rows}) > 1
        )
        return [rows for rows in found if exact or not self.settled(rows, "near_leaks")]

    def settled(self, rows: tuple[int, ...], fault: str) -> bool:
        """Whether somebody keeps these pictures."""
        return any((self.manifest.paths[row], fault) in self.kept for row in rows)

    def left_out(self) -> list[Skipped]:
        """Files that nobody meant as pictures, or that lie where none is looked for."""
        return [skip for skip in self.manifest.skipped if not skip.bad]

    def counts(self) -> dict[str, int]:
        """How many of each fault, in the order of `FAULTS`."""
        balanced = self.balance()["ratio"] <= RATIO
        return {
            "unreadable": len(self.unreadable),
            "classes": len(self.classes),
            "label_conflicts": len(self.conflicts(exact=True)),
            "leaks": len(self.leaks(exact=True)),
            "groups": len(self.groups),
            "exact_duplicates": len(self.exact),
            "near_duplicates": len(self.apart()),
            "near_conflicts": len(self.conflicts(exact=False)),
            "near_leaks": len(self.leaks(exact=False)),
            "suspect_labels": len(self.doubts),
            "outliers": len(self.outliers),
            "balance": 0 if balanced else 1,
            "oddities": sum(map(bool, self.oddities)),
            "left_out": len(self.left_out()),
        }

    def balance(self) -> dict[str, Any]:
        """The pictures of each class, and how many times the largest has those of the smallest."""
        sizes = np.bincount(self.manifest.labels, minlength=len(self.manifest.classes))
        ratio = float(sizes.max(initial=0) / max(1, min(sizes, default=0)))
        return {"classes": dict(zip(self.manifest.classes, sizes.tolist(), strict=True)), "ratio": ratio}


def examine(
    manifest: Manifest,
    trunk: Trunk,
    engine: EngineChoice,
    workers: int | None,
    *,
    warn: Callable[[str], None],
    progress: Progress,
) -> Findings:
    """Decodes every picture, takes its features (from the cache where they are), and compares."""
    refuse_too_many(len(manifest), memory_of(trunk))
    extraction = extract(
        trunk,
        manifest,
        engine,
        workers or available_cores(),
        warn=warn,
        progress=partial(progress, "frozen net"),
    )
    manifest, features = extraction.manifest, extraction.features
    odd = oddities(manifest, partial(progress, "headers"))
    small = squares(manifest, workers, warn, partial(progress, "decode"))
    exact = [rows for rows in rows_of(manifest.digests).values() if len(rows) > 1]
    near = _near(manifest, features, small)
    return Findings(
        manifest=manifest,
        oddities=odd,
        unreadable=[skip for skip in manifest.skipped if skip.bad],
        exact=exact,
        near=near,
        doubts=suspects(manifest, near, features),
        outliers=outliers(features) if len(manifest) else [],
        classes=_classes(manifest),
        groups=straddling(manifest),
    )


def suspects(manifest: Manifest, near: list[Pair], features: NDArray[np.float32]) -> list[Doubt]:
    """The pictures whose labels the others speak against, the most suspect first; `features` (N, width)."""
    if not 1 < len(manifest.classes) < len(manifest):
        return []
    refuse_infinite(features)
    together = units(manifest, [pair.rows for pair in near])
    if len(np.unique(together)) < 2:
        return []
    every = doubts(features, manifest.labels, len(manifest.classes), together)
    return [doubt for doubt in every if doubt.confidence >= SUSPECT]


def memory_of(trunk: Trunk, views: int = 0) -> int:
    """Bytes of memory that each picture takes: what the trunk keeps of it and of `views` more, the copies of
    that which fitting a head makes, and a small square."""
    return 12 * (1 + views) * sum(place.width for place in trunk.places()) + SIDE * SIDE * 3


def near_copies(
    extraction: Extraction, workers: int | None, warn: Callable[[str], None], progress: Progress
) -> list[Pair]:
    """Pairs of pictures that are nearly the same; decodes each, unless it was looked at before."""
    manifest = extraction.manifest
    small = squares(manifest, workers, warn, partial(progress, "near copies"))
    return _near(manifest, extraction.features, small)


def _near(manifest: Manifest, features: NDArray[np.float32], small: Squares) -> list[Pair]:
    """Among the first of each file's rows; very small pictures are not compared."""
    first = np.asarray([rows[0] for rows in rows_of(manifest.digests).values()], np.int64)
    rows = first[~tiny(manifest)[first]]
    if len(rows) < 2:
        return []
    return [
        Pair(int(rows[p.first]), int(rows[p.second]), p.alike, p.congruent)
        for p in near_duplicates(features[rows], small[rows])
    ]


def _classes(manifest: Manifest) -> list[tuple[str, str]]:
    found = []
    if len(manifest.classes) < 2:
        found.append((", ".join(manifest.classes) or "-", "is the only class; two are needed"))
    parts = [part for part in PARTS if len(manifest.where(part))] if is_divided(manifest) else [""]
    grouped = " (a group counts as one)" * bool(manifest.groups.lengths.any())
    for part in parts:
        least = MIN_UNDIVIDED if part == "" else MIN_TRAIN if part == "train" else 1
        where = f" in the {part} part" if part else grouped
        for name, count in zip(manifest.classes, _different(manifest, part), strict=True):
            if count < least:
                found.append((name, f"has {count or 'no'} different picture{'s' * (count != 1)}{where}"))
    return found


def _different(manifest: Manifest, part: str) -> list[int]:
    """How many pictures of each class the part has, as they count for training: copies of a file as one, and
    before they are divided a group too."""
    if part == "":
        return [len(mine) for mine in stratified(manifest, np.arange(len(manifest)), seed=0)]
    different = {(manifest.labels[row], manifest.digests[row]) for row in manifest.where(part)}
    labels = np.array([label for label, _ in different], np.int64)
    return np.bincount(labels, minlength=len(manifest.classes)).tolist()
