"""An archive reads as the folder it was made from, whatever else somebody put in it."""

import errno
import hashlib
import io
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import class_folder, clipart_folder, encode, noise, state_of

from lexnet.config import PreprocessSpec
from lexnet.data import archive as archives
from lexnet.data import members as archive_members
from lexnet.data.archive import is_archive, read_archive
from lexnet.data.folder import read_folder
from lexnet.data.loader import load_row
from lexnet.data.manifest import Manifest
from lexnet.errors import DataError, LexNetError, OutputError, PictureError
from lexnet.files import HIDDEN

SUFFIXES = {"zip": ".zip", "tar": ".tar", "gztar": ".tar.gz", "bztar": ".tar.bz2", "xztar": ".tar.xz"}
KINDS = list(SUFFIXES)
COMPRESSED = ["gztar", "bztar", "xztar"]
SPEC = PreprocessSpec(size=32, short_side=40)
PICTURES = [encode(noise(seed, 8, 8)) for seed in range(24)]
SOUND = {f"{name}/{i}.png": PICTURES[8 * k + i] for k, name in enumerate(("cat", "dog")) for i in range(4)}
"""Two classes of four pictures, in natural order."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pack(folder: Path, kind: str, name: str, top: str | None = None) -> Path:
    """The folder as an archive beside it; all in the one folder `top` if that is given."""
    target = folder.parent / name
    if top is None:
        return Path(shutil.make_archive(str(target), kind, folder))
    (folder.parent / f"in {name}").mkdir()
    shutil.copytree(folder, folder.parent / f"in {name}" / top)
    return Path(shutil.make_archive(str(target), kind, folder.parent / f"in {name}", top))


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w:") -> Path:
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            add(archive, name, content)
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


MAKERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {"zip": make_zip, "tar": make_tar}


class Read(NamedTuple):
    """What matters of a manifest, by path."""

    classes: list[str]
    rows: dict[str, tuple[str, str, str]]
    """path: (class, part, sha256)"""


def facts(manifest: Manifest) -> Read:
    names = [manifest.classes[label] for label in manifest.labels]
    rows = zip(names, manifest.parts, manifest.digests, strict=True)
    return Read(manifest.classes, dict(zip(manifest.paths, rows, strict=True)))


def reasons(manifest: Manifest) -> dict[str, str]:
    return {skip.path: skip.reason for skip in manifest.skipped}


def assert_only_the_sound(manifest: Manifest) -> None:
    """Classes and pictures are those of SOUND, byte for byte."""
    assert manifest.classes == ["cat", "dog"], "what cannot be read must not make a class"
    assert list(manifest.paths) == list(SOUND)
    assert [manifest.read(row) for row in range(len(manifest))] == list(SOUND.values())


# --- the same as the folder


def divided(root: Path) -> Path:
    for k, part in enumerate(("train", "Valid", "test")):
        class_folder(root / part, **{"cat": 3 - k, "dog": 3, "10": 1, "2": 2})
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "classes": lambda root: class_folder(root, **{"cat": 3, "dog": 2, "class 10": 1, "class 2": 12}),
    "parts": divided,
}


@pytest.mark.parametrize("top", [None, "my pictures"], ids=["bare", "in one folder"])
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_the_folder_it_was_made_from(
    tmp_path: Path, kind: str, tree: str, top: str | None
) -> None:
    folder = TREES[tree](tmp_path / "data")
    expected = read_folder(folder)
    path = pack(folder, kind, "packed", top)
    assert path.name == f"packed{SUFFIXES[kind]}" and is_archive(path)
    manifest = read_archive(path)
    assert facts(manifest) == facts(expected)
    assert list(manifest.paths) == list(expected.paths), "the order too"
    assert manifest.labels.tolist() == expected.labels.tolist()
    assert manifest.skipped == []
    for row in range(len(manifest)):
        assert np.array_equal(load_row(manifest, row, SPEC), load_row(expected, row, SPEC))


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_clip_art_from_an_archive_has_the_pixels_of_the_files(tmp_path: Path, kind: str) -> None:
    folder = clipart_folder(tmp_path / "data")
    manifest, expected = read_archive(pack(folder, kind, "packed")), read_folder(folder)
    assert len(manifest) == len(expected) == 16
    for row in range(16):
        assert np.array_equal(load_row(manifest, row, SPEC), load_row(expected, row, SPEC))


def test_pictures_come_in_the_order_of_the_folder_where_one_name_begins_another(tmp_path: Path) -> None:
    """Training sees rows in this order: another one could give another bundle for the same pictures."""
    folder = class_folder(tmp_path / "data", **{"cat": 2, "cat2": 2, "cat-fish": 2, "cat food": 2})
    (folder / "cat/b").mkdir()
    noise(70, 8, 8).save(folder / "cat/b/1.png")
    noise(71, 8, 8).save(folder / "cat/b.png")
    assert list(read_archive(pack(folder, "zip", "packed")).paths) == list(read_folder(folder).paths)


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_part_alone_stays_a_part(tmp_path: Path, part: str) -> None:
    class_folder(tmp_path / "data" / part, cat=3, dog=3)
    expected = read_folder(tmp_path / "data", ["cat", "dog"])
    assert set(expected.parts) == {part}
    manifest = read_archive(pack(tmp_path / "data", "zip", "packed"), ["cat", "dog"])
    assert facts(manifest) == facts(expected)


def test_a_licence_beside_the_class_folders_does_not_make_the_top_folder_a_class(tmp_path: Path) -> None:
    """As in TensorFlow's flower_photos.tgz."""
    members = {"flowers/LICENSE.txt": b"free", **{f"flowers/{name}": b for name, b in SOUND.items()}}
    assert read_archive(make_zip(tmp_path / "a.zip", members)).classes == ["cat", "dog"]


