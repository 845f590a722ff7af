"""Whatever is in an archive, reading it ends: in what is sound of it, or in an error that names it."""

import hashlib
import io
import os
import signal
import stat
import tarfile
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from picture_makers import encode, noise, state_of

from lexnet.data.archive import read_archive
from lexnet.data.manifest import Manifest
from lexnet.errors import DataError, LexNetError
from lexnet.files import listed_as

QUICK = settings(deadline=None, derandomize=True, max_examples=150)
PICTURES = [encode(noise(seed, 8, 8)) for seed in range(6)]
SECRET = encode(noise(99, 8, 8))
"""Lies outside of every archive, where members would like to lead."""


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """A test that works for more than a minute, where seconds are enough, fails."""

    def late(*_: object) -> None:
        pytest.fail("reading did not end")  # no `Exception`, which would be taken for the archive's

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, 60)  # of the processor, however many others want it
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


class Member(NamedTuple):
    name: str
    kind: bytes = tarfile.REGTYPE
    content: bytes = b""
    target: str = ""


KINDS = [
    tarfile.REGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
    tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"V",
]  # fmt: skip
REGULAR = tarfile.REGULAR_TYPES
SOUND = [Member(f"{label}/{i}.png", content=PICTURES[i]) for label in ("cat", "dog") for i in range(2)]
PIECES = [
    "cat", "Cat", "dog", "2", "10", "caf\u00e9", "cafe\u0301", "train", "Valid", "test", "a.png", "0.png",
    "B.PNG", "notes.txt", "..", ".", "", ".git", "__MACOSX", "._0.png", "two\nlines", "\x1b[31m.png", "C:",
    "\\evil", "secret.png", " ", "n" * 300 + ".png", "d/" * 150 + "d",
]  # fmt: skip
NAMES = st.builds(
    lambda lead, folders, last: lead + "/".join([*folders, last]),
    st.sampled_from(["", "", "", "", "", "", "/", "./", "../", ".//"]),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3),
    st.sampled_from(["0.png", "2.png", "10.png", "a.PNG", "cat", ""]),
)
MEMBERS = st.builds(
    Member,
    NAMES,
    st.sampled_from(KINDS) | st.just(tarfile.REGTYPE),
    st.sampled_from([*PICTURES, b"", b"text", PICTURES[0][:50]]),
    st.sampled_from(["../secret.png", "0.png", "cat", "..", "/dev/zero", "nowhere"]),
)


