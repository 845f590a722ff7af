"""Nothing that is learned or chosen depends on what the test part says: its labels, turned round, show it."""

from pathlib import Path
from typing import Any

import pytest
from picture_makers import clipart_folder

from lexnet.config import FitConfig, TrainConfig
from lexnet.job import choose
from lexnet.job.run import train
from lexnet.runtime.bundle import BUNDLE, read_bundle

CLASSES = ("birds", "flags", "fruit")
PARTS = {"train": slice(0, 16), "val": slice(16, 22), "test": slice(22, 30)}
EPOCHS = FitConfig(epochs=2, batch_size=16)


def divided(root: Path, turn: int) -> Path:
    """A folder of parts; each test picture is in the folder of a class `turn` places on."""
    source = clipart_folder(root / "all", CLASSES, count=30)
    for number, name in enumerate(CLASSES):
        files = sorted((source / name).iterdir())
        for part, rows in PARTS.items():
            label = CLASSES[(number + turn * (part == "test")) % len(CLASSES)]
            folder = root / "divided" / part / label
            folder.mkdir(parents=True)
            for file in files[rows]:
                file.rename(folder / file.name)
    return root / "divided"


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ({"mode": "probe", "cut": "auto"}, "probe"),
        ({"mode": "tail", "fit": EPOCHS}, "tail"),
        ({"mode": "auto"}, None),
        ({"mode": "finetune", "fit": EPOCHS}, "finetune"),
        (
            {"mode": "scratch", "net": "resnet20", "fit": FitConfig(epochs=3, batch_size=16, patience=1)},
            "scratch",
        ),
    ],
    ids=lambda value: value.get("mode") if isinstance(value, dict) else "",
)
def test_test_labels_change_no_weight(
    asked: dict[str, Any], taken: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "LEAST_TO_TRAIN", 10)
    monkeypatch.setattr("lexnet.config.TAIL_STEPS", 20)
    config = TrainConfig(size=32, seed=3, **asked)
    runs = [
        train(str(divided(tmp_path / f"{turn}", turn)), config, tmp_path / f"run{turn}") for turn in (0, 1)
    ]
    bundles = [read_bundle(run.folder / BUNDLE) for run in runs]
    assert bundles[0].model == bundles[1].model
    assert taken in (None, runs[0].metrics["mode"]) and runs[0].metrics["mode"] == runs[1].metrics["mode"]
    for key in ("temperature", "val_accuracy", "history", "regularisation", "cut"):
        assert runs[0].metrics[key] == runs[1].metrics[key]
    assert runs[0].metrics["accuracy"] > runs[1].metrics["accuracy"] + 0.1, "and yet they are measured by it"
