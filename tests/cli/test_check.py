"""`lexnet check`: exit codes, its document, and where it writes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from picture_makers import CLIPART, clipart_folder, state_of
from PIL import Image

from lexnet.check.examine import BLOCKING, FAULTS
from lexnet.job import run as running

Call = Callable[..., Any]
CONTRACT = {
    "pictures",
    "unreadable",
    "exact_duplicates",
    "near_duplicates",
    "label_conflicts",
    "suspect_labels",
    "outliers",
    "balance",
    "groups",
    "blocking",
}
PATHS = ("exact_duplicates", "near_duplicates", "label_conflicts", "leaks", "near_conflicts", "near_leaks")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight birds and eight flags."""
    return clipart_folder(tmp_path / "pictures", ("birds", "flags"))


@pytest.fixture
def faulty(folder: Path) -> Path:
    """With a file that cannot be read, and one picture under two labels."""
    (folder / "birds" / "text.png").write_text("text")
    shutil.copy(folder / "flags" / "albania.png", folder / "birds" / "albania.png")
    return folder


def test_0_where_nothing_blocks(call: Call, folder: Path, tmp_path: Path) -> None:
    said = call("check", folder, "--out", tmp_path / "out")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].split() == ["fault", "what", "it", "is", "found"]
    assert [line.split("  ")[0] for line in lines[2 : 2 + len(FAULTS)]] == [
        name.replace("_", " ") for name in FAULTS
    ]
    assert "16 pictures in " in said.out and not any(line.endswith("blocks") for line in lines)
    assert f"page   {tmp_path / 'out/check.html'}" in said.out
    assert f"fixes  {tmp_path / 'out/fixes.csv'}" in said.out
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"check.html", "fixes.csv"}


def test_1_where_something_blocks(call: Call, faulty: Path, tmp_path: Path) -> None:
    said = call("check", faulty, "--out", tmp_path / "out")
    assert (said.code, said.err) == (1, "")
    blocked = [line for line in said.out.splitlines() if line.endswith("blocks")]
    assert [line.split("  ")[0] for line in blocked] == ["unreadable", "label conflicts"]
    assert (
        "  birds/text.png: " in said.out
        and "  birds/albania.png and flags/albania.png (birds, flags)\n" in said.out
    )
    assert f"lexnet train {faulty} --fixes {tmp_path / 'out/fixes.csv'}" in said.out
    assert (tmp_path / "out/check.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no such folder"], "there is no folder no such folder"),
        (["pictures", "--fail-on", "leaks,nonsense"], "fail_on='nonsense' is no fault; they are unreadable,"),
        (["pictures", "--fail-on", "label conflicts"], "fail_on='label conflicts' is no fault"),
        (["pictures", "--fixes", "none.csv"], "none.csv"),
        (["pictures", "--group-by", "("], "no regular expression"),
        (["pictures", "--workers", "0"], "--workers"),
        (["pictures", "--out", "pictures/out"], "lies inside the pictures' folder"),
        (["pictures", "--out", "pictures"], "lies inside the pictures' folder"),
        (["pictures", "--out", "a file"], "a file is no folder to write in; choose another --out"),
        (["pictures", "--out", "a file/out"], "a file is no folder to write in; choose another --out"),
    ],
)
def test_2_for_bad_usage(
    arguments: list[str],
    message: str,
    call: Call,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("x")
    monkeypatch.setattr("lexnet.job.check.examine", pytest.fail)  # it is refused before anything takes time
    before = state_of(folder)
    said = call("check", *arguments)
    assert (said.code, said.out) == (2, "") and message in said.err and "Traceback" not in said.err
    assert state_of(folder) == before


@pytest.mark.parametrize(
    "arguments", [["empty"], ["pictures", "--fixes", "fixes.csv"], ["pictures", "--group-by", "("]]
)
def test_what_is_refused_leaves_no_folder(
    arguments: list[str], call: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "class").mkdir(parents=True)
    (tmp_path / "fixes.csv").write_text("path,proposal\nnone.png,drop\n")
    assert call("check", *arguments).code == 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("fail_on", "blocking"),
    [
        (None, ["unreadable", "label_conflicts"]),
        ("", []),
        (" , ", []),
        ("leaks", []),
        ("label_conflicts", ["label_conflicts"]),
        (" exact_duplicates ,unreadable", ["unreadable", "exact_duplicates"]),
    ],
)
def test_fail_on_says_what_blocks(
    fail_on: str | None, blocking: list[str], call: Call, faulty: Path, tmp_path: Path
) -> None:
    flag = [] if fail_on is None else ["--fail-on", fail_on]
    said = call("check", faulty, "--out", tmp_path / "out", "--json", *flag)
    document = json.loads(said.out)
    assert document["blocking"] == blocking and said.code == (1 if blocking else 0)
    assert len(document["unreadable"]) == len(document["label_conflicts"]) == 1  # found all the same


