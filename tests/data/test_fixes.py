"""fixes.csv: what it says is what is done, and what makes no sense is refused by its line."""

import csv
import os
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_makers import class_folder, clipart_folder, noise, state_of

from lexnet.config import TrainConfig
from lexnet.data.fixes import COLUMNS, PROPOSALS, Fix, apply_fixes, counted_fixes, fixes_csv, read_fixes
from lexnet.data.folder import read_folder
from lexnet.data.manifest import Manifest
from lexnet.errors import DataError
from lexnet.job.run import train

HEAD = ",".join(COLUMNS)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Three cats and three dogs, a bad file and one that was not meant as a picture."""
    root = class_folder(tmp_path / "pictures", cat=3, dog=3)
    (root / "cat" / "bad.png").write_text("text")
    (root / "dog" / "notes.txt").write_text("text")
    return read_folder(root)


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "fixes.csv"
    file.write_bytes(text.encode(encoding))
    return file


def labels_of(manifest: Manifest) -> dict[str, str]:
    return {
        path: manifest.classes[label] for path, label in zip(manifest.paths, manifest.labels, strict=True)
    }


printable = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1
)
fixes = st.builds(
    Fix,
    path=printable,
    fault=printable,
    proposal=st.sampled_from(PROPOSALS),
    value=printable,
    why=st.one_of(st.just(""), printable),
)


@given(st.lists(fixes, max_size=8))
def test_what_is_written_is_read_back(some: list[Fix]) -> None:
    """Commas, quotes and letters of any script are kept."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert read_fixes(written(Path(folder), fixes_csv(some))) == some


def test_the_file_is_what_the_docstring_shows() -> None:
    fix = Fix("cat/12.jpg", "suspect_labels", "relabel", "dog", "dog with probability 0.97")
    assert fixes_csv([fix]) == (
        "\ufeffpath,fault,proposal,value,why\n"
        "cat/12.jpg,suspect_labels,relabel,dog,dog with probability 0.97\n"
    )
    assert fixes_csv([]) == "\ufeffpath,fault,proposal,value,why\n"


def test_a_spreadsheet_may_write_another_mark_between_fields(tmp_path: Path) -> None:
    (tmp_path / "fixes.csv").write_text("\ufeffpath;fault;proposal;value;why\r\na.png;x;drop;;\r\n;;;;\r\n")
    assert read_fixes(tmp_path / "fixes.csv") == [Fix("a.png", "x", "drop")]


def test_blanks_around_a_name_are_part_of_it(tmp_path: Path) -> None:
    some = [Fix(" cat/1.png", "suspect_labels", "relabel", " dog")]
    assert read_fixes(written(tmp_path, fixes_csv(some))) == some


def test_drop(manifest: Manifest) -> None:
    left = apply_fixes(manifest, [Fix("cat/1.png", "outliers", "drop")], "my.csv")
    assert list(left.paths) == ["cat/0.png", "cat/2.png", "dog/0.png", "dog/1.png", "dog/2.png"]
    assert [(skip.path, skip.reason, skip.bad) for skip in left.skipped if "1" in skip.path] == [
        ("cat/1.png", "is dropped by my.csv", False)
    ]
    assert left.classes == ["cat", "dog"] and len(manifest) == 6  # what was given is as it was


def test_a_dropped_bad_file_is_bad_no_longer(manifest: Manifest) -> None:
    assert [skip.path for skip in manifest.skipped if skip.bad] == ["cat/bad.png"]
    left = apply_fixes(manifest, [Fix("cat/bad.png", "unreadable", "drop")], "my.csv")
    assert not any(skip.bad for skip in left.skipped) and len(left) == 6
    assert {skip.path for skip in left.skipped} == {"cat/bad.png", "dog/notes.txt"}
    kept = apply_fixes(manifest, [Fix("cat/bad.png", "unreadable", "keep")], "my.csv")
    assert any(skip.bad for skip in kept.skipped)


def test_relabel(manifest: Manifest) -> None:
    left = apply_fixes(manifest, [Fix("cat/1.png", "suspect_labels", "relabel", "dog")], "my.csv")
    assert labels_of(left) == labels_of(manifest) | {"cat/1.png": "dog"}
    assert labels_of(manifest)["cat/1.png"] == "cat"
    assert list(left.digests) == list(manifest.digests)


