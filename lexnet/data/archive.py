"""A zip or tar file with the tree of a folder inside; members are read one by one, never extracted.

Names that leave the archive, links and devices are left out with their reason, and a member is read
no further than the largest picture that is taken. A compressed tar, which cannot be read in any
order, is unpacked as a whole into one plain tar in the cache.
"""

import hashlib
import shutil
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexnet.config import MAX_BYTES
from lexnet.data.manifest import Manifest
from lexnet.data.tree import Progress, Tree, read_tree
from lexnet.errors import DataError, OutputError, PictureError
from lexnet.files import atomic_file, cache_folder, left_out, natural

MAX_MEMBERS = 5_000_000
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.lower().endswith(ARCHIVES)


def read_archive(
    path: Path, classes: list[str] | None = None, progress: Progress = lambda done, total: None
) -> Manifest:
    """The pictures of an archive; see `read_tree`. Raises `DataError` for one that is damaged.

    Where everything lies in one folder, as archives often have it, that folder is looked into.
    """
    try:
        members: Members = ZipMembers(path) if path.suffix.lower() == ".zip" else TarMembers(_plain_tar(path))
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an archive ({error}); pack it again") from error
    names = sorted(members.reasons, key=natural)
    top = _only_folder([name for name in names if members.reasons[name] is None])
    folders: dict[str, set[str]] = {"": set()}
    for name in (*names, *members.folders):
        pieces = name.removeprefix(top).split("/")
        if not name.startswith(top) or any(map(left_out, pieces[: -1 if name in members.reasons else None])):
            continue
        for depth in range(len(pieces) - (name in members.reasons)):
            folders.setdefault("/".join(pieces[:depth]), set()).add(pieces[depth])
    files = ((name.removeprefix(top), members.reasons[name]) for name in names)
    source = Archive(path, members, top)
    tree = Tree(str(path), source, files, lambda folder: sorted(folders.get(folder, ())))
    return read_tree(tree, classes, progress)


class Members:
    """What an archive holds: the regular members that may be read, and why the others may not."""

    def __init__(self) -> None:
        self.reasons: dict[str, str | None] = {}
        self.folders: set[str] = set()

    def note(self, name: str, regular: bool, folder: bool, size: int) -> None:
        """Files the member under its name; the first of two with one name is the one that is read."""
        plain = name.strip("/").removeprefix("./")
        pieces = plain.split("/")
        if folder and ".." not in pieces:
            self.folders.add(plain)
        elif plain and plain not in self.reasons:
            self.reasons[plain] = _reason(name, pieces, regular, size)
        if len(self.reasons) > MAX_MEMBERS:
            raise ValueError(f"over {MAX_MEMBERS:,} members")

    def read(self, name: str) -> bytes:
        raise NotImplementedError


class ZipMembers(Members):
    """Of a zip file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = zipfile.ZipFile(path)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._file.infolist():
            link = (info.external_attr >> 28) == 0o12
            self.note(info.filename, not link and not info.flag_bits & 1, info.is_dir(), info.file_size)
            self._infos.setdefault(info.filename.strip("/").removeprefix("./"), info)

    def read(self, name: str) -> bytes:
        with self._file.open(self._infos[name]) as stream:
            return stream.read(MAX_BYTES + 1)


class TarMembers(Members):
    """Of a plain tar file: each member is a stretch of it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._stretches: dict[str, tuple[int, int]] = {}
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                self.note(member.name, member.isreg(), member.isdir(), member.size)
                name = member.name.strip("/").removeprefix("./")
                self._stretches.setdefault(name, (member.offset_data, member.size))
        self._file = path.open("rb")
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes:
        start, size = self._stretches[name]
        with self._lock:
            self._file.seek(start)
            return self._file.read(min(size, MAX_BYTES + 1))


@dataclass(frozen=True)
class Archive:
    """The source of an archive's pictures."""

    path: Path
    members: Members = field(repr=False)
    top: str = ""

    def read(self, path: str) -> bytes:
        try:
            content = self.members.read(self.top + path)
        except (OSError, zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, ValueError) as error:
            raise PictureError(self.where(path), f"cannot be read ({error})") from error
        except Exception as error:  # zlib, bz2 and lzma have errors of their own
            raise PictureError(self.where(path), f"is damaged ({error})") from error
        if len(content) > MAX_BYTES:
            raise PictureError(self.where(path), f"has over {MAX_BYTES:,} bytes")
        if not content:
            raise PictureError(self.where(path), "is empty (0 bytes)")
        return content

    def where(self, path: str) -> str:
        return f"{self.path}/{self.top}{path}"


def _reason(name: str, pieces: list[str], regular: bool, size: int) -> str | None:
    if name.startswith(("/", "\\")) or ".." in pieces or (len(name) > 1 and name[1] == ":"):
        return "has a name that leaves the archive"
    for piece in pieces:
        if reason := left_out(piece):
            return reason
    if not regular:
        return "is not a regular file, or is encrypted"
    return f"has {size:,} bytes, over {MAX_BYTES:,}" if size > MAX_BYTES else None


def _only_folder(names: list[str]) -> str:
    """`top/` where all pictures lie in folders of the one folder `top`, else nothing."""
    tops = {name.split("/")[0] for name in names}
    deep = all(name.count("/") >= 2 for name in names)
    return f"{tops.pop()}/" if len(tops) == 1 and deep else ""


def _plain_tar(path: Path) -> Path:
    """The archive itself, or its uncompressed copy in the cache, made once for these very bytes."""
    if path.suffix.lower() == ".tar":
        return path
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    plain = cache_folder("archives", f"{digest}.tar")
    if not plain.is_file():
        with _decompressed(path) as stream, atomic_file(plain) as out:
            while piece := stream.read(2**22):
                if shutil.disk_usage(plain.parent).free < 2**30:
                    raise OutputError(f"{path} unpacks to more than {plain.parent} has room for; unpack it")
                out.write(piece)
    return plain


def _decompressed(path: Path) -> Any:
    import bz2
    import gzip
    import lzma

    name = path.name.lower()
    if name.endswith(("gz", "tgz")):
        return gzip.open(path, "rb")
    return bz2.open(path, "rb") if name.endswith("bz2") else lzma.open(path, "rb")
