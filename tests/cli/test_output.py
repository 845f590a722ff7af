"""What the command line prints into: pipes that close, code pages, terminals, several threads."""

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lexnet.cli.progress import Bars
from lexnet.data.samples import sample_folder

BIRDS = str(sample_folder("clipart") / "birds")


def test_a_reader_that_has_seen_enough_is_no_failure(bundle: str) -> None:
    command = [sys.executable, "-m", "lexnet", "predict", bundle, BIRDS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), errors) == (0, b"")


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
