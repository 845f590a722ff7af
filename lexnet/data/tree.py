"""From a tree of names to labelled pictures: class folders, or parts with class folders inside.

The tree may be a folder or what an archive holds; only its names matter here, and `Source` reads it.
"""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from lexnet.data.columns import Strings
from lexnet.data.manifest import Known, Manifest, Skipped, Source
from lexnet.data.threads import quickly
from lexnet.errors import DataError, PictureError, did_you_mean, listed, shown_plain
from lexnet.files import OUTSIDE, is_loss, listed_as, natural
from lexnet.preprocess import SUFFIXES, read_header

PART_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "validate": "val", "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
Progress = Callable[[int, int], None]
MAX_MEMBERS = 5_000_000  # files of an archive, rows of a table
SHOWN = 12  # classes that a message names


def is_picture(path: str) -> bool:
    """By its name."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


@dataclass(frozen=True)
class Tree:
    """What a source holds."""

    name: str
    source: Source
    files: Iterable[tuple[str, str | None]]
    """(path with forward slashes, the reason to leave it out if there is one), in natural order."""
    folders: Callable[[str], list[str]]
    """The names of the folders directly below a path ("" for the top), but for hidden ones."""


def read_tree(tree: Tree, classes: list[str] | None, progress: Progress) -> Manifest:
    """Reads and digests every picture of the tree; nothing is decoded or written.

    Classes are the folders' names in natural order, or those given: then a folder of another name
    is an error that names it. A file that cannot be a picture lands in `skipped` with its reason; where
    pictures are lost with it, it is bad.
    """
    divided = is_divided(tree)
    level = 1 if divided else 0  # where in a path the class stands
    rows: list[tuple[str, str, str]] = []  # path, class, part
    skipped = []
    for path, reason in tree.files:
        inside = path.split("/")
        if reason is None and len(inside) <= level + 1:
            reason = OUTSIDE
        picture = is_picture(path)
        if reason is None and not picture:
            reason = f"is no picture by its name ({os.path.splitext(path)[1] or 'no suffix'})"
        if reason:
            skipped.append(Skipped(listed_as(path), reason, bad=is_loss(reason, picture)))
        else:
            rows.append((path, _label(inside[level]), PART_NAMES[inside[0].lower()] if divided else ""))
    if classes is None:
        classes = _class_names(tree, divided)
    index = {name: i for i, name in enumerate(classes)}
    if not rows:
        lost = listed([f"{skip.path} {skip.reason}" for skip in skipped if skip.bad], most=5)
        outside = sum(skip.reason == OUTSIDE and is_picture(skip.path) for skip in skipped)
        more = f" ({outside:,} outside them)" * bool(outside)
        raise DataError(
            f"{tree.name} holds no pictures in class folders{more}; give ROOT/CLASS/PICTURE.jpg, or a CSV "
            f"file with the columns path and label{lost}"
        )
    unknown = ((label, path.rpartition("/")[0]) for path, label, _ in rows if label not in index)
    refuse_unknown(((label, tree.source.where(folder)) for label, folder in unknown), classes)
    paths, labels, parts = zip(*rows, strict=True)
    manifest = Manifest(
        name=tree.name,
        source=tree.source,
        classes=classes,
        paths=Strings.of(paths),
        labels=np.asarray([index[label] for label in labels], np.int64),
        parts=Strings.of(parts),
        digests=Strings.empty(len(rows)),
        skipped=skipped,
    )
    return manifest.with_known(know_all(tree.source, paths, progress))


def is_divided(tree: Tree) -> bool:
    """Whether the tree's folders are parts (train, val, test) and not classes.

    Raises `DataError` where some are parts and others are not, for then neither reading can be right.
    """
    names = tree.folders("")
    others = [name for name in names if name.lower() not in PART_NAMES]
    parts = sorted({PART_NAMES[name.lower()] for name in names if name.lower() in PART_NAMES})
    if others and (len(parts) > 1 or (parts and _holds_classes(tree, names, others))):
        raise DataError(
            f"{tree.name} has folders for {', '.join(parts)} and others beside them:{listed(others)}"
            "\ncall them train, val or test, move them elsewhere, or put all pictures in class folders"
        )
    if others and all(len(_parts_in(tree, other)) > 1 for other in others):
        part = min(_parts_in(tree, others[0]))
        raise DataError(
            f"{tree.name} has train, val or test inside its classes, such as {others[0]}/{part}; put them "
            f"around the classes ({part}/{others[0]}), or list the pictures in a CSV file: path, label, split"
        )
    return bool(names) and not others


def _parts_in(tree: Tree, folder: str) -> set[str]:
    """The folders in it that are called like parts; none where it cannot be read, which is told elsewhere."""
    with suppress(DataError):
        return {name for name in tree.folders(folder) if name.lower() in PART_NAMES}
    return set()


def _holds_classes(tree: Tree, names: list[str], others: list[str]) -> bool:
    """Whether the one folder that is called like a part is no class: it holds several folders, of which
    another beside it has one too, or none has any."""
    inside = {folder for name in names if name not in others for folder in tree.folders(name)}
    beside = [set(tree.folders(name)) for name in others]
    return len(inside) > 1 and (not any(beside) or any(inside & folders for folders in beside))


def know_all(source: Source, paths: Sequence[str], progress: Progress) -> list[Known | PictureError]:
    """What each picture is, or why it cannot be used, as far as its header tells."""

    def know(path: str) -> Known | PictureError:
        try:
            content = source.read(path)
            width, height, mode = read_header(content, source.where(path))
        except PictureError as error:  # whose frames would keep the picture's bytes
            return PictureError(error.path, error.reason)
        return Known(hashlib.sha256(content).hexdigest(), width, height, mode)

    return quickly(paths, know, progress)


def _class_names(tree: Tree, divided: bool) -> list[str]:
    """The labels that training may meet: from the train part where there is one."""
    if not divided:
        return sorted({_label(name) for name in tree.folders("")}, key=natural)
    train = [name for name in tree.folders("") if PART_NAMES[name.lower()] == "train"]
    if not train:
        raise DataError(f"{tree.name} holds {', '.join(tree.folders(''))} but no train folder; add one")
    return sorted({_label(name) for part in train for name in tree.folders(part)}, key=natural)


def refuse_unknown(found: Iterable[tuple[str, str]], classes: list[str]) -> None:
    """Raises `DataError` for labels, each with its place, that are none of the classes trained on."""
    known = set(classes)
    unknown = sorted({label: place for label, place in found if label not in known}.items())
    if unknown:
        (label, place), *others = unknown
        folded = {name.casefold(): name for name in classes}
        near = [folded[one] for one in get_close_matches(label.casefold(), folded, n=1)]
        names = ", ".join(classes[:SHOWN]) + ", ..." * (len(classes) > SHOWN)
        more = f" (nor {shown_plain(name for name, _ in others)})" if others else ""
        raise DataError(
            f"class {label!r} in {place} is not among the {len(classes)} classes that are known{more}: "
            f"{names}{did_you_mean(near)}; rename it or leave it out; to learn it, add it to the train part"
        )


def _label(name: str) -> str:
    """The class of a folder's name: composed Unicode, since file systems differ in how they spell it."""
    return unicodedata.normalize("NFC", name)
