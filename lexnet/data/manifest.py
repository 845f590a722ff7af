"""Labelled pictures as columns: what every source of pictures becomes."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lexnet.data.columns import Strings
from lexnet.errors import DataError, PictureError, listed
from lexnet.preprocess import read

PARTS = ("train", "val", "test")
LEAST_WEIGHT, MOST_WEIGHT = 1e-15, 1e15
"""Of a picture: sums and squares of so many stay within float32."""
COLUMNS = ("paths", "parts", "digests", "groups", "modes")
ARRAYS = ("labels", "weights", "sizes")


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str
    bad: bool = False
    """Whether it was meant as a picture: `train` then refuses unless told to go on."""


class Source(Protocol):
    """Where the pictures' bytes come from; used by many threads at once."""

    def read(self, path: str) -> bytes:
        """The encoded picture; raises `PictureError`."""

    def where(self, path: str) -> str:
        """The picture's place as a person would look for it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a picture's bytes and its header tell, before it is decoded."""

    digest: str
    """sha256 of the bytes, in hex."""
    width: int
    height: int
    mode: str
    """How it is stored, in Pillow's words: RGB, L, CMYK, ..."""


@dataclass(frozen=True)
class Files:
    """Pictures that are files below a folder."""

    root: Path

    def read(self, path: str) -> bytes:
        return read(self.where(path))

    def where(self, path: str) -> str:
        return os.path.join(self.root, path)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """N pictures. Labels index one list of classes, whichever part a picture is in."""

    name: str
    """What the pictures were read from, for messages."""
    source: Source
    classes: list[str]
    paths: Strings
    """(N,) as the source knows them, with forward slashes."""
    labels: NDArray[np.int64]
    """(N,) index into `classes`."""
    parts: Strings
    """(N,) train, val or test; "" where the source does not say."""
    digests: Strings
    """(N,) sha256 of each picture's bytes, in hex."""
    groups: Strings = field(default_factory=lambda: Strings.of(()))
    """(N,) pictures of one group stay in one part; "" for none. Empty where the source has no groups."""
    weights: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    """(N,) how much each counts in training; all the same where the source does not say."""
    sizes: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 2), np.int32))
    """(N, 2) width and height as stored, pixels; 0 where the pictures were not read."""
    modes: Strings = field(default_factory=lambda: Strings.of(()))
    """(N,) Pillow's modes, such as RGB, L or CMYK; "" where the pictures were not read."""
    skipped: list[Skipped] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("groups", "modes"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, Strings.empty(len(self.labels)))
        if not len(self.sizes):
            object.__setattr__(self, "sizes", np.zeros((len(self.labels), 2), np.int32))
        if not len(self.weights):
            object.__setattr__(self, "weights", np.ones(len(self.labels), np.float32))
        assert len(self.weights) == len(self.sizes) == len(self.labels)
        for name in COLUMNS:
            values = Strings.of(getattr(self, name))
            assert len(values) == len(self.labels), name
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, row: int) -> bytes:
        """The picture's bytes; raises `PictureError`."""
        return self.source.read(self.paths[row])

    def where(self, part: str) -> NDArray[np.int64]:
        """Indices of the pictures in a part."""
        codes, names = self._part_codes
        return np.flatnonzero(codes == names.index(part)) if part in names else np.empty(0, np.int64)

    @cached_property
    def _part_codes(self) -> tuple[NDArray[np.int64], list[str]]:
        return self.parts.codes()

    def held_out_part(self) -> str:
        """Where to measure: test before val before all that there is."""
        return next((part for part in ("test", "val", "train") if len(self.where(part))), "")

    def held_out(self) -> NDArray[np.int64]:
        """Rows to measure on."""
        return self.where(self.held_out_part())

    def counts(self, part: str) -> NDArray[np.int64]:
        """(classes,) pictures of each class in a part."""
        return np.bincount(self.labels[self.where(part)], minlength=len(self.classes))

    def take(self, keep: NDArray[np.int64], skipped: Sequence[Skipped] = ()) -> "Manifest":
        """The manifest of these rows, and what else was left out; the classes and their order stay."""
        columns = {name: getattr(self, name).take(keep) for name in COLUMNS}
        arrays = {name: getattr(self, name)[keep] for name in ARRAYS}
        return replace(self, **columns, **arrays, skipped=[*self.skipped, *skipped])

    def with_parts(self, parts: Iterable[str]) -> "Manifest":
        """The same pictures, divided otherwise."""
        return replace(self, parts=Strings.of(parts))

    def with_groups(self, groups: Iterable[str]) -> "Manifest":
        """The same pictures, grouped otherwise."""
        return replace(self, groups=Strings.of(groups))

    def under(self, classes: list[str]) -> "Manifest":
        """The same pictures, their labels by their places in these classes, which have all that occur."""
        place = {name: i for i, name in enumerate(classes)}
        labels = np.asarray([place.get(name, -1) for name in self.classes], np.int64)[self.labels]
        assert (labels >= 0).all()
        return replace(self, classes=classes, labels=labels)

    def balanced(self) -> "Manifest":
        """With weights by which each class counts alike in the train part, however many pictures it has."""
        train = self.where("train")
        sums = np.bincount(self.labels[train], self.weights[train], minlength=len(self.classes))
        factors = sums.sum() / (np.count_nonzero(sums) * np.maximum(sums, 1e-12))
        return replace(self, weights=(self.weights * factors[self.labels]).astype(np.float32))

    def with_known(self, found: Sequence[Known | PictureError]) -> "Manifest":
        """With what reading each picture has told; one that cannot be used, or that has another sha256 than
        its source gave, is skipped."""
        known, bad = dict[int, Known](), list[Skipped]()
        for row, (path, one, given) in enumerate(zip(self.paths, found, self.digests, strict=True)):
            if isinstance(one, PictureError):
                bad.append(Skipped(path, one.reason, bad=True))
            elif given not in ("", one.digest):
                bad.append(Skipped(path, "has another sha256 than the table says", bad=True))
            else:
                known[row] = one
        return replace(
            self.take(np.asarray([*known], np.int64), bad) if bad else self,
            digests=Strings.of(one.digest for one in known.values()),
            sizes=np.asarray([(one.width, one.height) for one in known.values()], np.int32).reshape(-1, 2),
            modes=Strings.of(one.mode for one in known.values()),
        )


def refuse_bad(skipped: list[Skipped], skip_bad: bool) -> None:
    """Raises `DataError` naming the pictures that cannot be used, unless told to go on without them."""
    lines = [f"{skip.path} {skip.reason}" for skip in skipped if skip.bad]
    if lines and not skip_bad:
        raise DataError(
            f"{len(lines)} picture{'s' * (len(lines) > 1)} cannot be used:{listed(lines)}\n"
            "mend or remove them (`lexnet check` lists all faults, for --fixes), or go on without them with "
            "--skip-bad"
        )