def test_what_macos_adds_hides_no_top_folder(tmp_path: Path) -> None:
    members = {f"pets/{name}": content for name, content in SOUND.items()}
    members |= {"__MACOSX/pets/cat/._0.png": b"x", "pets/.DS_Store": b"x", ".DS_Store": b"x"}
    manifest = read_archive(make_zip(tmp_path / "a.zip", members))
    assert_only_the_sound(manifest)
    assert set(reasons(manifest).values()) == {HIDDEN}


@pytest.mark.parametrize("kind", MAKERS)
def test_names_may_begin_with_the_folder_itself(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / f"a.{kind}", {f"./{name}": content for name, content in SOUND.items()})
    assert_only_the_sound(read_archive(path))


def test_an_empty_class_folder_is_a_class_as_on_disk(tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "data", cat=2, dog=2, emu=0)
    for kind in KINDS:
        assert read_archive(pack(folder, kind, kind)).classes == ["cat", "dog", "emu"]


def test_suffixes_in_any_case(tmp_path: Path) -> None:
    for kind, name in {"zip": "A.ZIP", "tar": "A.Tar"}.items():
        path = MAKERS[kind](tmp_path / name, SOUND)
        assert is_archive(path)
        assert_only_the_sound(read_archive(path))
    path = make_tar(tmp_path / "a.TGZ", SOUND, "w:gz")
    assert is_archive(path)
    assert_only_the_sound(read_archive(path))


def test_given_classes_keep_their_order_and_others_are_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", SOUND)
    assert set(read_archive(path, ["emu", "dog", "cat"]).labels.tolist()) == {1, 2}
    with pytest.raises(DataError, match=r"class 'dog' in .*a\.zip/dog is not among the 1 classes"):
        read_archive(path, ["cat"])


def test_progress_is_told_share_by_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexnet.data.threads.SHARE", 3)
    told: list[tuple[int, int]] = []
    read_archive(make_zip(tmp_path / "a.zip", SOUND), None, lambda *step: told.append(step))
    assert told == [(3, 8), (6, 8), (8, 8)]


# --- any tree at all

PIECES = st.one_of(
    st.sampled_from(
        ["cat", "dog", "cat2", "train", "Test", "val", ".git", "__MACOSX", "Thumbs.db", "10", "2", "a.png"]
    ),
    st.text(st.sampled_from("ab12 -.\\'\"%#~&$\n\x1b\u0301eéß日😀\u202e\u200b"), min_size=1, max_size=6),
).filter(lambda name: name not in (".", "..") and not name.startswith("\\"))
FILES = st.tuples(
    st.lists(PIECES, max_size=3),
    PIECES,
    st.sampled_from([".png", ".PNG", ".jpeg", ".txt", ""]),
    st.sampled_from([*PICTURES[8:14], b"", b"text"]),
)
EMPTY = st.lists(PIECES, min_size=1, max_size=3)


def outcome(read: Callable[[], Manifest], root: Path) -> tuple[Read, list[str]] | str:
    """What was read and in which order, or the message with ROOT for the place."""
    try:
        manifest = read()
        return facts(manifest), list(manifest.paths)
    except DataError as error:
        return str(error).replace(str(root), "ROOT")