def test_regroup(manifest: Manifest) -> None:
    some = [Fix(path, "near_duplicates", "regroup", "shoot 7") for path in ("cat/0.png", "cat/2.png")]
    left = apply_fixes(manifest, some, "my.csv")
    assert list(left.groups) == ["shoot 7", "", "shoot 7", "", "", ""]
    assert list(manifest.groups) == [""] * 6


def test_keep_changes_nothing_whatever_its_value(manifest: Manifest) -> None:
    left = apply_fixes(manifest, [Fix("cat/1.png", "suspect_labels", "keep", "dog")], "my.csv")
    assert labels_of(left) == labels_of(manifest) and left.skipped == manifest.skipped
    assert np.array_equal(left.labels, manifest.labels) and left.groups == manifest.groups


def test_a_picture_may_get_a_label_and_a_group(manifest: Manifest) -> None:
    some = [Fix("cat/1.png", "", "relabel", "dog"), Fix("cat/1.png", "", "regroup", "a")]
    left = apply_fixes(manifest, some, "my.csv")
    assert labels_of(left)["cat/1.png"] == "dog" and left.groups[1] == "a"


def test_where_one_row_drops_a_picture_the_others_do_not_matter(manifest: Manifest) -> None:
    some = [
        Fix("cat/1.png", "", "relabel", "dog"),
        Fix("cat/1.png", "", "relabel", "cat"),
        Fix("cat/1.png", "", "drop"),
        Fix("cat/1.png", "", "keep"),
    ]
    assert "cat/1.png" not in list(apply_fixes(manifest, some, "my.csv").paths)


def test_a_picture_that_is_gone_needs_no_dropping(manifest: Manifest) -> None:
    """And what was made of how many rows is told."""
    some = [Fix("cat/9.png", "", "drop"), Fix("cat/8.png", "", "keep"), Fix("cat/1.png", "", "drop")]
    left = apply_fixes(manifest, some, "my.csv")
    assert "cat/1.png" not in list(left.paths) and len(left) == len(manifest) - 1
    assert counted_fixes(manifest, some) == "drop 1, 2 of pictures that are gone"
    assert counted_fixes(manifest, []) == "no rows"


