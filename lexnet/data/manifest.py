"""Labelled pictures as columns: what every source of pictures becomes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lexnet.errors import DataError, listed

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str
    bad: bool = False
    """Whether it was meant as a picture: `train` then refuses unless told to go on."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """N pictures. Labels index one list of classes, whichever part a picture is in."""

    root: Path
    classes: list[str]
    paths: list[str]
    """(N,) relative to the root, with forward slashes."""
    labels: NDArray[np.int64]
    """(N,) index into `classes`."""
    parts: list[str]
    """(N,) train, val or test; "" where the source does not say."""
    digests: list[str]
    """(N,) sha256 of each file's bytes, in hex."""
    skipped: list[Skipped] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def file(self, index: int) -> Path:
        """Where the picture lies."""
        return self.root / self.paths[index]

    def where(self, part: str) -> NDArray[np.int64]:
        """Indices of the pictures in a part."""
        return np.flatnonzero([p == part for p in self.parts])

    def held_out_part(self) -> str:
        """Where to measure: test before val before all that there is."""
        return next((part for part in ("test", "val", "train") if part in self.parts), "")

    def counts(self, part: str) -> NDArray[np.int64]:
        """(classes,) pictures of each class in a part."""
        return np.bincount(self.labels[self.where(part)], minlength=len(self.classes))

    def take(self, keep: NDArray[np.int64], skipped: list[Skipped]) -> "Manifest":
        """The manifest of these rows; the classes and their order stay."""
        return Manifest(
            root=self.root,
            classes=self.classes,
            paths=[self.paths[i] for i in keep],
            labels=self.labels[keep],
            parts=[self.parts[i] for i in keep],
            digests=[self.digests[i] for i in keep],
            skipped=[*self.skipped, *skipped],
        )

    def with_parts(self, parts: list[str]) -> "Manifest":
        """The same pictures, divided otherwise."""
        return Manifest(**{**self.__dict__, "parts": parts})


def refuse_bad(skipped: list[Skipped], skip_bad: bool) -> None:
    """Raises `DataError` naming the pictures that cannot be used, unless told to go on without them."""
    lines = [f"{skip.path} {skip.reason}" for skip in skipped if skip.bad]
    if lines and not skip_bad:
        raise DataError(
            f"{len(lines)} picture{'s' * (len(lines) > 1)} cannot be used:{listed(lines)}\n"
            "mend or remove them, or go on without them with --skip-bad"
        )