@settings(deadline=None, derandomize=True, max_examples=120)
@given(
    parts=st.booleans(),
    files=st.lists(FILES, max_size=8),
    empty=st.lists(EMPTY, max_size=3),
)
def test_any_tree_reads_alike_from_a_folder_a_zip_and_a_tar(
    parts: bool, files: list[tuple[list[str], str, str, bytes]], empty: list[list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "data")
        for top in ("train", "test") if parts else ("",):
            for name, content in (("cat", PICTURES[0]), ("dog", PICTURES[1])):
                (root / top / name).mkdir(parents=True)
                (root / top / name / "0.png").write_bytes(content)
        for folders, stem, suffix, content in files:
            place(root, [*folders, stem + suffix], content)
        for folders in empty:
            place(root, folders, None)
        path = Path(temporary, "a.zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in root.rglob("*"):
                archive.write(file, file.relative_to(root))
        expected = outcome(lambda: read_folder(root), root)
        assert outcome(lambda: read_archive(path), path) == expected
        path = path.with_suffix(".tar")
        with tarfile.open(path, "w") as tar:
            tar.add(root, ".")
        assert outcome(lambda: read_archive(path), path) == expected


def place(root: Path, pieces: list[str], content: bytes | None) -> None:
    """A file or an empty folder, unless something else is where it or its folders would be."""
    path = root.joinpath(*pieces)
    if path.exists() or any(parent.is_file() for parent in path.parents):
        return
    (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
    if content is not None:
        path.write_bytes(content)


# --- names that lead elsewhere

LEAVING = [
    "../evil/x.png",
    "../../../../evil/x.png",
    "cat/../../evil/x.png",
    "cat/..",
    "/evil/x.png",
    "//evil/x.png",
    "/",
    "C:/evil/x.png",
    "c:\\evil\\x.png",
    "C:evil/x.png",
    "\\evil\\x.png",
    "\\\\server\\share\\x.png",
    "..\\evil\\x.png",
    "cat/..\\..\\evil.png",
]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", LEAVING)
def test_a_name_that_leads_out_is_left_out_and_nothing_is_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    work = tmp_path / "work"
    (work / "here").mkdir(parents=True)
    monkeypatch.chdir(work / "here")
    path = MAKERS[kind](work / "here" / f"a.{kind}", {**SOUND, name: PICTURES[20]})
    before = state_of(tmp_path)
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    assert len(manifest.skipped) <= 1
    for skip in manifest.skipped:
        assert skip.bad == (name.endswith(".png") and skip.reason != HIDDEN)
    del manifest
    assert state_of(tmp_path) == before and not Path("/evil").exists()
    assert not cache.exists()


def test_a_colon_in_a_name_leads_nowhere(tmp_path: Path) -> None:
    manifest = read_archive(make_zip(tmp_path / "a.zip", {**SOUND, "b: emu/x.png": PICTURES[20]}))
    assert manifest.classes == ["b: emu", "cat", "dog"] and not manifest.skipped


@pytest.mark.parametrize("name", ["../evil/x.png", "/evil/x.png", "C:/evil/x.png", "\\evil/x.png"])
def test_a_name_that_leads_out_is_recorded_with_its_reason(tmp_path: Path, name: str) -> None:
    manifest = read_archive(make_zip(tmp_path / "a.zip", {**SOUND, name: PICTURES[20]}))
    assert list(reasons(manifest).values()) == ["has a name that leaves the archive"]


@pytest.mark.parametrize(
    "name", ["emu/../x.png", "/emu/x.png", "C:emu/x.png", "../emu/", "/emu/", "emu/../x/"]
)
@pytest.mark.parametrize("kind", MAKERS)
def test_a_name_that_leads_out_makes_no_class(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "tar" and name.endswith("/"):
        with tarfile.open(path, "w") as archive:
            add(archive, name, type=tarfile.DIRTYPE)
            for sound, content in SOUND.items():
                add(archive, sound, content)
    else:
        MAKERS[kind](path, {name: b"" if name.endswith("/") else PICTURES[20], **SOUND})
    assert_only_the_sound(read_archive(path))


def test_a_zip_with_the_separator_of_windows_is_read(tmp_path: Path) -> None:
    """As PowerShell 5 writes it; where any name has a slash, a backslash is a letter as any other."""
    windows = make_zip(tmp_path / "a.zip", {name.replace("/", "\\"): data for name, data in SOUND.items()})
    assert_only_the_sound(read_archive(windows))
    out = make_zip(tmp_path / "b.zip", {"..\\evil\\x.png": PICTURES[20], "C:\\cat\\x.png": PICTURES[21]})
    with pytest.raises(DataError, match=r"holds no pictures.*\n.*has a name that leaves the archive"):
        read_archive(out)


def test_an_archive_of_nothing_but_absolute_names_has_no_pictures(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {f"/{name}": content for name, content in SOUND.items()})
    with pytest.raises(DataError, match="holds no pictures in class folders"):
        read_archive(path)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "0.png"),
        (tarfile.LNKTYPE, "cat/0.png"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar_are_left_out(tmp_path: Path, kind: bytes, target: str) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in SOUND.items():
            add(archive, name, content)
        add(archive, "cat/odd.png", type=kind, linkname=target)
        add(archive, "odd", type=kind, linkname=target)
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    assert reasons(manifest) == dict.fromkeys(("cat/odd.png", "odd"), "is not a regular file")
    assert [skip.path for skip in manifest.skipped if skip.bad] == ["cat/odd.png"]


def test_links_in_a_zip_are_left_out(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", SOUND)
    info = zipfile.ZipInfo("cat/link.png")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    assert reasons(manifest) == {"cat/link.png": "is not a regular file"}
    assert all(skip.bad for skip in manifest.skipped)


def test_a_link_to_a_folder_does_not_lead_a_later_member_elsewhere(tmp_path: Path) -> None:
    """The old trick: a link `evil` → /tmp, then a file evil/x."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in SOUND.items():
            add(archive, name, content)
        add(archive, "cat/up", type=tarfile.SYMTYPE, linkname=str(tmp_path))
        add(archive, "cat/up/x.png", PICTURES[20])
    manifest = read_archive(path)
    assert set(manifest.paths) == {*SOUND, "cat/up/x.png"}
    assert manifest.read(list(manifest.paths).index("cat/up/x.png")) == PICTURES[20]
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("kind", MAKERS)
def test_of_two_members_with_one_name_the_last_is_read(tmp_path: Path, kind: str) -> None:
    """As when they are unpacked: `tar --update` and `zip` append."""
    path = MAKERS[kind](tmp_path / f"a.{kind}", SOUND)
    if kind == "zip":
        with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
            archive.writestr("cat/0.png", PICTURES[20])
    else:
        with tarfile.open(path, "a") as archive:
            add(archive, "cat/0.png", PICTURES[20])
    manifest = read_archive(path)
    assert set(manifest.paths) == set(SOUND)
    assert manifest.read(list(manifest.paths).index("cat/0.png")) == PICTURES[20]


# --- names that cannot be shown


@pytest.mark.parametrize("name", ["cat/a\nb.png", "cat/\x1b[31m.png", "a\tb/0.png", "cat/\x7f.png"])
@pytest.mark.parametrize("kind", MAKERS)
def test_names_with_control_characters_are_left_out(tmp_path: Path, kind: str, name: str) -> None:
    manifest = read_archive(MAKERS[kind](tmp_path / f"a.{kind}", {**SOUND, name: PICTURES[20]}))
    assert_only_the_sound(manifest)
    assert list(reasons(manifest).values()) == ["has a name that is not printable UTF-8"]


def test_names_in_a_tar_that_are_not_utf_8_are_left_out(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    manifest = read_archive(
        make_tar(tmp_path / "a.tar", {**SOUND, f"{odd}/0.png": PICTURES[20], f"cat/{odd}.png": PICTURES[21]})
    )
    assert_only_the_sound(manifest)
    assert reasons(manifest) == dict.fromkeys(
        ("caf\\xe9/0.png", "cat/caf\\xe9.png"), "has a name that is not printable UTF-8"
    )
    assert all(skip.path.encode() for skip in manifest.skipped), "so that it can be written and shown"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Käse/0.png".encode(), "Käse"), ("猫/0.png".encode(), "猫"), (b"K\x84se/0.png", "Käse")],
)
def test_names_in_a_zip_without_the_flag_for_utf_8_are_read_as_utf_8_or_as_dos(
    tmp_path: Path, name: bytes, shown: str
) -> None:
    """macOS, Java and PHP leave it out."""
    path = make_zip(tmp_path / "a.zip", {**SOUND, "x" * len(name): PICTURES[20]})
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name))
    manifest = read_archive(path)
    assert manifest.classes == sorted(["cat", "dog", shown]) and manifest.skipped == []
    assert manifest.read(list(manifest.paths).index(f"{shown}/0.png")) == PICTURES[20]


def test_names_in_a_zip_that_claim_utf_8_and_are_not_are_an_error_that_says_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {**SOUND, "café/0.png": PICTURES[20]})
    path.write_bytes(path.read_bytes().replace("café".encode(), b"caf\xff\xff"))
    with pytest.raises(
        DataError, match=r"a\.zip cannot be read as an archive \('utf-8' codec.*pack it again"
    ):
        read_archive(path)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_name_of_thousands_of_digits_is_a_name(tmp_path: Path, kind: str) -> None:
    """Python refuses to turn more than 4,300 digits into a number, and names are sorted by numbers."""
    name = f"cat/{'7' * 5000}.png"
    manifest = read_archive(MAKERS[kind](tmp_path / f"a.{kind}", {**SOUND, name: PICTURES[20]}))
    assert set(SOUND) <= set(manifest.paths) <= {*SOUND, name}


@pytest.mark.parametrize("kind", ["", "gz"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    ("pieces", "said"),
    [(40_000, "a name of 80,009 letters, over 8,192"), (2_000_000, "6,000,0.. bytes are said of a member")],
)
def test_a_tar_with_a_name_as_long_as_a_book_is_refused_and_not_kept_unpacked(
    tmp_path: Path, cache: Path, pieces: int, said: str, form: int, kind: str
) -> None:
    path = tmp_path / f"a.tar{kind and '.'}{kind}"
    with tarfile.open(path, f"w:{kind}", format=form) as archive:
        add(archive, "cat/0.png", PICTURES[0])
        add(archive, f"cat/{'é/' * pieces}x.png", PICTURES[1])
    with pytest.raises(DataError, match=rf"a\.tar.* cannot be read as an archive \({said}.*pack it again"):
        read_archive(path)
    assert not list(cache.glob("archives/*"))


# --- members that are not what they say


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_no_picture_is_told_why(tmp_path: Path, kind: str) -> None:
    inner = make_zip(tmp_path / "inner.zip", SOUND).read_bytes()
    odd = {"cat/inner.zip": inner, "cat/notes.txt": b"x", "stray.png": PICTURES[20]}
    bad = {"cat/empty.png": b"", "dog/text.jpg": b"not found", "dog/inner.png": inner}
    manifest = read_archive(MAKERS[kind](tmp_path / f"a.{kind}", {**SOUND, **odd, **bad}))
    assert_only_the_sound(manifest)
    assert reasons(manifest) == {
        "cat/inner.zip": "is no picture by its name (.zip)",
        "cat/notes.txt": "is no picture by its name (.txt)",
        "stray.png": "lies outside the class folders",
        "cat/empty.png": "is empty (0 bytes)",
        "dog/text.jpg": "is text, not a picture",
        "dog/inner.png": "is damaged or not in a known format; convert it to JPEG or PNG",
    }
    assert {skip.path for skip in manifest.skipped if skip.bad} == set(bad)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_member_over_the_limit_is_not_unpacked(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (archives, archive_members):
        monkeypatch.setattr(module, "MAX_BYTES", 5_000)
    odd = {"cat/bomb.png": bytes(5_001), "cat/full.txt": bytes(5_000)}
    manifest = read_archive(MAKERS[kind](tmp_path / f"a.{kind}", {**SOUND, **odd}))
    assert_only_the_sound(manifest)
    assert [(skip.path, skip.reason) for skip in manifest.skipped if skip.bad] == [
        ("cat/bomb.png", "has over 5,000 bytes")
    ]
    assert manifest.source.read("cat/full.txt") == bytes(5_000), "the limit itself is allowed"
    with pytest.raises(PictureError, match=r"a\.\w+/cat/bomb\.png: has over 5,000 bytes"):
        manifest.source.read("cat/bomb.png")


def headers(content: bytes, name: str) -> tuple[int, int]:
    """Where the local and the central header of a zip's member begin."""
    raw = name.encode()
    local, central = content.index(raw) - 30, content.rindex(raw) - 46
    assert content[local:][:4] == b"PK\3\4" and content[central:][:4] == b"PK\1\2"
    return local, central


def rewritten(path: Path, name: str, local: int, central: int, value: bytes) -> None:
    """Overwrites a field in both headers of a zip's member."""
    content = bytearray(path.read_bytes())
    for start, offset in zip(headers(bytes(content), name), (local, central), strict=True):
        content[start + offset : start + offset + len(value)] = value
    path.write_bytes(content)


def append(path: Path, name: str, content: bytes, method: int) -> None:
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(name, content)


UNLIMITED = "cannot be read (packed by a method whose size cannot be limited)"


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (zipfile.ZIP_DEFLATED, "cannot be read (Bad CRC-32 for file 'cat/bomb.png')"),
        (zipfile.ZIP_BZIP2, UNLIMITED),
        (zipfile.ZIP_LZMA, UNLIMITED),
    ],
)
def test_a_bomb_that_says_it_is_small_is_cut_off_and_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: int, reason: str
) -> None:
    for module in (archives, archive_members):
        monkeypatch.setattr(module, "MAX_BYTES", 1_000_000)
    path = make_zip(tmp_path / "a.zip", SOUND)
    append(path, "cat/bomb.png", bytes(100_000_000), method)
    assert path.stat().st_size < 200_000
    rewritten(path, "cat/bomb.png", 22, 24, struct.pack("<I", 100))
    tracemalloc.start()
    manifest = read_archive(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_only_the_sound(manifest)
    assert [(skip.path, skip.reason, skip.bad) for skip in manifest.skipped] == [
        ("cat/bomb.png", reason, True)
    ]
    assert peak < 20_000_000, f"{peak:,} bytes were taken for a member of which 1,000,000 may be read"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_sound_picture_packed_by_such_a_method_is_bad_too(tmp_path: Path, method: int) -> None:
    path = make_zip(tmp_path / "a.zip", SOUND, zipfile.ZIP_STORED)
    append(path, "cat/x.png", PICTURES[20], method)
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    assert [(skip.path, skip.reason, skip.bad) for skip in manifest.skipped] == [
        ("cat/x.png", UNLIMITED, True)
    ]


def test_a_size_below_the_true_one_makes_a_bad_picture(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {**SOUND, "cat/lie.png": PICTURES[20]})
    rewritten(path, "cat/lie.png", 22, 24, struct.pack("<I", 10))
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    ((skip,)) = manifest.skipped
    assert (skip.path, skip.bad) == ("cat/lie.png", True) and "cannot be read (Bad CRC-32" in skip.reason


def test_a_size_above_the_true_one_adds_nothing_to_the_picture(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {**SOUND, "cat/lie.png": PICTURES[20]})
    rewritten(path, "cat/lie.png", 22, 24, struct.pack("<I", 10**6))
    manifest = read_archive(path)
    assert manifest.read(list(manifest.paths).index("cat/lie.png")) == PICTURES[20]


def test_a_damaged_member_is_bad_and_the_others_are_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {**SOUND, "cat/half.png": PICTURES[20]}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[bytes(content).index(PICTURES[20]) + 60] ^= 1
    path.write_bytes(content)
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    ((skip,)) = manifest.skipped
    assert (skip.path, skip.bad) == ("cat/half.png", True) and "Bad CRC-32" in skip.reason


def test_an_encrypted_member_is_bad_and_the_others_are_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {**SOUND, "cat/secret.png": PICTURES[20]})
    rewritten(path, "cat/secret.png", 6, 8, struct.pack("<H", 1))
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    (skip,) = manifest.skipped
    assert (skip.path, skip.bad) == ("cat/secret.png", True)
    assert skip.reason.startswith("cannot be read (") and "is encrypted" in skip.reason


@pytest.mark.parametrize("problem", ["encrypted", "too large"])
def test_a_picture_that_cannot_be_taken_is_bad_as_it_is_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    """So that `train` does not go on silently without it."""
    path = make_zip(tmp_path / "a.zip", {**SOUND, "cat/x.png": bytes(5_001)})
    if problem == "encrypted":
        rewritten(path, "cat/x.png", 6, 8, struct.pack("<H", 1))
    for module in (archives, archive_members):
        monkeypatch.setattr(module, "MAX_BYTES", 5_000)
    assert [(skip.path, skip.bad) for skip in read_archive(path).skipped] == [("cat/x.png", True)]


def test_a_compression_that_is_not_known_makes_a_bad_picture(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {**SOUND, "cat/odd.png": PICTURES[20]})
    rewritten(path, "cat/odd.png", 8, 10, struct.pack("<H", 99))
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    assert [(skip.path, skip.bad) for skip in manifest.skipped] == [("cat/odd.png", True)]


def test_a_sparse_member_of_a_tar_is_not_read_as_other_bytes(tmp_path: Path) -> None:
    """`tar --sparse` leaves out runs of zeros: what follows in the archive is not the picture's."""
    black = encode(noise(0, 64, 64).point(lambda _: 0), "BMP")
    stored = black[:512]
    info = tarfile.TarInfo("cat/black.bmp")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(stored)
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:410] = b"%011o\0%011o\0" % (0, len(stored))
    head[483:495] = b"%011o\0" % len(black)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    sound = make_tar(tmp_path / "sound.tar", SOUND).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(head) + stored + sound)
    with tarfile.open(path) as archive:
        member = archive.extractfile("cat/black.bmp")
        assert member is not None and member.read() == black, "the archive of this test is sound"
    manifest = read_archive(path)
    assert_only_the_sound(manifest)
    assert reasons(manifest) == {"cat/black.bmp": "is not a regular file"}