def make_tar(path: Path, members: list[Member], kind: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w:", format=kind) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname = member.kind, member.target
            info.size = len(member.content) if member.kind in REGULAR else 0
            archive.addfile(info, io.BytesIO(member.content))
    return path


def make_zip(path: Path, members: list[Member]) -> Path:
    """Links are written as Info-ZIP does; a device is what a zip has no place for."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # two members of one name
        for member in members:
            info = zipfile.ZipInfo(member.name + "/" * (member.kind == tarfile.DIRTYPE))
            link = member.kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)
            info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o777) << 16
            archive.writestr(info, member.target if link else member.content)
    return path


MAKERS: dict[str, Callable[[Path, list[Member]], Path]] = {"zip": make_zip, "tar": make_tar}
both = pytest.mark.parametrize("kind", MAKERS)


def plain(name: str) -> str:
    """As a file system would read the name."""
    return "/".join(piece for piece in name.split("/") if piece not in ("", "."))


def leaves(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in name.split("/") or name[1:2] == ":"


def facts(manifest: Manifest) -> tuple[object, ...]:
    columns = (manifest.paths, manifest.parts, manifest.digests)
    skipped = sorted((skip.path, skip.reason, skip.bad) for skip in manifest.skipped)
    return manifest.classes, manifest.labels.tolist(), [list(column) for column in columns], skipped


def assert_sound(manifest: Manifest) -> None:
    """Each row is a picture of the archive under a name that stays in it."""
    for row, path in enumerate(manifest.paths):
        assert hashlib.sha256(manifest.read(row)).hexdigest() == manifest.digests[row]
        pieces = path.split("/")
        assert not {"", ".", ".."} & set(pieces) and not any(piece.startswith(".") for piece in pieces)
    assert hashlib.sha256(SECRET).hexdigest() not in manifest.digests
    assert all(skip.reason and skip.path.encode() for skip in manifest.skipped)
    assert "" not in manifest.classes


def is_folder(member: Member, kind: str) -> bool:
    """A zip knows a folder by the end of its name."""
    return member.kind == tarfile.DIRTYPE or (kind == "zip" and member.name.endswith("/"))


@both
@QUICK
@given(members=st.lists(MEMBERS, max_size=10), top=st.sampled_from(["", "", "pets/", "train/"]))
def test_every_member_is_a_row_or_is_listed_with_its_reason(
    kind: str, members: list[Member], top: str
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary, "secret.png").write_bytes(SECRET)
        Path(temporary, "in").mkdir()
        members = [member._replace(name=top + member.name) for member in [*SOUND, *members]]
        path = MAKERS[kind](Path(temporary, "in", f"a.{kind}"), members)
        before = state_of(Path(temporary))
        try:
            manifest = read_archive(path)
        except DataError as error:
            assert str(path) in str(error)
            return
        finally:
            assert state_of(Path(temporary)) == before
        assert_sound(manifest)
        told = {*manifest.paths, *(skip.path for skip in manifest.skipped)}
        told |= {manifest.source.top + place for place in told}
        last: dict[str, Member] = {}
        for member in members:
            name = member.name if leaves(member.name) else plain(member.name)
            if name and not is_folder(member, kind):
                last[name] = member
                assert {listed_as(name), listed_as(name.rstrip("/"))} & told, member
        for row, place in enumerate(manifest.paths):
            member = last[manifest.source.top + place]
            assert manifest.read(row) == member.content, "of two members with one name the last is read"


@both
@QUICK
@given(members=st.lists(MEMBERS, max_size=8, unique_by=lambda member: plain(member.name)))
def test_the_order_of_the_members_does_not_matter(kind: str, members: list[Member]) -> None:
    assume(not {plain(member.name) for member in SOUND} & {plain(member.name) for member in members})
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, f"a.{kind}")
        told = []
        for order in ([*SOUND, *members], [*members[::-1], *SOUND[::-1]]):
            try:
                told.append(facts(read_archive(MAKERS[kind](path, order))))
            except DataError as error:
                told.append((str(error),))
        assert told[0] == told[1]


@both
@QUICK
@given(
    members=st.lists(MEMBERS, max_size=3),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=4),
    cut=st.just(1.0) | st.floats(0, 1),
)
def test_damage_anywhere_ends_in_what_is_sound_or_in_an_error_of_ours(
    kind: str, members: list[Member], changes: list[tuple[float, bytes]], cut: float
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = MAKERS[kind](Path(temporary, f"a.{kind}"), [*SOUND, *members])
        content = bytearray(path.read_bytes())
        for share, value in changes:
            place = int(share * (len(content) - 1))
            content[place : place + len(value)] = value
        path.write_bytes(content[: int(len(content) * cut)])
        try:
            assert_sound(read_archive(path))
        except LexNetError as error:
            assert str(path) in str(error)


# --- headers that lie and whose checksum is right


def lying(size: int = 0, kind: bytes = tarfile.REGTYPE, name: str = "cat/x.png", **fields: bytes) -> bytes:
    """A tar header of a member of this size, whatever follows it."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT)[-512:])
    for place, value in fields.items():
        start = int(place.removeprefix("at"))
        head[start : start + len(value)] = value
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


SIZES = st.sampled_from([-(2**70), -512, -1024, -1536, -2048, -1, 1, 511, 512, 2**33, 2**40, 2**63, 2**70])
TYPES = st.sampled_from([*KINDS, *(kind.encode() for kind in "\0xgLKSXM")])


@QUICK
@given(
    heads=st.lists(st.tuples(SIZES | st.integers(-3000, 3000), TYPES, st.binary(max_size=12)), max_size=4),
    place=st.integers(100, 500),
    cut=st.just(0) | st.integers(0, 2000),
)
def test_no_header_of_a_tar_is_believed_more_than_the_file(
    heads: list[tuple[int, bytes, bytes]], place: int, cut: int
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = make_tar(Path(temporary, "a.tar"), SOUND)
        content = path.read_bytes()
        start = content.index(b"dog/0.png")
        odd = b"".join(lying(size, kind, **{f"at{place}": value}) for size, kind, value in heads)
        content = content[:start] + odd + content[start:]
        path.write_bytes(content[: len(content) - cut])
        try:
            assert_sound(read_archive(path))
        except LexNetError as error:
            assert str(path) in str(error)


CENTRAL = {6: 2, 8: 2, 10: 2, 16: 4, 20: 4, 24: 4, 28: 2, 30: 2, 32: 2, 34: 2, 38: 4, 42: 4}
"""Where a field of a zip's central header begins, and its bytes."""


@QUICK
@given(
    fields=st.lists(
        st.tuples(st.sampled_from(list(CENTRAL)), st.sampled_from([0, 1, 99, 2**16 - 1, 2**32 - 1])),
        min_size=1,
        max_size=3,
    ),
    which=st.integers(0, 3),
)
def test_no_header_of_a_zip_is_believed_more_than_the_file(fields: list[tuple[int, int]], which: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = make_zip(Path(temporary, "a.zip"), SOUND)
        content = bytearray(path.read_bytes())
        start = content.index(SOUND[which].name.encode(), content.index(b"PK\1\2")) - 46
        for offset, value in fields:
            size = CENTRAL[offset]
            content[start + offset : start + offset + size] = value.to_bytes(4, "little")[:size]
        path.write_bytes(content)
        try:
            assert_sound(read_archive(path))
        except LexNetError as error:
            assert str(path) in str(error)


def pax(size: str) -> bytes:
    """A member whose size is told in a header before it: three blocks."""
    info = tarfile.TarInfo("cat/x.png")
    info.pax_headers = {"size": size}
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize(
    "odd",
    [
        pax("-1536"),
        lying(-512),
        lying(-512, tarfile.GNUTYPE_SPARSE, at483=b"00000000001\0"),
        lying(2**40, tarfile.XHDTYPE),
        lying(2**70, tarfile.GNUTYPE_LONGNAME),
        lying(2**70),
        lying(0, tarfile.GNUTYPE_SPARSE, at482=b"\1"),
    ],
    ids=["pax to itself", "to itself", "sparse to itself", "terabyte", "2**70", "member", "sparse, cut off"],
)
def test_a_tar_that_leads_round_or_far_beyond_itself_is_an_error_that_says_so(
    tmp_path: Path, odd: bytes
) -> None:
    path = make_tar(tmp_path / "a.tar", SOUND)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"dog/0.png")] + odd + bytes(100))
    with pytest.raises(DataError, match=r"a\.tar cannot be read as an archive \(.+\); pack it again"):
        read_archive(path)


