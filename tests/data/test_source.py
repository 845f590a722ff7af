"""The word DATA: folders, archives, tables and sample sets all lead to the same bundle."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from picture_makers import class_folder, clipart_folder, state_of

from lexnet.cli import main
from lexnet.config import SplitConfig, TrainConfig
from lexnet.data.folder import read_folder
from lexnet.data.source import find_data, read_data
from lexnet.errors import DataError, LexNetError, OutputError
from lexnet.job.run import Run, train

CLASSES = ("birds", "flags", "fruit")
SAME = {"zip": ".zip", "tar": ".tar", "gztar": ".tar.gz", "bztar": ".tar.bz2", "xztar": ".tar.xz"}


def csv_of(root: Path) -> Path:
    """A table beside the class folders, in another order than theirs."""
    rows = sorted((path.relative_to(root).as_posix() for path in root.glob("*/*.png")), reverse=True)
    table = root / "list.csv"
    table.write_text("label,path\n" + "".join(f"{row.split('/')[0]},{row}\n" for row in rows))
    return table


def sorted_csv_of(root: Path) -> Path:
    """A table with its rows in the folder's order."""
    table = root / "list.csv"
    table.write_text("path,label\n" + "".join(f"{p},{p.split('/')[0]}\n" for p in read_folder(root).paths))
    return table


def parquet_of(root: Path) -> Path:
    """A table with the pictures inside it, in the folder's order."""
    paths = list(read_folder(root).paths)
    columns = {
        "image": [{"bytes": (root / path).read_bytes(), "path": path} for path in paths],
        "label": [path.split("/")[0] for path in paths],
    }
    pq.write_table(pa.table(columns), root.parent / "list.parquet", row_group_size=7)
    return root.parent / "list.parquet"


def zip_of(root: Path) -> Path:
    return Path(shutil.make_archive(str(root.parent / "packed"), "zip", root))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of eight clip arts."""
    return clipart_folder(tmp_path_factory.mktemp("data") / "few", CLASSES)


@pytest.fixture(scope="module")
def of_folder(few: Path, shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the folder itself: what the others are compared with."""
    return train(str(few), TrainConfig(), tmp_path_factory.mktemp("runs") / "folder")


@pytest.fixture
def copied(few: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(few, tmp_path / "few"))


def bundle_of(run: Run) -> bytes:
    return (run.folder / "model.lexnet").read_bytes()


def lexnet(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["lexnet", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


# --- reading


@pytest.mark.parametrize("kind", SAME)
def test_every_archive_is_read_as_what_it_is(tmp_path: Path, kind: str) -> None:
    root = class_folder(tmp_path / "data", cat=3, dog=3)
    path = shutil.make_archive(str(tmp_path / "packed"), kind, root)
    assert find_data(path) == Path(path) and path.endswith(SAME[kind])
    manifest, expected = read_data(path), read_folder(root)
    assert (manifest.classes, manifest.paths, manifest.digests) == (
        expected.classes, expected.paths, expected.digests,
    )  # fmt: skip
    assert manifest.labels.tolist() == expected.labels.tolist()


def test_folders_tables_and_sample_sets_are_read_as_what_they_are(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=3, dog=3)
    expected = read_folder(root)
    assert read_data(str(root)).digests == expected.digests
    assert sorted(read_data(str(csv_of(root))).digests) == sorted(expected.digests)
    (root / "list.csv").unlink()
    assert read_data(str(parquet_of(root))).digests == expected.digests
    assert len(read_data("clipart")) == 621


def test_classes_and_progress_are_passed_on_to_every_kind(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "data", cat=3, dog=3)
    for path in (root, zip_of(root), parquet_of(root), csv_of(root)):
        told: list[tuple[int, int]] = []
        manifest = read_data(str(path), ["emu", "dog", "cat"], lambda *step, told=told: told.append(step))
        assert manifest.classes == ["emu", "dog", "cat"] and set(manifest.labels.tolist()) == {1, 2}
        assert told[-1] == (6, 6), path
        with pytest.raises(DataError, match=r"'dog'.*is not among the 1 classes"):
            read_data(str(path), ["cat"])


def test_a_folder_that_is_called_like_an_archive_is_a_folder(tmp_path: Path) -> None:
    for name in ("a.zip", "a.csv", "a.tar.gz"):
        root = class_folder(tmp_path / name, cat=1, dog=1)
        assert read_data(str(root)).classes == ["cat", "dog"]


@pytest.mark.parametrize("name", ["a.rar", "a.7z", "a.gz", "a.xlsx", "a.png", "zip"])
def test_a_file_of_another_kind_is_told_which_there_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        DataError, match=r"is a file of another kind; give a folder .*\.csv.*\.parquet.*\.zip"
    ):
        read_data(str(tmp_path / name))


@pytest.mark.parametrize("name", ["none", "none.zip", "none.tar.gz", "none.csv", "none.parquet"])
def test_what_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"there is no .*{name}"):
        read_data(str(tmp_path / name))


# --- training


@pytest.mark.parametrize("make", [zip_of, sorted_csv_of, parquet_of])
def test_the_same_pictures_in_another_wrapping_give_the_same_bundle(
    copied: Path, of_folder: Run, tmp_path: Path, make: Any
) -> None:
    path = make(copied)
    before = state_of(copied)
    run = train(str(path), TrainConfig(), tmp_path / "out" / "run")
    assert bundle_of(run) == bundle_of(of_folder)
    assert state_of(copied) == before, "training writes nothing among the pictures"


