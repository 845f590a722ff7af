"""Files that are whole or not there; folders listed whatever lies in them."""

import errno
import os
import stat
from pathlib import Path

import pytest

from lexnet import files
from lexnet.errors import OutputError
from lexnet.files import (
    HIDDEN,
    MAX_YAML,
    alone_in,
    atomic_file,
    cache_folder,
    display,
    left_out,
    natural,
    read_yaml,
    walk,
    write_atomic,
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file with content that a failed write must leave alone."""
    path = tmp_path / "out/model.lexnet"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


def only_the_old(path: Path) -> bool:
    return path.read_bytes() == b"old" and os.listdir(path.parent) == [path.name]


# --- atomic_file


def test_content_appears_when_the_block_ends_and_not_before(old: Path) -> None:
    with atomic_file(old) as file:
        file.write(b"new")
        file.flush()
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert os.listdir(old.parent) == [old.name]


def test_folders_on_the_way_are_made_and_text_is_utf_8(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a/b/c.txt", "Größe\n")
    assert (tmp_path / "a/b/c.txt").read_bytes() == "Größe\n".encode()


@pytest.mark.parametrize("fault", [ValueError("our bug"), KeyboardInterrupt(), SystemExit(3)])
def test_after_an_exception_the_old_file_is_there_and_no_other(old: Path, fault: BaseException) -> None:
    with pytest.raises(type(fault)), atomic_file(old) as file:
        file.write(b"half")
        raise fault
    assert only_the_old(old)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_says_so(
    old: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OutputError, match=r"model\.lexnet: No space left on device; nothing was changed"):
        write_atomic(old, b"new")
    monkeypatch.undo()
    assert only_the_old(old)


def test_a_disk_that_fills_while_the_block_writes_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), atomic_file(old) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert only_the_old(old)


def test_the_order_is_write_sync_rename_sync_folder(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_rename(source: str, target: Path) -> None:
        steps.append("rename")
        assert Path(source).read_bytes() == b"new", "the temporary file is whole before it gets its name"
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    write_atomic(old, b"new")
    assert steps == ["file", "rename", "folder"]


def test_a_folder_that_cannot_be_written_is_named(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(OutputError, match=r"cannot write .*: Permission denied; choose another folder"):
        write_atomic(old, b"new")
    monkeypatch.undo()
    assert only_the_old(old)


def test_a_file_in_place_of_the_folder_is_an_output_error(old: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*plan\.yaml: .*; choose another folder"):
        write_atomic(old / "plan.yaml", "x")
    assert only_the_old(old)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_others_may_read_the_file_as_the_umask_says(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "shared", b"")
        assert os.umask(mask) == mask, "the umask is left as it was"
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o666 & ~mask


# --- walk


def listed(root: Path) -> dict[str, str | None]:
    return {display(path): reason for path, reason in walk(root)}


def test_files_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/10.png", "a/2.png", "a/1.png", "a/deep/er/3.png", "c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [path for path, _ in walk(tmp_path)]
    assert names == ["a/1.png", "a/2.png", "a/10.png", "a/deep/er/3.png", "b/1.png", "c.png"]


def test_hidden_files_and_folders_are_listed_once_with_their_reason(tmp_path: Path) -> None:
    for name in (".git/config", "__MACOSX/a.png", "a/.DS_Store", "a/Thumbs.db", "a/desktop.ini", "a/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    hidden = (".git", "__MACOSX", "a/.DS_Store", "a/Thumbs.db", "a/desktop.ini")
    assert listed(tmp_path) == {"a/1.png": None, **dict.fromkeys(hidden, HIDDEN)}


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").touch()
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/self").symlink_to(".")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c.png").symlink_to("a/1.png")
    again = "is a link to a folder that is seen elsewhere"
    assert listed(tmp_path) == {"a/1.png": None, "a/up": again, "a/self": again, "b": again, "c.png": None}


def test_a_link_inside_the_folder_takes_nothing_from_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    """Else the alphabet would say which label the pictures have."""
    (tmp_path / "hat/2024").mkdir(parents=True)
    (tmp_path / "hat/2024/1.png").touch()
    (tmp_path / "dress").mkdir()
    (tmp_path / "dress/borrowed").symlink_to("../hat/2024")
    again = "is a link to a folder that is seen elsewhere"
    assert listed(tmp_path) == {"dress/borrowed": again, "hat/2024/1.png": None}


def test_links_to_nothing_and_to_themselves_are_listed(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "ring").symlink_to("ring")
    assert listed(tmp_path) == dict.fromkeys(["gone.png", "ring"], "is a link to nothing")


def test_pipes_and_devices_are_listed_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for ever
    (tmp_path / "null.png").symlink_to("/dev/null")
    assert listed(tmp_path) == dict.fromkeys(["null.png", "pipe.png"], "is not a regular file")


@pytest.mark.parametrize(
    "name", [b"caf\xe9.png", b"a\nb.png", b"\x1b[31m.png", b"del\x7f", "gnp\u202e.exe".encode()]
)
def test_names_that_cannot_be_printed_are_listed(tmp_path: Path, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).touch()
    assert list(listed(tmp_path).values()) == ["has a name that is not printable UTF-8"]


def test_all_that_is_below_a_folder_whose_name_is_not_utf_8_is_listed(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    (odd / "deeper").mkdir(parents=True)
    for name in ("1.png", ".hidden.png", "deeper/2.png"):
        (odd / name).touch()
    reason = "has a name that is not printable UTF-8"
    assert listed(tmp_path) == {
        "caf\\xe9/1.png": reason,
        "caf\\xe9/.hidden.png": HIDDEN,
        "caf\\xe9/deeper/2.png": reason,
    }


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot 2024-05-01 at 9.41.00\u202fAM.png",  # as macOS writes it
        "東京\u3000タワー.jpg",
        "naïve\u00a0café.png",
        "👩\u200d👧.png",
        "شجرة.png",
        "a  b'\"$;*?.png",
    ],
)
def test_names_in_any_script_are_used(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert listed(tmp_path) == {name: None}
    assert left_out(name) is None


def test_a_folder_that_cannot_be_read_is_listed_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    scandir = os.scandir

    def deny(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    assert listed(tmp_path) == {"a": "cannot be read (Permission denied)", "b/1.png": None}


def test_an_entry_that_cannot_be_looked_at_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.png").touch()
    look = os.stat

    def deny(path: str, **options: bool) -> os.stat_result:
        if os.path.basename(path) == "1.png" and options.get("follow_symlinks", True):
            raise PermissionError(errno.EACCES, "Permission denied")
        return look(path, **options)

    monkeypatch.setattr(os, "stat", deny)
    assert listed(tmp_path) == {"1.png": "cannot be read (Permission denied)"}


def test_natural_order_is_by_value_and_total() -> None:
    names = ["10", "9", "1", "01", "a10", "a9", "a", "", "a9b2", "a9b10", "Z", "x²"]
    assert sorted(names, key=natural) == [
        "",
        "01",
        "1",
        "9",
        "10",
        "Z",
        "a",
        "a9",
        "a9b2",
        "a9b10",
        "a10",
        "x²",
    ]


# --- cache_folder


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXNET_CACHE", "/chosen")
    assert cache_folder("features", "x") == Path("/chosen/features/x")


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/lexnet"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/ada/.cache/lexnet"),
        ("linux", {}, "/home/ada/.cache/lexnet"),
        ("darwin", {}, "/home/ada/Library/Caches/lexnet"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/lexnet/cache"),
        ("win32", {}, "/home/ada/AppData/Local/lexnet/cache"),
    ],
)
def test_without_it_the_cache_lies_where_the_system_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], folder: str
) -> None:
    for name in ("LEXNET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ada", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(files.sys, "platform", platform)
    assert cache_folder() == Path(folder)


def test_a_folder_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    busy = pytest.raises(OutputError, match="another is here")
    with alone_in(tmp_path, "busy"), busy, alone_in(tmp_path, "another is here"):
        pass
    with alone_in(tmp_path, "busy"):
        assert list(tmp_path.iterdir()) == []


ODD_YAML = {
    "an alias": "a: &x [1]\nb: *x\n",
    "a name given twice": "a: 1\nb: 2\na: 3\n",
    "no date": "a: 2001-99-99\n",
    "no number": "a: 0x_\n",
    "no number at all": "a: !!int ''\n",
    "no boolean": "a: !!bool abc\n",
    "no time": "a: !!timestamp abc\n",
    "5,000 digits": f"a: {'9' * 5000}\n",
    "3,000 brackets": f"a: {'[' * 3000}\n",
    "a Python object": "a: !!python/object/apply:os.getcwd []\n",
    "a megabyte and more": f"a: {'x' * 1_000_001}\n",
}


def test_a_user_without_a_home_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("LEXNET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OutputError, match="no home folder; name a folder for the cache by LEXNET_CACHE"):
        cache_folder()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*; choose another folder"):
        write_atomic(tmp_path / "file" / "below", b"")


@pytest.mark.parametrize("name", ODD_YAML)
def test_yaml_of_anything_but_plain_values_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(ODD_YAML[name])
    with pytest.raises(ValueError, match=r"."):
        read_yaml(file)
    file.write_text("a: [1, 2.5, yes, null, b]\n")
    assert read_yaml(file) == {"a": [1, 2.5, True, None, "b"]}


def test_yaml_without_end_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="it is no regular file"):
            read_yaml(endless)


def test_of_yaml_that_is_longer_than_it_says_no_more_than_the_limit_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text("a: " + "b" * MAX_YAML)
    with pytest.raises(ValueError, match="it has 1,000,003 bytes, over 1,000,000"):
        read_yaml(tmp_path / "a.yaml")
    status = list((tmp_path / "a.yaml").stat())
    status[stat.ST_SIZE] = 0
    monkeypatch.setattr(Path, "stat", lambda path: os.stat_result(status))
    with pytest.raises(ValueError, match="it has over 1,000,000 bytes"):
        read_yaml(tmp_path / "a.yaml")
