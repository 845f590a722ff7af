"""Files that are whole or not there, and where the cache lies."""

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lexnet.errors import OutputError

MAX_YAML = 1_000_000  # bytes
HIDDEN, UNPRINTABLE = "is hidden, or the system's own", "has a name that is not printable UTF-8"
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # what follows them is shown elsewhere
SEEN, OUTSIDE = "is a link to a folder that is seen elsewhere", "lies outside the class folders"


def cache_folder(*parts: str) -> Path:
    """A folder under the user's cache: `LEXNET_CACHE`, or where this system keeps such things.

    Raises `OutputError` where neither is known.
    """
    if chosen := os.environ.get("LEXNET_CACHE"):
        return Path(chosen, *parts)
    try:
        if sys.platform == "win32":
            root = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "lexnet/cache"
        elif sys.platform == "darwin":
            root = Path.home() / "Library/Caches/lexnet"
        else:
            root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lexnet"
    except RuntimeError as error:  # a user who is not in the system's list, as in some containers
        raise OutputError(
            "this user has no home folder; name a folder for the cache by LEXNET_CACHE"
        ) from error
    return root.joinpath(*parts)


def free_bytes(folder: Path) -> int:
    """Bytes free where the folder is, or will be. Raises `OutputError` for a drive that is not there."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if there is None:
        raise OutputError(f"there is no {display(folder)}, nor what it lies in; choose another folder")
    return shutil.disk_usage(there).free


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears at `path` when the block ends, whole and on disk, or not at all.

    Raises `OutputError` where the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = temporary.open("xb")
    except OSError as error:
        instead = "set LEXNET_CACHE to another folder" if _is_cached(path) else "choose another folder"
        raise OutputError(f"cannot write {path}: {error.strerror}; {instead}") from error
    try:
        with opened as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {path}: {error.strerror}; nothing was changed") from error
        raise


def _is_cached(path: Path) -> bool:
    try:
        return path.is_relative_to(cache_folder())
    except OutputError:  # there is no cache
        return False


@contextmanager
def alone_in(folder: Path, busy: str) -> Iterator[None]:
    """No other process is in such a block with this folder (where the system can see to it).

    Raises `OutputError` where one is, which says `busy`.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise OutputError(busy) from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(handle)


def write_atomic(path: Path, content: bytes | memoryview | str) -> None:
    """Puts the content at `path`, whole or not at all; text is written as UTF-8."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable; Windows and some network folders do not offer it."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)


def walk(root: Path) -> Iterator[tuple[str, str | None]]:
    """Every file below the folder, in natural order, with the reason to leave it out, if there is one.

    Each by its path from the folder, with forward slashes. Follows links, each real folder once; leaves
    out hidden names, what is not a regular file, and names that cannot be written as UTF-8 with all that
    is below them.
    """
    top = os.fspath(root)
    seen: set[tuple[int, int]] = set()
    ahead: list[tuple[str, str, str | None]] = [("", "", None)]  # path, name, reason; the next one last
    while ahead:
        path, name, reason = ahead.pop()
        reason = left_out(name) or reason
        if reason not in (None, UNPRINTABLE):
            yield path, reason
            continue
        place = os.path.join(top, path)
        try:
            status = os.stat(place)
            if not stat.S_ISDIR(status.st_mode):
                yield path, reason if stat.S_ISREG(status.st_mode) else "is not a regular file"
                continue
            if ((status.st_dev, status.st_ino) in seen and status.st_ino) or _leads_back(place, top):
                yield path, SEEN
                continue
            seen.add((status.st_dev, status.st_ino))
            names = sorted((entry.name for entry in os.scandir(place)), key=natural, reverse=True)
        except OSError as error:
            nowhere = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and os.path.islink(place)
            yield path, "is a link to nothing" if nowhere else f"cannot be read ({error.strerror})"
            continue
        ahead += [(f"{path}/{name}" if path else name, name, reason) for name in names]


def _leads_back(place: str, top: str) -> bool:
    """Whether the folder is a link to one below the top, which is walked in its own place."""
    if not os.path.islink(place):
        return False
    try:
        inside = os.path.relpath(os.path.realpath(place), os.path.realpath(top)).split(os.sep)
    except ValueError:  # on another drive of Windows
        return False
    return inside[0] not in (os.pardir, os.curdir) and not any(map(left_out, inside))


def left_out(name: str) -> str | None:
    """Why a file or folder of this name is not looked at, if it is not."""
    if name.startswith(".") or name in ("__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini", "lost+found"):
        return HIDDEN
    return None if is_printable(name) else UNPRINTABLE


def is_loss(reason: str, picture: bool) -> bool:
    """Whether pictures are lost with what is left out for this reason; `picture`: by its name it is one."""
    return reason.startswith("cannot be read") or (picture and reason not in (HIDDEN, SEEN, OUTSIDE))


def is_printable(name: str) -> bool:
    """Whether it holds no control characters, none that turn text around, and no bytes that are not UTF-8."""
    return name.isprintable() or not any(
        unicodedata.category(letter) in ("Cc", "Cs") or letter in TURNING for letter in name
    )


def display(path: os.PathLike[str] | str) -> str:
    """The path as it can be printed and written: bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def listed_as(path: os.PathLike[str] | str) -> str:
    """`display` with what steers a terminal or turns text around escaped too, as JSON escapes it: in a list
    that people read and edit."""
    return "".join(one if is_printable(one) else f"\\u{ord(one):04x}" for one in display(path))


def natural(name: str) -> str:
    """A sort key that puts 2 before 10."""
    return re.sub("[0-9]+", lambda digits: _number(digits[0]), name)


def _number(digits: str) -> str:
    """Sorts as the number does, before all letters; of equal ones by the zeros in front."""
    value = digits.lstrip("0")
    return f"\1{chr(len(value))}{value}{digits}"


def sha256(path: Path) -> str:
    """Of the file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal(path: Path) -> None:
    """Writes the file's sha256 beside it, for `is_sealed` to tell whether it has changed since."""
    write_atomic(sealed_by(path), sha256(path))


def is_sealed(path: Path) -> bool:
    """Whether the file is there and has the sha256 that lies beside it."""
    mark = sealed_by(path)
    return path.is_file() and mark.is_file() and sha256(path).encode() == mark.read_bytes()


def sealed_by(path: Path) -> Path:
    """Where the sha256 of a file that is not called after it lies."""
    return path.with_suffix(".sha256")


def check_file(path: Path) -> None:
    """Raises `OSError` for nothing, a pipe, which would keep us waiting, or a device, which may never end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_yaml(path: Path) -> Any:
    """What a YAML file says in plain values; raises `OSError`, and `ValueError` for anything else.

    Aliases are refused: ten lines of them can stand for gigabytes. So is a name that is given twice.
    """
    import yaml

    class Plain(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("it has an alias, which is not read")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = Counter(str(name.value) for name, _ in node.value)
            if twice := [name for name, count in names.items() if count > 1]:
                raise ValueError(f"it gives {twice[0]} twice")
            return super().construct_mapping(node, deep)

    check_file(path)
    if path.stat().st_size > MAX_YAML:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, over {MAX_YAML:,}")
    with path.open(encoding="utf-8") as file:
        text = file.read(MAX_YAML + 1)  # it grows, or is of those that say 0
    if len(text) > MAX_YAML:
        raise ValueError(f"it has over {MAX_YAML:,} bytes")
    try:
        return yaml.load(text, Plain)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
