"""A zip or tar file with the tree of a folder inside, or a table; pictures are never extracted.

Names that leave the archive, links and devices are left out with their reason. A compressed tar, which cannot
be read in any order, is unpacked as a whole into one plain tar in the cache; a table comes to lie there too.
"""

import hashlib
import posixpath
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lexnet.config import MAX_BYTES
from lexnet.data.layout import find_layout, is_shard
from lexnet.data.manifest import Manifest
from lexnet.data.members import LEAVES, Members, TarMembers, ZipMembers
from lexnet.data.parquet import Rows
from lexnet.data.shards import join_shards
from lexnet.data.table import digested, is_listing, list_table
from lexnet.data.tree import Progress, Tree, read_tree
from lexnet.errors import DataError, LexNetError, OutputError, PictureError
from lexnet.files import (
    atomic_file,
    cache_folder,
    is_sealed,
    left_out,
    natural,
    seal,
    sealed_by,
    sha256,
    write_atomic,
)  # fmt: skip

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.lower().endswith(ARCHIVES)


def read_archive(
    path: Path, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """The pictures of an archive, as of the folder it would unpack to; see `find_layout` and `read_tree`.

    Raises `DataError` for an archive that is damaged.
    """
    try:
        members: Members = ZipMembers(path) if path.suffix.lower() == ".zip" else _tar_members(path)
    except LexNetError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    names = sorted(members.reasons, key=lambda name: natural(name.replace("/", "\0")))  # a/b before a!
    files: dict[str, Path] = {}

    def lists(name: str) -> bool:
        if members.reasons[name] is None and (file := _by_itself(path, members, name)):
            files[name] = file
        return name in files

    top, tables = find_layout(lambda top: _children(members, names, top), lists, classes)
    if tables:
        found = {name: _listed(path, members, files[top + name], top + name, classes) for name in tables}
        if all(map(is_shard, tables)):
            return join_shards(str(path), found, classes, progress)
        return digested(found[tables[0]], progress)
    folders: dict[str, set[str]] = {"": set()}
    for name in (*names, *members.folders):
        pieces = name.removeprefix(top).split("/")
        inner = pieces[:-1] if name in members.reasons else pieces
        outside = members.reasons.get(name) == LEAVES or not name.startswith(top)
        if outside or any(map(left_out, inner)):
            continue
        for depth in range(min(len(inner), 2)):  # parts and classes; a name may go 100,000 folders down
            folders.setdefault("/".join(pieces[:depth]), set()).add(pieces[depth])
    rest = ((name.removeprefix(top), members.reasons[name]) for name in names)
    source = Archive(path, members, top)
    tree = Tree(str(path), source, rest, lambda folder: sorted(folders.get(folder, ())))
    return read_tree(tree, classes, progress)


def _children(members: Members, names: list[str], top: str) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder of the archive."""
    folders, files = set[str](), set[str]()
    for name in (*names, *members.folders):
        if name.startswith(top) and members.reasons.get(name) != LEAVES:
            first, below, _ = name.removeprefix(top).partition("/")
            if not left_out(first):
                (folders if below or name in members.folders else files).add(first)
    return sorted(folders), sorted(files)


@dataclass(frozen=True)
class Archive:
    """The source of an archive's pictures."""

    path: Path
    members: Members = field(repr=False)
    top: str = ""

    def read(self, path: str) -> bytes:
        name = posixpath.normpath(self.top + path)
        if reason := self.members.reasons.get(name, "is not in the archive"):
            raise PictureError(self.where(path), reason)
        try:
            content = self.members.read(name)
        except Exception as error:
            raise PictureError(self.where(path), f"cannot be read ({error})") from error
        if len(content) > MAX_BYTES:
            raise PictureError(self.where(path), f"has over {MAX_BYTES:,} bytes")
        if not content:
            raise PictureError(self.where(path), "is empty (0 bytes)")
        return content

    def where(self, path: str) -> str:
        return f"{self.path}/{self.top}{path}"


def _by_itself(path: Path, members: Members, table: str) -> Path | None:
    """The archive's `table` as a file in the cache, if it is one of pictures."""
    try:
        content = members.read(table)
    except Exception as error:
        raise _damaged(path, error) from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}/{table} has over {MAX_BYTES:,} bytes; unpack it and give the table")
    suffix = PurePosixPath(table).suffix.lower()
    file = cache_folder("archives", f"{hashlib.sha256(content).hexdigest()}{suffix}")
    if not file.is_file() or file.read_bytes() != content:
        write_atomic(file, content)
    if is_listing(file):
        return file
    file.unlink(missing_ok=True)
    return None


def _listed(path: Path, members: Members, file: Path, table: str, classes: list[str] | None) -> Manifest:
    """The rows of the archive's `table`, which lies in `file` by itself; no picture is read."""
    shown, folder = f"{path}/{table}", table.rpartition("/")[0]
    try:
        found = list_table(file, classes, Archive(path, members, f"{folder}/" if folder else ""))
    except DataError as error:
        raise DataError(str(error).replace(str(file), shown)) from error
    source = replace(found.source, name=shown) if isinstance(found.source, Rows) else found.source
    return replace(found, name=shown, source=source)


def _tar_members(path: Path) -> TarMembers:
    """Of a tar, which is unpacked if it is compressed; what cannot be read is not kept unpacked."""
    plain = _plain_tar(path)
    try:
        return TarMembers(plain)
    except Exception:
        if plain != path:
            plain.unlink(missing_ok=True)
            sealed_by(plain).unlink(missing_ok=True)
        raise


def _plain_tar(path: Path) -> Path:
    """The archive itself, or its uncompressed copy in the cache, made once for these very bytes."""
    if path.suffix.lower() == ".tar":
        return path
    plain = cache_folder("archives", f"{sha256(path)}.tar")
    if is_sealed(plain):
        return plain
    with _decompressed(path) as stream, atomic_file(plain) as out:
        while piece := _read(stream, path):
            if shutil.disk_usage(plain.parent).free < 2**30:
                raise OutputError(f"{path} unpacks to more than {plain.parent} has room for; unpack it")
            out.write(piece)
    seal(plain)
    return plain


def _damaged(path: Path, error: Exception) -> DataError:
    """Python's modules for archives raise nearly everything on broken files."""
    reason = str(error) or type(error).__name__
    return DataError(f"{path} cannot be read as an archive ({reason}); pack it again")


def _read(stream: Any, path: Path) -> bytes:
    """The next bytes of what is unpacked; an error here is the archive's, not that of the disk it goes to."""
    try:
        return bytes(stream.read(2**22))
    except Exception as error:
        raise _damaged(path, error) from error


def _decompressed(path: Path) -> Any:
    import bz2
    import gzip
    import lzma

    name = path.name.lower()
    if name.endswith(("gz", "tgz")):
        return gzip.open(path, "rb")
    return bz2.open(path, "rb") if name.endswith("bz2") else lzma.open(path, "rb")
