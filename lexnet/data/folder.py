"""A folder of class folders, of train, val and test folders with class folders inside, or of tables."""

import os
from pathlib import Path

from lexnet.data.layout import find_layout, is_shard
from lexnet.data.manifest import Files, Manifest
from lexnet.data.shards import join_shards
from lexnet.data.table import is_listing, list_table, read_table
from lexnet.data.tree import Progress, Tree, read_tree
from lexnet.errors import DataError
from lexnet.files import left_out, walk


def read_folder(
    root: Path, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """Lists, reads and digests every picture below the folder; see `find_layout` and `read_tree`."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give a folder that holds one folder for each class")
    _folders(root)  # raises where it cannot be read; one further down just ends the search
    top, tables = find_layout(
        lambda top: _children(root / top), lambda name: is_listing(root / name), classes
    )
    root = root / top if top else root
    if tables and all(map(is_shard, tables)):
        shards = {name: list_table(root / name, classes) for name in tables}
        return join_shards(str(root), shards, classes, progress)
    if tables:
        return read_table(root / tables[0], classes, progress)
    tree = Tree(str(root), Files(root), walk(root), lambda path: _folders(root / path))
    return read_tree(tree, classes, progress)


def _children(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in it; none where it cannot be read."""
    if not os.access(folder, os.R_OK):
        return [], []
    folders = _folders(folder)
    files = (one.name for one in folder.iterdir() if one.is_file() and not left_out(one.name))
    return folders, sorted(files)


def _folders(root: Path) -> list[str]:
    try:
        names = [entry.name for entry in os.scandir(root) if not left_out(entry.name)]
    except OSError as error:
        raise DataError(f"{root} cannot be read ({error.strerror}); check its permissions") from error
    return sorted(name for name in names if os.path.isdir(root / name))