@pytest.mark.parametrize(
    ("some", "message"),
    [
        (
            [Fix("cat/9.png", "", "drop")],
            r"my\.csv has rows for pictures that are not in (.|\n)*cat/9\.png\nremove the rows",
        ),
        (
            [Fix("cat/1.png", "", "drop"), *(Fix(f"cat/{i}.png", "", "relabel", "dog") for i in (8, 9))],
            r"pictures that are not in (.|\n)*cat/8\.png(.|\n)*cat/9\.png",
        ),
        ([Fix("cat/1.png", "", "relabel", "cow")], r"my\.csv calls cat/1\.png 'cow', which is no class here"),
        (
            [Fix("cat/1.png", "", "regroup", "a"), Fix("cat/1.png", "", "regroup", "b")],
            r"my\.csv has two values for cat/1\.png",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(manifest: Manifest, some: list[Fix], message: str) -> None:
    with pytest.raises(DataError, match=message):
        apply_fixes(manifest, some, "my.csv")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat/1.png,x,delete,,", r"line 3 proposes 'delete'; use drop, relabel, regroup, keep"),
        ("cat/1.png,x,relabel,,", r"line 3 says relabel, but not as what; fill in its value"),
        ("cat/1.png,x,regroup,,", r"line 3 says regroup, but not as what"),
        ("cat/1.png,x,,,", r"line 3 has no proposal; its columns are path, fault, proposal, value, why"),
        (",x,drop,,", r"line 3 has no path"),
        ("cat/1.png", r"line 3 has no proposal"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(line: str, message: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"{HEAD}\ncat/0.png,x,drop,,\n{line}\ncat/2.png,x,nonsense,,\n")
    with pytest.raises(DataError, match=message):
        read_fixes(file)


@pytest.mark.parametrize("before", ["\n\n", 'cat/0.png,x,keep,,"one\ntwo\nthree"\n'], ids=["blank", "quoted"])
def test_the_line_is_that_of_the_file(before: str, tmp_path: Path) -> None:
    text = f"{HEAD}\n{before}cat/1.png,x,delete,,\n"
    line = text.split("\n").index("cat/1.png,x,delete,,") + 1
    with pytest.raises(DataError, match=rf"line {line} proposes"):
        read_fixes(written(tmp_path, text))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_as_a_spreadsheet_saves_it(encoding: str, ending: str, tmp_path: Path) -> None:
    """With a byte order mark, CRLF, columns moved and added, quotes, and no line break at the end."""
    lines = [
        "proposal,path,reviewed by,value",
        'drop,"Hündin, alt/1.png",Zoë',
        "relabel,dog/2.png,,cat,surplus",
    ]
    assert read_fixes(written(tmp_path, ending.join(lines), encoding)) == [
        Fix("Hündin, alt/1.png", "", "drop"),
        Fix("dog/2.png", "", "relabel", "cat"),
    ]


@pytest.mark.parametrize("empty", [",,,,", ",", '"",""', ",,,,,,"])
def test_rows_that_a_spreadsheet_left_empty_are_none(empty: str, tmp_path: Path) -> None:
    text = f"{HEAD}\n{empty}\ncat/1.png,,drop,,\n{empty}\n"
    assert read_fixes(written(tmp_path, text)) == [Fix("cat/1.png", "", "drop")]


def test_a_file_without_rows_asks_for_nothing(tmp_path: Path) -> None:
    assert read_fixes(written(tmp_path, f"{HEAD}\n")) == []


@pytest.mark.parametrize("content", [b"\xff\xfep\0a\0t\0h\0", b"path,proposal\ncaf\xe9/1.png,drop\n"])
def test_another_encoding_is_refused_with_a_way_on(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "fixes.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as CSV .*; save it as UTF-8"):
        read_fixes(tmp_path / "fixes.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_fixes(tmp_path / "none.csv")


def test_what_would_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for endless in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(DataError, match=r"cannot be read \(it is no regular file\); check the path"):
            read_fixes(endless)


def test_dropped_bad_files_no_longer_block_training(tmp_path: Path) -> None:
    """One that its header betrays and one that only decoding does; the pictures stay as they are."""
    root = clipart_folder(tmp_path / "pictures", count=10)
    (root / "birds" / "text.png").write_text("text")
    whole = sorted((root / "fruit").iterdir())[0].read_bytes()
    (root / "fruit" / "half.png").write_bytes(whole[: len(whole) // 2])
    noise(0).save(root / "fruit" / "noise.png")
    before = state_of(root)
    with pytest.raises(DataError, match=r"text\.png is text"):
        train(str(root), TrainConfig(), tmp_path / "refused")
    some = [Fix("birds/text.png", "unreadable", "drop")]
    file = written(tmp_path, fixes_csv(some))
    with pytest.raises(DataError, match=r"half\.png is damaged"):
        train(str(root), TrainConfig(fixes=str(file)), tmp_path / "refused too")
    some += [Fix("fruit/half.png", "unreadable", "drop"), Fix("fruit/noise.png", "outliers", "drop")]
    run = train(str(root), TrainConfig(fixes=str(written(tmp_path, fixes_csv(some)))), tmp_path / "run")
    assert sum(run.metrics["counts"][part] for part in ("train", "val", "test")) == 20
    assert state_of(root) == before


def test_no_spreadsheet_takes_a_cell_for_a_formula(tmp_path: Path) -> None:
    some = [
        Fix(path, "leaks", "regroup", value)
        for path, value in (
            ("=HYPERLINK(1)/a.png", "+1"),
            ("-b/c.png", "@x"),
            ("'=d.png", "''-e"),
            ("f.png", "'g"),
        )
    ]
    file = tmp_path / "fixes.csv"
    file.write_text(fixes_csv(some), encoding="utf-8")
    rows = list(csv.reader(StringIO(file.read_text(encoding="utf-8-sig"))))
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert read_fixes(file) == some


def test_how_a_proposal_is_written_is_forgiven(tmp_path: Path) -> None:
    file = written(tmp_path, f"{HEAD}\na.png,x, Drop,,\nb.png,x,RELABEL,dog,\n")
    assert [fix.proposal for fix in read_fixes(file)] == ["drop", "relabel"]


def test_rows_that_do_not_count_are_told(manifest: Manifest) -> None:
    fixes = [
        Fix("cat/0.png", "label_conflicts", "drop"), Fix("cat/0.png", "suspect_labels", "relabel", "dog"),
        Fix("cat/bad.png", "suspect_labels", "relabel", "dog"), Fix("cat/bad.png", "unreadable", "keep"),
        Fix("gone.png", "x", "drop"), Fix("cat/1.png", "x", "relabel", "dog"),
    ]  # fmt: skip
    assert counted_fixes(manifest, fixes) == (
        "drop 1, relabel 1, keep 1, 1 relabel of pictures that another row drops, "
        "1 relabel of pictures that cannot be used, 1 of pictures that are gone"
    )
