"""Parquet files of one folder, or in one archive, that are one set, as the Hugging Face hub writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lexnet.data.columns import Strings
from lexnet.data.manifest import Manifest, Source
from lexnet.data.table import digested
from lexnet.data.tree import PART_NAMES, Progress
from lexnet.errors import DataError
from lexnet.files import natural


@dataclass(frozen=True)
class Shards:
    """The source of their pictures, each of which is called after its file and its row."""

    files: dict[str, Source]

    def read(self, path: str) -> bytes:
        name, _, inside = path.partition("/")
        return self.files[name].read(inside)

    def where(self, path: str) -> str:
        name, _, inside = path.partition("/")
        return self.files[name].where(inside)


def join_shards(
    where: str, shards: Mapping[str, Manifest], classes: list[str] | None, progress: Progress
) -> Manifest:
    """The pictures of all files, by their names, in the parts that these begin with, if they all do.

    Each picture is read and digested. Raises `DataError` where only some names begin with a part.
    """
    files, found = [*shards], [*shards.values()]
    names = classes or sorted({name for one in found for name in one.classes}, key=natural)
    index = {name: i for i, name in enumerate(names)}
    begun = [PART_NAMES.get(file.split("-")[0].split(".")[0].lower()) for file in files]
    if any(begun) and not all(begun):
        odd = files[begun.index(None)]
        raise DataError(f"{where} has files for train, val or test, and beside them {odd}; move it elsewhere")
    parts = [
        one.parts if part is None else Strings.of([part] * len(one))
        for part, one in zip(begun, found, strict=True)
    ]
    undivided = [file for file, part in zip(files, parts, strict=True) if not part.lengths.all()]
    if undivided and any(part.lengths.any() for part in parts):
        raise DataError(f"{where} gives a split for some files, but not for {undivided[0]}; give all or none")
    return digested(
        Manifest(
            name=where,
            source=Shards({file: one.source for file, one in shards.items()}),
            classes=names,
            paths=Strings.of(f"{file}/{path}" for file, one in shards.items() for path in one.paths),
            labels=np.concatenate([np.asarray([index[c] for c in one.classes])[one.labels] for one in found]),
            parts=Strings.join(parts),
            digests=Strings.join(one.digests for one in found),
            groups=Strings.join(one.groups for one in found),
            weights=np.concatenate([one.weights for one in found]),
            skipped=[
                replace(skip, path=f"{file}/{skip.path}")
                for file, one in shards.items()
                for skip in one.skipped
            ],
        ),
        progress,
    )
