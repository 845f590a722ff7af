"""A folder of class folders, or one with train, val and test folders of class folders inside."""

import os
from pathlib import Path

from lexnet.data.manifest import Files, Manifest
from lexnet.data.tree import Progress, Tree, read_tree
from lexnet.errors import DataError
from lexnet.files import left_out, walk


def read_folder(
    root: Path, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """Lists, reads and digests every picture below the folder; see `read_tree`."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give a folder that holds one folder for each class")
    tree = Tree(str(root), Files(root), walk(root), lambda path: _folders(root / path))
    return read_tree(tree, classes, progress)


def _folders(root: Path) -> list[str]:
    try:
        names = [entry.name for entry in os.scandir(root) if not left_out(entry.name)]
    except OSError as error:
        raise DataError(f"{root} cannot be read ({error.strerror}); check its permissions") from error
    return sorted(name for name in names if os.path.isdir(root / name))