@both
def test_a_name_of_many_folders_costs_no_more_than_its_length(tmp_path: Path, kind: str) -> None:
    name = "cat/" + "d/" * 4_000 + "x.png"
    path = MAKERS[kind](tmp_path / f"a.{kind}", [*SOUND, Member(name, content=PICTURES[5])])
    tracemalloc.start()
    manifest = read_archive(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert name in manifest.paths and manifest.classes == ["cat", "dog"]
    assert peak < 10_000_000, f"{peak:,} bytes were taken for a name of {len(name):,}"


@both
@pytest.mark.parametrize("name", ["cat//x.png", ".//cat/x.png", "cat/./x.png", "././cat/.//x.png"])
def test_a_name_is_read_as_a_file_system_would(tmp_path: Path, kind: str, name: str) -> None:
    manifest = read_archive(MAKERS[kind](tmp_path / f"a.{kind}", [*SOUND, Member(name, content=PICTURES[5])]))
    assert manifest.classes == ["cat", "dog"] and manifest.skipped == []
    assert list(manifest.paths) == ["cat/0.png", "cat/1.png", "cat/x.png", "dog/0.png", "dog/1.png"]


def test_names_that_are_not_utf_8_come_in_no_order_of_chance(tmp_path: Path) -> None:
    odd = [
        Member(f"cat/{os.fsdecode(bytes([byte]))}.png", content=PICTURES[5]) for byte in (0xE9, 0xFF, 0x80)
    ]
    told = [facts(read_archive(make_tar(tmp_path / "a.tar", [*SOUND, *order]))) for order in (odd, odd[::-1])]
    assert told[0] == told[1]
    assert {path for path, *_ in told[0][3]} == {"cat/\\xe9.png", "cat/\\xff.png", "cat/\\x80.png"}


def test_headers_and_long_names_of_a_tar_cost_no_more_than_their_length(tmp_path: Path) -> None:
    """tarfile keeps what pax headers say of every member; and names are sorted by the numbers in them."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for i in range(40):
            name, content = f"{('cat', 'dog')[i % 2]}/{i}{'a1' * 4000}.png", encode(noise(i, 8, 8))
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(content), {"comment": "x" * 500_000}
            archive.addfile(info, io.BytesIO(content))
    tracemalloc.start()
    assert len(read_archive(path)) == 40
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000, f"{peak:,} bytes"


def x_header(kind: bytes, i: int) -> bytes:
    """Half a megabyte said of the next member, or of all."""
    info = tarfile.TarInfo()
    return info._create_pax_generic_header({f"k{i}": "x" * 500_000}, kind, "utf-8")


@pytest.mark.parametrize("kind", ["of all members", "of one"])
def test_what_many_headers_say_together_is_limited(tmp_path: Path, kind: str) -> None:
    content = make_tar(tmp_path / "a.tar", SOUND).read_bytes()
    if kind == "of one":
        odd = b"".join(x_header(tarfile.XHDTYPE, i) for i in range(20))
    else:
        odd = b"".join(x_header(tarfile.XGLTYPE, i) + lying(name=f"{i}.png") for i in range(20))
    (tmp_path / "a.tar").write_bytes(odd + content)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"1,5..,... bytes are said of a member, over 1,048,576"):
        read_archive(tmp_path / "a.tar")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000, f"{peak:,} bytes"


def test_where_the_links_of_a_tar_lead_is_not_kept(tmp_path: Path) -> None:
    links = [Member(f"cat/{i}.png", tarfile.SYMTYPE, target="x" * 500_000) for i in range(40)]
    make_tar(tmp_path / "a.tar", [*links, Member("dog/1.png", content=PICTURES[0])], tarfile.GNU_FORMAT)
    tracemalloc.start()
    assert len(read_archive(tmp_path / "a.tar")) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000, f"{peak:,} bytes"


@both
def test_files_come_folder_by_folder(tmp_path: Path, kind: str) -> None:
    names = ["cat/a/1.png", "cat/a/10.png", "cat/a1.png", "cat/a!/2.png", "cat/b.png"]
    members = [Member(name, content=PICTURES[0]) for name in names]
    assert list(read_archive(MAKERS[kind](tmp_path / f"a.{kind}", members[::-1])).paths) == names