def test_json_is_one_document_that_keeps_its_contract(call: Call, faulty: Path, tmp_path: Path) -> None:
    said = call("check", faulty, "--out", tmp_path / "out", "--json")
    document = json.loads(said.out)
    assert said.err == "" and set(document) >= CONTRACT
    assert document["pictures"] == 17
    assert document["unreadable"] == [{"path": "birds/text.png", "reason": "is text, not a picture"}]
    conflict = {
        "paths": ["birds/albania.png", "flags/albania.png"],
        "labels": ["birds", "flags"],
        "parts": ["", ""],
    }
    assert document["label_conflicts"] == document["exact_duplicates"] == [conflict]
    assert all(isinstance(row["paths"], list) for name in PATHS for row in document[name])
    assert all(
        isinstance(row["path"], str) for name in ("suspect_labels", "outliers") for row in document[name]
    )
    assert document["balance"]["classes"] == {"birds": 9, "flags": 8}
    assert set(document["blocking"]) <= set(BLOCKING) and document["seconds"] > 0
    assert Path(document["page"]).is_file() and Path(document["fixes"]).is_file()


def test_corrections_that_somebody_edited_are_never_lost(call: Call, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "fixes.csv").write_text("mine")
    said = call("check", folder, "--out", out)
    assert said.code == 2 and "holds a fixes.csv already; choose another --out" in said.err
    assert (out / "fixes.csv").read_text() == "mine" and not (out / "check.html").exists()
    (out / "fixes.csv").unlink()
    (out / "notes.txt").write_text("mine")
    assert call("check", folder, "--out", out).code == 0
    assert {file.name for file in out.iterdir()} == {"check.html", "fixes.csv", "notes.txt"}


