"""What the command line prints into: pipes that close, code pages, terminals, several threads."""

import csv
import os
import pty
import subprocess
import sys
import threading
import zipfile
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from picture_makers import encode, noise

from lexnet.cli.printing import epoch_line, table
from lexnet.cli.progress import Bars
from lexnet.cli.say import plain
from lexnet.data.samples import sample_folder
from lexnet.job.events import Judged

BIRDS = str(sample_folder("clipart") / "birds")


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(bundle: str) -> None:
    command = [sys.executable, "-m", "lexnet", "predict", bundle, BIRDS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (141, b""), "as a shell has it: neither done nor failed"


def test_nor_one_who_reads_what_is_told_beside(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    command = [sys.executable, "-m", "lexnet", "train", "clipart", "--mode", "probe", "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    process.stderr.readline()
    process.stderr.close()
    assert process.wait() == 141


def test_threads_that_cannot_be_had_are_said_in_a_line(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("lexnet.data.tree.read_header", full)
    said = call("train", "clipart", "--dry-run")
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("lexnet: the system allows no more threads or memory; give")


def test_memory_that_runs_out_is_said_in_a_line(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("lexnet.data.tree.read_header", full)
    said = call("train", "clipart", "--dry-run")
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("lexnet: memory ran out; give fewer --workers, or")


def test_a_code_page_does_not_break_a_table(bundle: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "lexnet", "val", bundle, "clipart"],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
    )
    assert run.returncode == 0 and "─" in run.stdout.decode("utf-8")


def test_on_a_terminal_there_are_bars_and_the_summary(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "lexnet",
        "train",
        "clipart",
        "--mode",
        "probe",
        "--out",
        str(tmp_path / "run"),
    ]
    controller, terminal = pty.openpty()
    process = subprocess.Popen(command, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    while True:
        try:
            seen += os.read(controller, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
    os.close(controller)
    assert process.wait() == 0
    for text in ("frozen net", "head", "verify", "left", "test accuracy"):
        assert text in seen.decode()


def test_a_step_that_comes_again_has_a_bar_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tail's activations: first of the val part, then of the train part."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Bars() as bars:
        for done, total in ((30, 30), (0, 212), (40, 212)):
            bars.update("activations", done, total)
        (task,) = bars._bars.tasks
        assert (task.completed, task.total) == (40, 212)


def test_a_class_with_a_smileys_name_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        bars.print(":cat: 12")
    assert ":cat: 12" in capsys.readouterr().err


STEERING = "\x1b]0;PWNED\x07\x1b[2J\x9b2J"
"""A name that would set the window's title and wipe it."""


def archive(file: Path, *more: str) -> Path:
    """Two classes of four pictures, and these members that are none."""
    with zipfile.ZipFile(file, "w") as members:
        for i in range(8):
            members.writestr(f"{'cat' if i % 2 else 'dog'}/{i}.png", encode(noise(i)))
        for name in more:
            members.writestr(name, b"no picture")
    return file


def harmless(said: Any) -> str:
    """What was said, with the name in it and nothing that steers a terminal."""
    text = said.out + said.err
    assert "PWNED" in text and not set(STEERING[:1] + "\x07\x9b") & set(text)
    return str(text)


@pytest.mark.parametrize("name", [f"cat/{STEERING}.png", f"{STEERING}/1.png", f"cat/{STEERING}.txt"])
def test_a_name_out_of_an_archive_does_not_steer_the_terminal(call: Any, tmp_path: Path, name: str) -> None:
    file = archive(tmp_path / "a.zip", name)
    for words in ((), ("--skip-bad",)):
        said = call("train", file, "--mode", "probe", "--dry-run", *words)
        assert said.code == 2 * (name.endswith("png") and not words)
        assert "\\u001b]0;PWNED\\u0007" in harmless(said)


@pytest.mark.parametrize("path", [f"{STEERING}.png", f"{STEERING}/1.png"])
def test_a_name_out_of_a_table_does_not_steer_the_terminal(
    call: Any, bundle: str, tmp_path: Path, path: str
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"path,label\n{path},cat\n")
    for words in (("train", table), ("val", bundle, table, "--json"), ("check", table)):
        said = call(*words)
        assert said.code == 2 and "lists a path that is not printable" in harmless(said)


def test_names_given_to_predict_do_not_steer_the_terminal(call: Any, bundle: str) -> None:
    for form in ((), ("--json",)):
        harmless(call("predict", bundle, f"{STEERING}.png", *form))


def test_csv_has_names_as_they_are_but_in_a_terminal(
    call: Any, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = csv.DictReader(StringIO(call("predict", bundle, f"{STEERING}.png", "--csv").out))
    assert row["path"] == f"{STEERING}.png"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    harmless(call("predict", bundle, f"{STEERING}.png", "--csv"))


def test_lines_and_letters_stay_as_they_are() -> None:
    assert plain("Hündin 🐕 ─\nzwei") == "Hündin 🐕 ─\nzwei"
    assert plain("\x1b\t\r\x7f\x9b\udce9\u202e") == r"\u001b\u0009\u000d\u007f\u009b\udce9\u202e"


def test_bars_may_be_moved_from_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    failures: list[BaseException] = []

    def move(name: str) -> None:
        try:
            for done in range(300):
                bars.update(f"{name}{done % 3}", done, 300)
        except BaseException as error:
            failures.append(error)

    with Bars() as bars:
        threads = [threading.Thread(target=move, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_narrow_terminal_folds_the_widest_column(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ("cache", "some words that are more than forty columns can hold beside the others", "3")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = table(("kind", "what", "found"), [row], left=2).splitlines()
    assert max(map(len, lines)) <= 40 and lines[0].split() == ["kind", "what", "found"]
    assert " ".join(line[7:33].strip() for line in lines[2:]) == row[1]
    assert [line.split()[-1] for line in lines[2:3]] == ["3"]
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert len(table(("kind", "what", "found"), [row], left=2).splitlines()) == 3, "for files and pipes"


def test_a_line_an_epoch_but_at_most_twenty() -> None:
    for epochs, shown in ((6, 6), (20, 20), (45, 15), (1000, 20)):
        lines = [epoch_line(Judged(epochs, {"epoch": i + 1, "loss": 1.0})) for i in range(epochs)]
        assert len(list(filter(None, lines))) == shown
        assert lines[-1] == f"  epoch {epochs} of {epochs}: loss 1.000"
    seen = {"epoch": 1, "loss": 0.25, "lr": 1e-3, "val_accuracy": 0.9, "val_log_loss": 0.3}
    assert epoch_line(Judged(3, seen)) == (
        "  epoch 1 of 3: loss 0.250, val accuracy 90.0 %, val log loss 0.300"
    )


@pytest.mark.parametrize(("closed", "code"), [("2>&-", 0), (">&-", 0), ("<&-", 0), ("<&- >&- 2>&-", 0)])
def test_a_stream_that_was_closed_beforehand_is_as_if_nobody_looked(closed: str, code: int) -> None:
    command = f"{sys.executable} -m lexnet nets {closed}"
    run = subprocess.run(["bash", "-c", command], capture_output=True)
    assert run.returncode == code and b"Traceback" not in run.stdout + run.stderr