# --- archives that are damaged


@pytest.mark.parametrize("suffix", SUFFIXES.values())
@pytest.mark.parametrize("content", [b"", b"not an archive\n", PICTURES[0], bytes(4096)])
def test_what_is_no_archive_is_an_error_that_says_so(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.(zip|tar).* (pack it again|holds no pictures in class folders)"):
        read_archive(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_archive_is_an_error_that_says_so(tmp_path: Path, kind: str, share: float) -> None:
    path = pack(class_folder(tmp_path / "data", cat=20, dog=20), kind, "packed")
    content = path.read_bytes()
    end = content.rindex(b"\x89PNG") if kind == "tar" else len(content)
    path.write_bytes(content[: int(end * share)])
    with pytest.raises(DataError, match=r"packed\..* cannot be read as an archive .*; pack it again"):
        read_archive(path)


def test_a_tar_cut_off_between_two_members_is_not_taken_for_whole(tmp_path: Path) -> None:
    """A tar ends in two blocks of zeros: without them the rest is missing."""
    path = make_tar(tmp_path / "a.tar", SOUND)
    content = path.read_bytes()
    start = content.index(b"dog/3.png")
    for cut in (start, start + 100):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match="cannot be read as an archive"):
            read_archive(path)


def test_a_damaged_header_in_a_tar_does_not_hide_all_that_follows(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", SOUND)
    content = bytearray(path.read_bytes())
    content[bytes(content).index(b"dog/2.png")] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an archive"):
        read_archive(path)


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.999])
def test_a_flipped_byte_in_a_compressed_tar_is_the_archives_fault(
    tmp_path: Path, cache: Path, kind: str, place: float
) -> None:
    path = pack(class_folder(tmp_path / "data", cat=20, dog=20), kind, "packed")
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"packed\..* cannot be read as an archive .*; pack it again"):
        read_archive(path)
    assert not list(cache.rglob("*.tar")) and not list(cache.rglob(".*")), "nothing half unpacked stays"


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_byte_ends_in_anything_but_a_manifest_or_an_error_of_ours(
    tmp_path: Path, kind: str
) -> None:
    path = pack(class_folder(tmp_path / "data", cat=2, dog=2), kind, "packed")
    content = path.read_bytes()

    @settings(deadline=None, derandomize=True, max_examples=150)
    @given(where=st.integers(0, len(content) - 1), length=st.integers(1, 4), value=st.integers(0, 255))
    def flip(where: int, length: int, value: int) -> None:
        changed = bytearray(content)
        changed[where : where + length] = bytes([value]) * length
        path.write_bytes(changed)
        try:
            manifest = read_archive(path)
        except LexNetError:
            return
        assert all(load_row(manifest, row, SPEC).shape == (32, 32, 3) for row in whole(manifest))

    flip()


