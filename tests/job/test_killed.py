"""Killed in the middle of an epoch, with nothing to say goodbye: the same command comes to the same bits."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from picture_makers import clipart_folder

from lexnet.job.folder import CHECKPOINT, DONE, HEAD
from lexnet.job.run import HISTORY, PREDICTIONS, SPLIT
from lexnet.runtime.bundle import BUNDLE, read_bundle
from lexnet.runtime.predictor import Predictor

DRIVER = """
import os, signal
from lexnet.train import loop
step, write, left = loop.step, loop.write_checkpoint, []
def counted(*arguments):
    if left and not left.pop():
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)
def written(*arguments):
    write(*arguments)
    left.extend([False, True, True])
loop.step, loop.write_checkpoint = counted, written
from lexnet.cli import main
main()
"""
"""`lexnet` that is killed before the third step after its first checkpoint."""
OF_ITS_TIME = ("steps", "seconds", "resumed", "trunk", "created", "command", "run", "bundle", "report")
"""What metrics.json says of when, where and out of which cache it was made."""


def train(folder: Path, *arguments: str, killed: bool = False) -> int:
    program = ("-c", DRIVER) if killed else ("-m", "lexnet")
    command = [sys.executable, *program, "train", "pictures", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode


def result(run: Path) -> tuple[list[bytes], dict[str, Any]]:
    metrics = json.loads((run / DONE).read_text("utf-8"))
    same = {key: value for key, value in metrics.items() if key not in OF_ITS_TIME}
    return [(run / name).read_bytes() for name in (BUNDLE, HISTORY, PREDICTIONS, SPLIT)], same


@pytest.mark.parametrize(
    "how",
    [
        ("--mode", "tail", "--size", "32"),
        ("--mode", "finetune", "--size", "32", "--ema", "0.9", "--find-lr"),
        ("--mode", "scratch", "--net", "lenet5_modern", "--patience", "3", "--optimiser", "sgd"),
    ],
    ids=lambda how: how[1],
)
def test_a_run_killed_within_an_epoch_goes_on_to_the_same_bits(how: tuple[str, ...], tmp_path: Path) -> None:
    clipart_folder(tmp_path / "pictures", count=24)
    how = (*how, "--epochs", "3", "--batch-size", "8", "--workers", "1", "--engine", "onnxruntime")
    assert train(tmp_path, *how, "--out", "once") == 0
    assert len(result(tmp_path / "once")[1]["history"]) == 3
    assert train(tmp_path, *how, "--out", "twice", killed=True) == -signal.SIGKILL
    assert (tmp_path / "twice" / CHECKPOINT).exists()
    assert not (tmp_path / "twice" / BUNDLE).exists()
    if "scratch" not in how:
        head = Predictor(read_bundle(tmp_path / "twice" / HEAD), engine="onnxruntime")
        assert head.bundle.manifest["measured"]["part"] == "val" and not head.check_golden()
        assert head.predict(tmp_path / "pictures/birds")[0] in ("birds", "fruit")
    assert train(tmp_path, *how, "--out", "twice") == 0
    files, metrics = result(tmp_path / "twice")
    undisturbed, those = result(tmp_path / "once")
    assert {key: (metrics[key], those[key]) for key in those if metrics[key] != those[key]} == {}
    assert files == undisturbed
    assert json.loads((tmp_path / "twice" / DONE).read_text("utf-8"))["resumed"]
    assert not (tmp_path / "twice" / HEAD).exists()
