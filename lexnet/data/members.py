"""What a zip or tar file holds, member by member: which may be read, and why the others may not.

A member is read no further than the largest picture that is taken; names and headers are held to limits.
"""

import re
import tarfile
import zipfile
from pathlib import Path
from typing import Self

from lexnet.config import MAX_BYTES
from lexnet.data.tree import MAX_MEMBERS
from lexnet.files import left_out

LONGEST, ALL_NAMES = 2**13, 2**30  # letters of a name, and of all together
MAX_HEADER = 2**20  # bytes that a tar may say of a member beside its content: its name, its owner's notes
EXTENDED = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
"""Kinds of tar header that are read whole."""
LEAVES = "has a name that leaves the archive"


class Members:
    """What an archive holds: the regular members that may be read, and why the others may not."""

    def __init__(self) -> None:
        self.reasons: dict[str, str | None] = {}
        self.folders: set[str] = set()
        self._letters = 0

    def note(self, name: str, regular: bool, folder: bool) -> str | None:
        """Files the member; returns its name if it is to be read. Of two with one name the last counts, as
        when they are unpacked."""
        if len(name) > LONGEST:
            raise ValueError(f"a name of {len(name):,} letters, over {LONGEST:,}")
        plain, reason = _plain(name), _reason(name, regular)
        key = name if reason == LEAVES else plain
        if folder and plain and reason != LEAVES:
            self.folders.add(plain)
        elif not folder and key:
            self.reasons[key] = reason
        if len(self.reasons) + len(self.folders) > MAX_MEMBERS:
            raise ValueError(f"over {MAX_MEMBERS:,} members")
        self._letters += len(name)
        if self._letters > ALL_NAMES:
            raise ValueError(f"names of over {ALL_NAMES:,} letters")
        return None if folder or reason else plain

    def read(self, name: str) -> bytes:
        """At most one byte more than the largest picture that is taken; each kind of archive has its way."""
        raise NotImplementedError


class ZipMembers(Members):
    """Of a zip file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = zipfile.ZipFile(path)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        names = [_name(info) for info in self._file.infolist()]
        if not any("/" in name for name in names):  # PowerShell 5 writes Windows' own separator
            names = [name.replace("\\", "/") for name in names]
        for info, written in zip(self._file.infolist(), names, strict=True):
            link = (info.external_attr >> 28) == 0o12
            if (name := self.note(written, not link, written.endswith("/"))) is not None:
                self._infos[name] = info

    def read(self, name: str) -> bytes:
        info = self._infos[name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("packed by a method whose size cannot be limited")
        with self._file.open(info) as stream:
            return stream.read(min(info.file_size, MAX_BYTES) + 1)


class _Header(tarfile.TarInfo):
    """Refuses long names, and other things said of a member, before they are read."""

    def _proc_member(self, archive: tarfile.TarFile) -> Self:
        """What tarfile calls with each header, before it reads what the header announces.

        Counts the headers since the member before, and what earlier ones say of all members.
        """
        if self.type in EXTENDED:
            of_all = sum(map(len, (*archive.pax_headers, *archive.pax_headers.values())))
            if (said := self.offset - archive.offset + self.size + of_all) > MAX_HEADER:
                raise ValueError(f"{said:,} bytes are said of a member, over {MAX_HEADER:,}")
        return super()._proc_member(archive)  # type: ignore[misc]  # the stubs leave it out


class TarMembers(Members):
    """Of a plain tar file: each member is a stretch of it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._stretches: dict[str, tuple[int, int]] = {}
        with tarfile.open(path, "r:", tarinfo=_Header) as archive:
            for member in archive:
                archive.members.clear()  # type: ignore[attr-defined]  # they keep all that is said of them
                regular = member.isreg() and not member.issparse()
                if (name := self.note(member.name, regular, member.isdir())) is not None:
                    self._stretches[name] = (member.offset_data, member.size)
                if archive.offset <= member.offset:  # Python's tarfile would go round for ever
                    raise tarfile.ReadError("a member of it ends before it begins")
            end = archive.offset
        with path.open("rb") as file:  # a broken header would end the list like the end mark does
            file.seek(end)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("it is cut short or damaged")

    def read(self, name: str) -> bytes:
        start, size = self._stretches[name]
        with self._path.open("rb") as file:
            file.seek(start)
            content = file.read(min(size, MAX_BYTES + 1))
        if len(content) < min(size, MAX_BYTES + 1):
            raise EOFError("the archive ends before it does")
        return content


def _name(info: zipfile.ZipInfo) -> str:
    """In UTF-8 too where macOS, Java or PHP wrote it without the flag that says so."""
    if not info.flag_bits & 0x800:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename


def _plain(name: str) -> str:
    return "/".join(piece for piece in name.split("/") if piece not in ("", "."))


def _reason(name: str, regular: bool) -> str | None:
    pieces = _plain(name).split("/")
    if name.startswith(("/", "\\")) or ".." in pieces or re.match("[A-Za-z]:(?! )", name):
        return LEAVES
    for piece in pieces:
        if reason := left_out(piece):
            return reason
    return None if regular else "is not a regular file"
