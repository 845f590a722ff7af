"""A folder of class folders, or one with train, val and test folders of class folders inside.

photos/hat/1.jpg        photos/train/hat/1.jpg        photos/labels.csv        photos/train-0.parquet
"""

import os
from pathlib import Path

from lexnet.data.manifest import Files, Manifest
from lexnet.data.shards import join_shards
from lexnet.data.table import is_listing, is_table, list_table, read_table
from lexnet.data.tree import PART_NAMES, Progress, Tree, read_tree
from lexnet.errors import DataError
from lexnet.files import left_out, walk
from lexnet.preprocess import SUFFIXES


def read_folder(
    root: Path, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """Lists, reads and digests every picture below the folder; see `read_tree`.

    Where the folder holds not class folders but one table, the shards of one, or one folder around
    everything, those are read.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give a folder that holds one folder for each class")
    names, files = _folders(root), []
    if len(names) < 2:
        files = sorted(file for file in root.iterdir() if file.is_file() and not left_out(file.name))
        tables = [file for file in files if is_table(file) and is_listing(file)]
        if tables and all(file.suffix.lower() == ".parquet" for file in tables):
            shards = {table.name: list_table(table, classes) for table in tables}
            return join_shards(str(root), shards, classes, progress)
        if len(tables) == 1:
            return read_table(tables[0], classes, progress)
    if len(names) == 1 and _is_wrapper(names[0], files, classes) and _wraps(root / names[0]):
        return read_folder(root / names[0], classes, progress)
    tree = Tree(str(root), Files(root), walk(root), lambda path: _folders(root / path))
    return read_tree(tree, classes, progress)


def _is_wrapper(name: str, beside: list[Path], classes: list[str] | None) -> bool:
    """Whether the only folder of this name may be none of pictures: it is no part and no class."""
    known = name.lower() in PART_NAMES or name in (classes or ())
    return not known and not any(map(_is_picture, beside))


def _wraps(folder: Path) -> bool:
    """Whether it holds folders or tables, and no pictures."""
    inside = list(folder.iterdir()) if os.access(folder, os.R_OK) else []
    return any(is_table(one) or one.is_dir() for one in inside) and not any(map(_is_picture, inside))


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not left_out(file.name)


def _folders(root: Path) -> list[str]:
    try:
        names = [entry.name for entry in os.scandir(root) if not left_out(entry.name)]
    except OSError as error:
        raise DataError(f"{root} cannot be read ({error.strerror}); check its permissions") from error
    return sorted(name for name in names if os.path.isdir(root / name))
