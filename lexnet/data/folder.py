"""A folder of class folders, or one with train, val and test folders of class folders inside."""

import hashlib
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lexnet.data.manifest import Manifest, Skipped
from lexnet.errors import DataError, PictureError, listed
from lexnet.files import display, left_out, natural, walk
from lexnet.preprocess import SUFFIXES, check, read

PART_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_folder(
    root: Path,
    classes: list[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Lists, reads and digests every picture below the folder; nothing is decoded or written.

    Classes are the folders' names in natural order, or those given: then a folder of another name
    is an error that names it. A file that cannot be a picture lands in `skipped` with its reason.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give a folder that holds one folder for each class")
    divided = is_divided(root)
    level = 1 if divided else 0  # where in a relative path the class stands
    found: list[tuple[Path, str, str]] = []  # file, class, part
    skipped = []
    for path, reason in walk(root):
        inside = path.relative_to(root).parts
        if reason is None and len(inside) <= level + 1:
            reason = "lies outside the class folders"
        if reason is None and path.suffix.lower() not in SUFFIXES:
            reason = f"is no picture by its name ({path.suffix or 'no suffix'})"
        if reason:
            skipped.append(Skipped(display(path.relative_to(root).as_posix()), reason))
        else:
            found.append((path, _label(inside[level]), PART_NAMES[inside[0].lower()] if divided else ""))
    if classes is None:
        classes = _class_names(root, divided)
    index = {name: i for i, name in enumerate(classes)}
    _check_found(found, index, root)
    with ThreadPoolExecutor() as pool:
        digests = []
        for result in pool.map(digest, [path for path, _, _ in found]):
            digests.append(result)
            progress(len(digests), len(found))
    rows = [(*row, sha) for row, sha in zip(found, digests, strict=True) if isinstance(sha, str)]
    for error in digests:
        if isinstance(error, PictureError):
            skipped.append(Skipped(Path(error.path).relative_to(root).as_posix(), error.reason, bad=True))
    return Manifest(
        root=root,
        classes=classes,
        paths=[path.relative_to(root).as_posix() for path, _, _, _ in rows],
        labels=np.asarray([index[label] for _, label, _, _ in rows], np.int64),
        parts=[part for _, _, part, _ in rows],
        digests=[sha for _, _, _, sha in rows],
        skipped=skipped,
    )


def is_divided(root: Path) -> bool:
    """Whether the folder's folders are parts (train, val, test) and not classes.

    Raises `DataError` where some are parts and others are not, for then neither reading can be right.
    """
    names = [folder.name for folder in _folders(root)]
    others = [name for name in names if name.lower() not in PART_NAMES]
    parts = {PART_NAMES[name.lower()] for name in names if name.lower() in PART_NAMES}
    if len(parts) > 1 and others:
        raise DataError(
            f"{root} has folders for {', '.join(sorted(parts))} and others beside them:{listed(others)}\n"
            "move these elsewhere, or put all pictures in class folders"
        )
    return bool(names) and not others


def _class_names(root: Path, divided: bool) -> list[str]:
    """The labels that training may meet: from the train part where there is one."""
    if not divided:
        return sorted({_label(folder.name) for folder in _folders(root)}, key=natural)
    train = [f for f in _folders(root) if PART_NAMES[f.name.lower()] == "train"]
    if not train:
        raise DataError(
            f"{root} holds {', '.join(f.name for f in _folders(root))} but no train folder; add one"
        )
    return sorted({_label(folder.name) for part in train for folder in _folders(part)}, key=natural)


def _folders(root: Path) -> list[Path]:
    try:
        names = [entry.name for entry in os.scandir(root) if not left_out(entry.name)]
    except OSError as error:
        raise DataError(f"{root} cannot be read ({error.strerror}); check its permissions") from error
    return sorted(root / name for name in names if os.path.isdir(root / name))


def _check_found(found: list[tuple[Path, str, str]], index: dict[str, int], root: Path) -> None:
    if not found:
        raise DataError(f"{root} holds no pictures in class folders; give ROOT/CLASS/PICTURE.jpg")
    unknown = sorted({(label, path.parent) for path, label, _ in found if label not in index})
    if unknown:
        label, folder = unknown[0]
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise DataError(
            f"class {label!r} in {folder} is not among the {len(index)} classes that are trained on"
            f"{more}; rename or remove the folder, or add it to the train part"
        )


def _label(name: str) -> str:
    """The class of a folder's name: composed Unicode, since file systems differ in how they spell it."""
    return unicodedata.normalize("NFC", name)


def digest(path: Path) -> str | PictureError:
    """sha256 of the file, after its header was found to be a picture's."""
    try:
        content = read(path)
        check(content, str(path))
    except PictureError as error:
        return error
    return hashlib.sha256(content).hexdigest()