def test_default_folders_are_numbered_and_kept(
    call: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    states = []
    for number in range(1, 4):
        assert call("check", "pictures/").code == 0
        made = tmp_path / "runs" / ("pictures-check" if number == 1 else f"pictures-check-{number}")
        states.append((made, state_of(made)))
        assert len(list((tmp_path / "runs").iterdir())) == number
    assert all(state_of(made) == state for made, state in states)


def test_from_inside_the_pictures_folder_it_asks_for_an_out(
    call: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    said = call("check", ".")
    assert said.code == 2 and "such as --out ../runs/pictures" in said.err and not (folder / "runs").exists()
    assert call("check", ".", "--out", tmp_path / "out").code == 0


def test_nothing_below_the_pictures_folder_changes(call: Call, faulty: Path, tmp_path: Path) -> None:
    before = state_of(faulty)
    call("check", faulty, "--out", tmp_path / "out")
    call("check", faulty, "--out", tmp_path / "again", "--fixes", tmp_path / "out/fixes.csv")
    assert state_of(faulty) == before


def found(call: Call, data: Path, out: Path) -> dict[str, Any]:
    """The document, without where and how long."""
    document = json.loads(call("check", data, "--out", out, "--json").out)
    return {name: value for name, value in document.items() if name not in ("page", "fixes", "seconds")}


def test_a_zip_and_a_table_are_looked_over_like_the_folder(call: Call, faulty: Path, tmp_path: Path) -> None:
    files = [file.relative_to(faulty).as_posix() for file in sorted(faulty.glob("*/*"))]
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for name in files:
            archive.write(faulty / name, name)
    rows = [f"pictures/{name},{name.split('/')[0]}" for name in files]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    folder = found(call, faulty, tmp_path / "1")
    assert folder["blocking"] == ["unreadable", "label_conflicts"]
    assert found(call, tmp_path / "pictures.zip", tmp_path / "2") == folder
    table = json.dumps(found(call, tmp_path / "list.csv", tmp_path / "3"))
    assert json.loads(table.replace('"pictures/', '"')) == folder


def test_the_corrections_of_a_folder_fit_its_zip(call: Call, faulty: Path, tmp_path: Path) -> None:
    assert call("check", faulty, "--out", tmp_path / "1").code == 1
    archive = shutil.make_archive(str(tmp_path / "pictures"), "zip", faulty)
    arguments = ("check", archive, "--fixes", tmp_path / "1/fixes.csv", "--out", tmp_path / "2")
    assert call(*arguments).code == 0


def test_group_by_names_a_group_that_straddles(call: Call, tmp_path: Path) -> None:
    for number, file in enumerate(sorted((CLIPART / "flags").iterdir())[:12]):
        for label in ("a", "b"):
            part = "train" if number < 6 else "test"
            target = tmp_path / "divided" / part / label / f"shoot{number % 6}-{label}-{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            source = (
                file if label == "a" else CLIPART / "music" / sorted(os.listdir(CLIPART / "music"))[number]
            )
            shutil.copy(source, target)
    said = call("check", tmp_path / "divided", "--group-by", r"(shoot0-a)", "--out", tmp_path / "o", "--json")
    document = json.loads(said.out)
    assert said.code == 1 and document["blocking"] == ["groups"]
    assert document["groups"] == [{"group": "shoot0-a", "parts": ["test", "train"]}]
    refused = call("train", tmp_path / "divided", "--group-by", r"(shoot0-a)", "--mode", "probe")
    assert (
        refused.code == 2 and "1 group lies in several parts, such as shoot0-a; `lexnet check`" in refused.err
    )
    fixes = tmp_path / "o/fixes.csv"
    fixes.write_text(fixes.read_text("utf-8").replace(",groups,drop,", ",groups,keep,"), "utf-8")
    settled = ("--group-by", r"(shoot0-a)", "--fixes", fixes, "--out", tmp_path / "kept")
    assert call("check", tmp_path / "divided", *settled).code == 0
    settled = ("--group-by", r"(shoot0-a)", "--fixes", fixes, "--out", tmp_path / "run", "--mode", "probe")
    trained = call("train", tmp_path / "divided", *settled)
    assert trained.code == 0 and "warning: groups in several parts: shoot0-a" in trained.err


def test_what_was_agreed_to_is_in_the_next_file_too(call: Call, tmp_path: Path) -> None:
    """A relabelled picture and a broken one: with the second file alone they are what was agreed."""
    root = tmp_path / "pictures"
    for label, kind in (("a", "flags"), ("b", "music")):
        (root / label).mkdir(parents=True)
        for file in sorted((CLIPART / kind).iterdir())[:12]:
            shutil.copy(file, root / label / file.name)
    wrong = sorted((CLIPART / "music").iterdir())[13]
    shutil.copy(wrong, root / "a/wrong.png")
    (root / "a/broken.png").write_text("no picture")
    fixes = tmp_path / "agreed.csv"
    rows = "a/wrong.png,suspect_labels,relabel,b,\na/broken.png,unreadable,drop,,\n"
    fixes.write_text("path,fault,proposal,value,why\n" + rows)
    for number in (1, 2):
        out = tmp_path / f"round{number}"
        assert call("check", root, "--fixes", fixes, "--out", out).code == 0
        fixes = out / "fixes.csv"
        text = fixes.read_text("utf-8-sig")
        assert "a/wrong.png,suspect_labels,relabel,b," in text and "a/broken.png,unreadable,drop,," in text


def test_a_sample_set_by_its_name(call: Call, tmp_path: Path) -> None:
    said = call("check", "clipart", "--out", tmp_path / "out", "--json")
    document = json.loads(said.out)
    assert (said.code, document["pictures"], document["blocking"]) == (0, 621, [])
    assert document["near_duplicates"] == document["exact_duplicates"] == []


def test_a_second_look_needs_no_torch(call: Call, folder: Path, tmp_path: Path) -> None:
    """The net's graph is in the cache by then, and so are the features and the small squares."""
    call("check", folder, "--out", tmp_path / "1")
    code = (
        "import sys\n"
        f"sys.argv = ['lexnet', 'check', {str(folder)!r}, '--out', {str(tmp_path / '2')!r}]\n"
        "from lexnet.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print('CODE', end.code)\n"
        "print('TORCH', 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "CODE 0" in run.stdout and "TORCH False" in run.stdout, run.stdout + run.stderr


def test_a_bomb_is_named_once_and_by_us(folder: Path, tmp_path: Path) -> None:
    """Pillow warns of such a file as well, on stderr and without its name."""
    Image.new("1", (9_500, 9_500)).save(folder / "birds" / "bomb.png")
    command = [sys.executable, "-m", "lexnet", "check", str(folder), "--json", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    (unreadable,) = json.loads(done.stdout)["unreadable"]
    assert (
        unreadable["path"] == "birds/bomb.png" and "9500x9500 pixels, over 64,000,000" in unreadable["reason"]
    )
    assert "Warning" not in done.stderr and "bomb" not in done.stderr


def test_what_the_corrections_leave_nothing_of_is_no_class(call: Call, tmp_path: Path) -> None:
    for label, kind, start in (("Flag", "flags", 0), ("flag", "flags", 8), ("music", "music", 0)):
        target = tmp_path / "data" / label
        target.mkdir(parents=True)
        for file in sorted((CLIPART / kind).iterdir())[start : start + 8]:
            shutil.copy(file, target)
    rows = [f"Flag/{file.name},,relabel,flag,\n" for file in sorted((tmp_path / "data/Flag").iterdir())]
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,fault,proposal,value,why\n" + "".join(rows))
    said = call("check", tmp_path / "data", "--fixes", fixes, "--out", tmp_path / "o")
    assert said.code == 0 and "leaves no picture of Flag: no class any more" in said.err
    asked = ("train", tmp_path / "data", "--fixes", fixes, "--mode", "probe", "--out", tmp_path / "run")
    metrics = json.loads(call(*asked, "--json").out)
    assert metrics["classes"] == ["flag", "music"] and sum(metrics["counts"].values()) == 24
    assert (tmp_path / "run/fixes.csv").read_text() == fixes.read_text(), "the run says what was corrected"


def test_a_pattern_that_takes_the_place_of_groups_says_so(call: Call, tmp_path: Path) -> None:
    rows = ["path,label,group"]
    for number in range(16):
        label = "flags" if number % 2 else "music"
        file = sorted((CLIPART / label).iterdir())[number]
        shutil.copy(file, tmp_path / f"{label}-{number}.png")
        rows.append(f"{label}-{number}.png,{label},{'all of them' if number < 9 else 'others'}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    asked = ("train", tmp_path / "list.csv", "--mode", "probe", "--dry-run")
    assert "2 groups; the largest, 'all of them', has 9 pictures" in call(*asked).err
    asked = ("check", tmp_path / "list.csv", "--out", tmp_path / "o", "--group-by", r"-(\d+)")
    assert "takes the place of the 2 groups that" in call(*asked).err


def test_a_damaged_picture_that_is_gone_on_without_is_named(call: Call, tmp_path: Path) -> None:
    clipart_folder(tmp_path / "data", ("flags", "music"))
    file = sorted((tmp_path / "data/music").iterdir())[0]
    file.write_bytes(file.read_bytes()[:-40])
    asked = ("train", tmp_path / "data", "--mode", "probe", "--skip-bad", "--out", tmp_path / "run")
    said = call(*asked)
    assert said.code == 0 and f"warning: left out:\n  music/{file.name} is damaged" in said.err


def test_names_that_steer_a_terminal_can_be_dropped(call: Call, tmp_path: Path) -> None:
    clipart_folder(tmp_path / "data", ("flags", "music"))
    shutil.copy(CLIPART / "flags" / os.listdir(CLIPART / "flags")[0], tmp_path / "data/music/new\nline.png")
    first = call("check", tmp_path / "data", "--out", tmp_path / "1", "--json")
    assert first.code == 1 and json.loads(first.out)["unreadable"][0]["path"] == r"music/new\u000aline.png"
    fixes = tmp_path / "1/fixes.csv"
    assert call("check", tmp_path / "data", "--fixes", fixes, "--out", tmp_path / "2").code == 0


def test_a_plan_is_run_again_by_the_corrections_that_its_run_keeps(call: Call, tmp_path: Path) -> None:
    clipart_folder(tmp_path / "data", ("flags", "music"), 12)
    first = sorted((tmp_path / "data/music").iterdir())[0].name
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(f"path,proposal\nmusic/{first},drop\n")
    asked = ("train", tmp_path / "data", "--fixes", fixes, "--mode", "probe", "--out", tmp_path / "1")
    assert call(*asked).code == 0
    fixes.write_text("path,proposal\n")
    assert call("train", tmp_path / "1/plan.yaml", "--out", tmp_path / "2").code == 0
    bundles = [(tmp_path / name / "model.lexnet").read_bytes() for name in "12"]
    assert bundles[0] == bundles[1]


def test_corrections_that_are_gone_when_a_run_ends_do_not_end_it_in_vain(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was applied is kept, whatever becomes of the file meanwhile."""
    clipart_folder(tmp_path / "data", ("flags", "music"))
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,proposal\n")
    learn = running.learn
    monkeypatch.setattr(running, "learn", lambda *given: (learn(*given), fixes.unlink())[0])
    asked = ("train", tmp_path / "data", "--fixes", fixes, "--mode", "probe", "--out", tmp_path / "run")
    assert call(*asked).code == 0
    assert (tmp_path / "run/fixes.csv").read_text() == "path,proposal\n"
