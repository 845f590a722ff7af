"""What the word DATA on a command line stands for, and reading it, whichever kind it is."""

import os
from pathlib import Path

from lexnet.data.archive import ARCHIVES, is_archive, read_archive
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.data.samples import SAMPLES, sample_path
from lexnet.data.table import TABLES, is_table, read_table
from lexnet.data.tree import Progress
from lexnet.errors import DataError
from lexnet.files import display


def read_data(
    data: str, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """The pictures of a folder, an archive, a table or a sample set; nothing is decoded or written.

    Raises `DataError`.
    """
    path = find_data(data)
    if path.is_dir():
        return read_folder(path, classes, progress)
    return (read_archive if is_archive(path) else read_table)(path, classes, progress)


def find_data(data: str) -> Path:
    """The folder or file that a path or a sample set's name stands for; what is called so here wins."""
    path = Path(data)
    if os.path.exists(path):
        if (shown := display(path.absolute())) != str(path.absolute()):
            raise DataError(f"{shown} is not written in UTF-8; rename it")
        if path.is_dir() or (path.is_file() and (is_archive(path) or is_table(path))):
            return path
        kinds = ", ".join((*TABLES, *ARCHIVES))
        raise DataError(
            f"{data} is a file of another kind; give a folder with one folder for each class, or {kinds}"
        )
    if data in SAMPLES:
        return sample_path(data)
    if "://" in data:
        raise DataError(f"{data} is an address; download it, and give the file")
    raise DataError(f"there is no folder {data}; give one, or a sample set: {', '.join(SAMPLES)}")