def test_rows_in_another_order_give_the_same_split_and_score(
    copied: Path, of_folder: Run, tmp_path: Path
) -> None:
    run = train(str(csv_of(copied)), TrainConfig(), tmp_path / "run")
    lines = {name: sorted((r.folder / "split.csv").read_text().splitlines()) for name, r in
             {"csv": run, "folder": of_folder}.items()}  # fmt: skip
    assert lines["csv"] == lines["folder"]
    assert run.metrics["accuracy"] == of_folder.metrics["accuracy"]


def test_classes_of_which_one_name_begins_another_give_the_same_bundle(few: Path, tmp_path: Path) -> None:
    """`birds` before `birds2` in a folder, and so it must be in an archive."""
    root = tmp_path / "data"
    for name, source in {"birds": "birds", "birds2": "flags", "birds-3": "fruit"}.items():
        shutil.copytree(few / source, root / name)
    bundles = [
        bundle_of(train(str(path), TrainConfig(), tmp_path / f"run{i}"))
        for i, path in enumerate((root, zip_of(root)))
    ]
    assert bundles[0] == bundles[1]


def test_the_plan_of_an_archive_runs_again_to_the_same_bundle(
    copied: Path, of_folder: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_of(copied)
    monkeypatch.chdir(tmp_path)
    run = train(path.name, TrainConfig(), Path("run"))
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert plan["data"] == str(path), "absolute, so that it can be run from anywhere"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = train(str(tmp_path / "run" / "plan.yaml"), out=Path("again"))
    assert bundle_of(again) == bundle_of(of_folder)


def test_groups_and_limits_are_in_the_plan_and_run_again(copied: Path, tmp_path: Path) -> None:
    config = TrainConfig(split=SplitConfig(group_by=r"/(.....)", per_class=7))
    run = train(str(zip_of(copied)), config, tmp_path / "run")
    plan = yaml.safe_load((run.folder / "plan.yaml").read_text())
    assert (plan["split"]["group_by"], plan["split"]["per_class"]) == (r"/(.....)", 7)
    again = train(str(run.folder / "plan.yaml"), out=tmp_path / "again")
    assert bundle_of(again) == bundle_of(run)
    rows = (run.folder / "split.csv").read_text().splitlines()[1:]
    assert len(rows) <= 21


def test_a_run_may_lie_beside_an_archive_but_not_in_it(copied: Path) -> None:
    path = zip_of(copied)
    before = path.read_bytes()
    run = train(str(path), TrainConfig(), path.parent / "run")
    assert run.folder == path.parent / "run" and path.read_bytes() == before
    for out in (path, path / "run"):
        with pytest.raises(OutputError):
            train(str(path), TrainConfig(), out)
    assert path.read_bytes() == before


def test_a_bad_picture_in_an_archive_is_refused_by_name_or_left_out(copied: Path, tmp_path: Path) -> None:
    whole = sorted((copied / "birds").iterdir())[0].read_bytes()
    (copied / "birds/half.png").write_bytes(whole[: len(whole) // 2])
    (copied / "birds/text.png").write_text("no picture")
    path = zip_of(copied)
    with pytest.raises(DataError, match=r"1 picture cannot be used:\n  birds/text\.png is text, not a pict"):
        train(str(path), TrainConfig(), tmp_path / "run")
    run = train(str(path), TrainConfig(skip_bad=True), tmp_path / "run2")
    rows = (run.folder / "split.csv").read_text()
    assert "half.png" not in rows and "text.png" not in rows and len(rows.splitlines()) == 1 + 24


# --- the command line


def test_train_and_val_take_an_archive(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    copied: Path,
    of_folder: Run,
    tmp_path: Path,
) -> None:
    path = zip_of(copied)
    assert lexnet(monkeypatch, "train", path, "--json", "--out", tmp_path / "run") == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == of_folder.metrics["accuracy"]
    bundle = tmp_path / "run/model.lexnet"
    assert bundle.read_bytes() == bundle_of(of_folder)
    told = []
    for data in (copied, path, parquet_of(copied)):
        assert lexnet(monkeypatch, "val", bundle, data, "--json") == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1] == told[2] and told[0]["count"] > 0


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.csv", "a.parquet"])
def test_a_damaged_file_ends_with_2_and_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 8)
    assert lexnet(monkeypatch, "train", path, "--out", tmp_path / "run") == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("lexnet: ") and str(path) in err and "Traceback" not in err
    assert {file.name for file in tmp_path.iterdir()} == {name}


def test_all_that_reading_raises_is_of_our_own(tmp_path: Path) -> None:
    for name in ("a.zip", "a.tar", "a.tgz", "a.tbz2", "a.txz", "a.csv", "a.parquet"):
        for content in (
            b"",
            b"\0",
            b"\x1f\x8b",
            b"BZh9",
            b"\xfd7zXZ\0",
            b"PK\5\6",
            b"PAR1PAR1",
            b"\xef\xbb\xbf",
        ):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(LexNetError):
                read_data(str(tmp_path / name))
