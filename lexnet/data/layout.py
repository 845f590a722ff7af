"""Where the pictures of a folder or an archive begin: in class folders, in tables, or a folder further down.

photos/hat/1.jpg    photos/train/hat/1.jpg    photos/labels.csv    photos/train-0.parquet    photos/inner/...
"""

from collections.abc import Callable, Collection
from functools import cache
from pathlib import PurePosixPath

from lexnet.data.table import is_table
from lexnet.data.tree import PART_NAMES, is_picture

DEEPEST = 16  # folders with nothing but one folder in them


def find_layout(
    children: Callable[[str], tuple[list[str], list[str]]],
    is_listing: Callable[[str], bool],
    classes: Collection[str] | None,
) -> tuple[str, list[str]]:
    """(the folder, as "" or "inner/deeper/", the names of the tables in it that list the pictures).

    There is no such table where class folders count: with several folders they do. `children` gives the
    names of the folders and of the files in a folder, `is_listing` whether a table has the columns it needs.
    """
    is_listing, top = cache(is_listing), ""
    for _ in range(DEEPEST):
        folders, files = children(top)
        tables = [name for name in files if is_table(PurePosixPath(name))] if len(folders) < 2 else []
        tables = [name for name in tables if is_listing(top + name)]
        if len(tables) == 1 or (tables and all(map(is_shard, tables))):
            return top, tables
        if len(folders) != 1 or any(map(is_picture, files)):
            break
        (inner,) = folders
        inside, beside = children(f"{top}{inner}/")
        leads_on = inside or any(is_table(PurePosixPath(name)) for name in beside)
        known = inner.lower() in PART_NAMES or inner in (classes or ())
        listed = any(is_table(PurePosixPath(name)) and is_listing(f"{top}{inner}/{name}") for name in beside)
        if not listed and (known or not leads_on or any(map(is_picture, beside))):
            break
        top = f"{top}{inner}/"
    return top, []


def is_shard(table: str) -> bool:
    """Whether it may be one of several files of one set."""
    return table.lower().endswith(".parquet")