def whole(manifest: Manifest) -> list[int]:
    """Rows whose pictures can be decoded."""
    rows = []
    for row in range(len(manifest)):
        try:
            load_row(manifest, row, SPEC)
        except PictureError:
            continue
        rows.append(row)
    return rows


def test_a_zip_of_a_version_not_known_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", SOUND)
    rewritten(path, "cat/0.png", 4, 6, struct.pack("<H", 99))
    with pytest.raises(DataError, match=r"a\.zip cannot be read as an archive"):
        read_archive(path)


def test_a_tar_of_nothing_but_long_names_is_an_error_that_says_so(tmp_path: Path) -> None:
    """Each such header is read inside the one before."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1
    path = tmp_path / "a.tar"
    path.write_bytes((info.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")) * 5_000)
    with pytest.raises(DataError, match="cannot be read as an archive"):
        read_archive(path)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "MAX_MEMBERS", 7)
    for kind, maker in MAKERS.items():
        with pytest.raises(DataError, match=r"cannot be read as an archive \(over 7 members\)"):
            read_archive(maker(tmp_path / f"a.{kind}", SOUND))


def test_an_archive_that_is_not_there_or_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in SUFFIXES.values():
        with pytest.raises(DataError, match=r"cannot be read as an archive .*No such file"):
            read_archive(tmp_path / f"none{suffix}")


# --- a table inside


LOOSE = {f"all/{place.replace('/', '-')}": content for place, content in SOUND.items()}
"""The same pictures in one folder: of several, which would be classes, no table takes the place."""
TABLE = "path,label,split\n" + "".join(
    f'{place}, "{"bird" if i % 2 else "fish"}",{"train" if i % 4 < 2 else "test"}\n'
    for i, place in enumerate(LOOSE)
)
"""The labels of those."""


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("top", ["", "photos/"])
def test_a_table_in_an_archive_says_what_its_pictures_are(tmp_path: Path, kind: str, top: str) -> None:
    members = {f"{top}labels.csv": TABLE.encode(), **{top + place: LOOSE[place] for place in LOOSE}}
    manifest = read_archive(MAKERS[kind](tmp_path / f"a.{kind}", members))
    assert manifest.classes == ["bird", "fish"] and list(manifest.paths) == list(LOOSE)
    assert manifest.labels.tolist() == [1, 0] * 4
    assert list(manifest.parts) == ["train", "train", "test", "test"] * 2
    assert [manifest.read(row) for row in range(8)] == list(LOOSE.values())
    assert manifest.name == f"{tmp_path / f'a.{kind}'}/{top}labels.csv" and manifest.skipped == []


def test_a_table_in_an_archive_is_read_as_one_outside(tmp_path: Path) -> None:
    table = b'"path", "label"\nall/cat-0.png, "a"\n"all/dog-0.png", b\n'
    manifest = read_archive(make_zip(tmp_path / "a.zip", {"labels.csv": table, **LOOSE}))
    assert manifest.classes == ["a", "b"]
    latin = "path,label\nall/cat-0.png,caf\u00e9\n".encode("latin-1")
    with pytest.raises(DataError, match=r"a\.zip/labels\.csv cannot be read as CSV .*; save it as UTF-8"):
        read_archive(make_zip(tmp_path / "a.zip", {"labels.csv": latin, **LOOSE}))


def test_a_kept_table_that_is_not_what_it_was_is_made_anew(tmp_path: Path, cache: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"labels.csv": TABLE.encode(), **LOOSE})
    read_archive(path)
    (kept,) = (file for file in cache.rglob("*.csv"))
    kept.write_bytes(b"path,label\nall/cat-0.png,wrong\n")
    assert read_archive(path).classes == ["bird", "fish"] and kept.read_bytes() == TABLE.encode()


def test_a_row_for_a_member_that_is_left_out_says_why(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {"labels.csv": b"path,label\n.h/0.png,a\nall/cat-0.png,b\n", **LOOSE})
    with tarfile.open(path, "a") as archive:
        add(archive, ".h/0.png", PICTURES[20])
        add(archive, "all/cat-0.png", type=tarfile.SYMTYPE, linkname="1.png")  # the last of its name
    skipped = read_archive(path).skipped
    assert {skip.path: skip.reason for skip in skipped if skip.bad} == {
        ".h/0.png": HIDDEN, "all/cat-0.png": "is not a regular file",
    }  # fmt: skip


def test_a_table_that_lists_no_pictures_is_not_kept(tmp_path: Path, cache: Path) -> None:
    members = {f"{'n' * 300}.csv": b"when,who\n1,2\n", **SOUND}
    assert read_archive(make_zip(tmp_path / "a.zip", members)).classes == ["cat", "dog"]
    assert not any(file.is_file() for file in cache.rglob("*"))


def test_a_row_for_a_picture_that_is_not_in_the_archive_is_bad(tmp_path: Path) -> None:
    table = "path,label\nall/cat-0.png,cat\n./all/dog-0.png,dog\nnone.png,dog\n../secret.png,dog\n"
    manifest = read_archive(make_zip(tmp_path / "a.zip", {"labels.csv": table.encode(), **LOOSE}))
    assert list(manifest.paths) == ["all/cat-0.png", "./all/dog-0.png"]
    assert [(skip.path, skip.reason, skip.bad) for skip in manifest.skipped] == [
        ("none.png", "is not in the archive", True),
        ("../secret.png", "is not in the archive", True),
    ]


def test_a_parquet_file_with_its_pictures_is_read_out_of_an_archive(tmp_path: Path) -> None:
    table = io.BytesIO()
    pq.write_table(pa.table({"image": PICTURES[:4], "label": ["a", "b"] * 2}), table)
    path = make_tar(tmp_path / "a.tar.gz", {"pictures.parquet": table.getvalue()}, "w:gz")
    manifest = read_archive(path)
    assert manifest.classes == ["a", "b"] and [manifest.read(row) for row in range(4)] == PICTURES[:4]


def test_a_faulty_row_is_named_with_its_table(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"labels.csv": b"path,label\n,cat\n", **LOOSE})
    with pytest.raises(DataError, match=r"a\.zip/labels\.csv has no path in line 2"):
        read_archive(path)


@pytest.mark.parametrize(
    "members",
    [
        {"notes.csv": b"when,who\n1,2\n"},
        {"a.csv": TABLE.encode(), "b.csv": TABLE.encode()},
        {"cat/labels.csv": TABLE.encode()},
    ],
    ids=["without the columns", "two of them", "further down"],
)
def test_any_other_table_is_no_picture_and_the_folders_count(
    tmp_path: Path, members: dict[str, bytes]
) -> None:
    manifest = read_archive(make_zip(tmp_path / "a.zip", {**members, **SOUND}))
    assert manifest.classes == ["cat", "dog"]
    assert {skip.path for skip in manifest.skipped} == set(members)


# --- the cache of compressed tars


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpacked(cache: Path, path: Path) -> Path:
    """The copy of the archive, which with its own digest is all there is in the cache."""
    plain = cache / "archives" / f"{sha256(path)}.tar"
    assert set(plain.parent.iterdir()) == {plain, plain.with_suffix(".sha256")}
    assert plain.with_suffix(".sha256").read_text() == sha256(plain)
    return plain


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_tar_is_unpacked_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    opened: list[Path] = []
    decompressed = archives._decompressed
    monkeypatch.setattr(archives, "_decompressed", lambda path: (opened.append(path), decompressed(path))[1])
    path = pack(class_folder(tmp_path / "data", cat=2, dog=2), kind, "packed")
    folder = state_of(tmp_path / "data")
    first = read_archive(path)
    plain = unpacked(cache, path)
    before = plain.stat().st_mtime_ns
    again = read_archive(path)
    renamed = read_archive(Path(shutil.copy(path, tmp_path / f"other{SUFFIXES[kind]}")))
    assert facts(first) == facts(again) == facts(renamed)
    assert len(opened) == 1 and plain.stat().st_mtime_ns == before
    assert unpacked(cache, path) == plain
    assert state_of(tmp_path / "data") == folder


def cut(content: bytes) -> bytes:
    return content[: content.index(b"dog/0.png")]


def ended_early(content: bytes) -> bytes:
    """A sound tar with less in it: only its digest tells."""
    return cut(content) + bytes(1024)


def flipped(content: bytes) -> bytes:
    """One bit of a picture, in the middle of it."""
    at = content.index(SOUND["cat/1.png"]) + 60
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [cut, ended_early, flipped, lambda _: b""])
def test_an_unpacked_copy_that_is_not_what_it_was_is_made_anew(
    tmp_path: Path, cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = make_tar(tmp_path / "a.tar.gz", SOUND, "w:gz")
    read_archive(path)
    plain = unpacked(cache, path)
    whole = plain.read_bytes()
    plain.write_bytes(damage(whole))
    assert_only_the_sound(read_archive(path))
    assert unpacked(cache, path).read_bytes() == whole


@pytest.mark.parametrize("suffix", [".tar", ".sha256"])
def test_a_copy_and_its_digest_count_only_together(tmp_path: Path, cache: Path, suffix: str) -> None:
    """As after a crash between the writing of the one and the other."""
    path = make_tar(tmp_path / "a.tar.gz", SOUND, "w:gz")
    for change in (Path.unlink, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"0" * 64)):
        read_archive(path)
        change(unpacked(cache, path).with_suffix(suffix))
        assert_only_the_sound(read_archive(path))
        unpacked(cache, path)


def test_other_bytes_under_the_same_name_are_unpacked_anew(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar.gz", SOUND, "w:gz")
    assert_only_the_sound(read_archive(path))
    make_tar(path, {**SOUND, "cat/9.png": PICTURES[20]}, "w:gz")
    assert "cat/9.png" in read_archive(path).paths


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_can_be_read_in_any_order_is_not_copied(tmp_path: Path, cache: Path, kind: str) -> None:
    read_archive(MAKERS[kind](tmp_path / f"a.{kind}", SOUND))
    assert not cache.exists()
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{kind}"}


def test_a_full_disk_is_told_before_it_is_full(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_tar(tmp_path / "a.tar.gz", SOUND, "w:gz")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 2**30 - 1))
    with pytest.raises(OutputError, match=r"a\.tar\.gz unpacks to more than .*archives has room for"):
        read_archive(path)
    assert not [file for file in cache.rglob("*") if file.is_file()], "nothing half unpacked stays"


def test_a_disk_that_fills_up_meanwhile_is_told(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_tar(tmp_path / "a.tar.gz", SOUND, "w:gz")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device; nothing was changed"):
        read_archive(path)
    assert not [file for file in cache.rglob("*") if file.is_file()]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"cannot write .*archives"):
        read_archive(make_tar(tmp_path / "a.tar.gz", SOUND, "w:gz"))


def test_two_readers_at_once_unpack_one_whole_copy(tmp_path: Path, cache: Path) -> None:
    path = make_tar(tmp_path / "a.tar.gz", SOUND, "w:gz")
    with ThreadPoolExecutor(4) as pool:
        for manifest in pool.map(read_archive, [path] * 4):
            assert_only_the_sound(manifest)
    unpacked(cache, path)


# --- reading


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_many_threads_at_once_each_get_the_right_bytes(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "data"
    expected = {}
    for k in range(60):
        (folder / f"c{k % 3}").mkdir(parents=True, exist_ok=True)
        path = f"c{k % 3}/{k}.png"
        expected[path] = encode(noise(k, 8 + k, 8))
        (folder / path).write_bytes(expected[path])
    manifest = read_archive(pack(folder, kind, "packed"))
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(60), 40))
    with ThreadPoolExecutor(16) as pool:
        for row, content in zip(rows, pool.map(manifest.read, rows), strict=True):
            assert content == expected[manifest.paths[row]]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_picture_is_called_by_its_place_in_the_archive(tmp_path: Path, kind: str) -> None:
    members = {f"pets/{name}": content for name, content in SOUND.items()}
    path = MAKERS[kind](tmp_path / f"a.{kind}", members)
    manifest = read_archive(path)
    assert manifest.name == str(path)
    assert manifest.source.where(manifest.paths[0]) == f"{path}/pets/cat/0.png"


def test_an_archive_changed_after_it_was_read_is_noticed(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", SOUND)
    manifest = read_archive(path)
    content = bytearray(path.read_bytes())
    content[bytes(content).index(SOUND["cat/0.png"]) + 70] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    with pytest.raises(PictureError, match=r"cat/0\.png: has changed since it was listed; run again"):
        load_row(manifest, 0, SPEC)


def test_a_manifest_that_is_let_go_closes_its_file(tmp_path: Path) -> None:
    """pytest turns the warning about a file left open into an error."""
    for kind, maker in MAKERS.items():
        manifest = read_archive(maker(tmp_path / f"a.{kind}", SOUND))
        del manifest


NOTES = b"file_name,label,photographer\ncat/0.png,ann,x\n"
BACKSLASHES = TABLE.replace("all/", "all\\").encode()
TABLED = {"labels.csv": TABLE.encode(), **LOOSE}
BESIDE = {name.removeprefix("all/"): content for name, content in LOOSE.items()}
BESIDE["labels.csv"] = TABLE.replace("all/", "").encode()
LAYOUTS = {
    "notes beside classes": {"metadata.csv": NOTES, **SOUND},
    "notes beside parts": {
        "sample_submission.csv": b"filename,label\n1.jpg,a\n",
        **{f"{part}/{name}": SOUND[name] for part, name in zip(("train", "test") * 4, SOUND, strict=True)},
    },
    "an empty table beside classes": {"train.csv": b"path,label\n", **SOUND},
    "paths from Windows": {"labels.csv": BACKSLASHES, **LOOSE},
    "read me beside one folder": {"README.md": b"", **{f"set/{name}": TABLED[name] for name in TABLED}},
    "a table beside its pictures, in one folder": {f"set/{name}": BESIDE[name] for name in BESIDE},
    "a table in a folder called like a part": {f"train/{name}": BESIDE[name] for name in BESIDE},
    "two folders down": {f"a/b/{name}": TABLED[name] for name in TABLED},
    "two tables": {"a.csv": TABLE.encode(), "b.csv": TABLE.encode(), **SOUND},
}  # fmt: skip


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_an_archive_is_read_as_the_folder_that_it_unpacks_to(tmp_path: Path, kind: str, name: str) -> None:
    for path, content in LAYOUTS[name].items():
        file = tmp_path / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    there = read_folder(tmp_path / "data")
    here = read_archive(MAKERS[kind](tmp_path / f"a.{kind}", LAYOUTS[name]))
    assert facts(here) == facts(there) and len(there) == 8
    assert sorted(skip.path for skip in here.skipped) == sorted(skip.path for skip in there.skipped)
