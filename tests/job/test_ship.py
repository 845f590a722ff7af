"""What ships at the end, and the head that is there to use meanwhile."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from picture_makers import clipart_folder
from stopping import stopped_behind

import lexnet
from lexnet.config import FitConfig, TrainConfig
from lexnet.data.manifest import Manifest
from lexnet.data.splits import prefixes
from lexnet.errors import ConfigError, ParityError, TrainingError
from lexnet.job import ship
from lexnet.job.folder import HEAD
from lexnet.job.run import train
from lexnet.runtime.bundle import BUNDLE, read_bundle

TAIL = TrainConfig(mode="tail", size=64, views=1, fit=FitConfig(epochs=2, batch_size=8))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Three classes of ten clip arts."""
    return clipart_folder(tmp_path / "few", ("birds", "flags", "fruit"), count=10)


def parts(manifest: Manifest) -> dict[str, set[int]]:
    """What `val` knows the pictures of each part by."""
    found = defaultdict(set)
    for part, prefix in zip(manifest.parts, prefixes(manifest.digests).tolist(), strict=True):
        found[part].add(prefix)
    return found


def test_what_is_refused_after_the_head_gives_the_folder_back(few: Path, tmp_path: Path) -> None:
    config = TrainConfig(mode="finetune", size=32, fit=FitConfig(epochs=1, batch_size=500, compile="always"))
    with pytest.raises(ConfigError, match="compile='always' needs a whole batch"):
        train(str(few), config, tmp_path / "run")
    assert not any((tmp_path / "run").iterdir())
    assert train(str(few), replace(config, fit=FitConfig(epochs=1)), tmp_path / "run").metrics["verified"]


def test_the_head_meanwhile_knows_nothing_of_the_test_part_and_leaves_no_trace(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopped_behind(1, monkeypatch):
        train(str(few), TAIL, tmp_path / "run")
    head = read_bundle(tmp_path / "run" / HEAD)
    run = train(str(few), TAIL, tmp_path / "run")
    divided = parts(run.outcome.manifest)
    assert {part: len(known & {*head.seen.tolist()}) for part, known in divided.items()} == {
        "train": len(divided["train"]),
        "val": 0,
        "test": 0,
    }
    assert head.manifest["measured"]["count"] == len(divided["val"]) and len(divided["test"]) == 6
    assert run.metrics["resumed"] and not (run.folder / HEAD).exists()
    assert not [text for text in run.metrics["decisions"] if HEAD in text or "going on" in text]


def test_the_head_meanwhile_stays_where_training_goes_wrong(few: Path, tmp_path: Path) -> None:
    wild = FitConfig(epochs=400, batch_size=8, lr=100.0, weight_decay=10.0, optimiser="sgd", warmup=0.0)
    said = rf"is nan in batch .* no epoch is kept yet; .*{HEAD}, of the head alone, is there to use"
    with pytest.raises(TrainingError, match=said):
        train(str(few), replace(TAIL, fit=wild), tmp_path / "run")
    head = lexnet.load(tmp_path / "run" / HEAD)
    assert head.predict(few / "birds").shape == (10,)


def test_a_net_that_is_worse_than_its_head_is_warned_of(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for gain, told in ((-2, "warnings"), (0, "decisions")):
        monkeypatch.setattr("lexnet.job.learn._beside_the_head", lambda *given, gain=gain: (gain, "so it is"))
        metrics = train(str(few), TAIL, tmp_path / told).metrics
        assert any("mode tail: so it is" in text for text in metrics[told])
    assert not any("so it is" in text for text in metrics["warnings"])


def test_the_head_meanwhile_fails_alone(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, left = train(str(few), TAIL, tmp_path / "sound"), [ParityError("made up")]
    check_parity = ship.check_parity

    def first_fails(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return check_parity(*arguments)

    monkeypatch.setattr(ship, "check_parity", first_fails)
    run = train(str(few), TAIL, tmp_path / "run")
    assert f"no {HEAD} is there to use meanwhile: made up" in run.metrics["warnings"] and not left
    assert (run.folder / BUNDLE).read_bytes() == (sound.folder / BUNDLE).read_bytes()


def test_a_longer_run_leaves_the_finished_one_as_it_is(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = train(str(few), TAIL, tmp_path / "run").folder
    before = {path.name for path in finished.iterdir()}
    longer = replace(TAIL, fit=replace(TAIL.fit, epochs=4))
    with stopped_behind(3, monkeypatch):
        train(str(few), longer, finished)
    assert {path.name for path in finished.iterdir()} == before
    assert len(train(str(few), longer, finished).metrics["history"]) == 4


def test_what_a_cut_saves_is_told_of_a_whole_net_alone(few: Path, tmp_path: Path) -> None:
    first = train(str(few), TrainConfig(size=32, cut="stage4"), tmp_path / "first")
    assert first.metrics["whole"]["macs"] > first.metrics["macs"]
    source = str(first.folder / BUNDLE)
    for cut in ("none", "stage2"):
        again = train(str(few), TrainConfig(from_=source, cut=cut), tmp_path / cut)
        assert again.metrics["whole"] is None
