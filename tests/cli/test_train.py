"""The command line's own part in training, and its help."""

import json
import re
import sys
from pathlib import Path

import click
import pytest

from lexnet import __version__
from lexnet.cli import VERBS, main
from lexnet.cli.printing import percent, table
from lexnet.cli.train import command
from lexnet.config import TrainConfig
from lexnet.settings import settings


def lexnet(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["lexnet", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


Capture = pytest.CaptureFixture[str]


def test_train_prints_what_it_found_and_what_came_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    assert lexnet(monkeypatch, "train", "clipart", "--mode", "probe", "--out", tmp_path / "run") == 0
    out, err = capsys.readouterr()
    assert "12 classes       621" in err and "· net efficientnet_lite0: " in err
    assert "· divided: train 435, val 62, test 124" in err
    assert (
        out.splitlines()[1].startswith("test accuracy  ") and "model.lexnet" in out and "report.html" in out
    )
    assert "\x1b" not in out + err  # no colours or bars where nobody looks


def test_train_json_is_one_document(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    assert (
        lexnet(monkeypatch, "train", "clipart", "--mode", "probe", "--json", "--out", tmp_path / "run") == 0
    )
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["run"] == str(tmp_path / "run") and metrics["verified"] is True
    assert metrics["command"].startswith("lexnet train clipart --mode probe --json")


def test_a_plan_names_the_flags_that_it_leaves_no_room_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("data: clipart\n")
    assert lexnet(monkeypatch, "train", plan, "--seed", 3, "--lr", 0.1) == 2
    err = capsys.readouterr().err
    assert all(flag in err.split("leave out ")[1] for flag in ("--seed", "--lr"))


def test_every_setting_is_a_flag_with_its_help(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert lexnet(monkeypatch, "train", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for field, hint, _ in settings(TrainConfig):
        if field.name == "raised":  # what a plan records
            assert "--raised" not in shown
            continue
        assert f"--{field.name.strip('_').replace('_', '-')}" in shown
        assert hint.__metadata__[0].split(" [")[0][1:20] in shown


def test_the_help_has_a_section_for_each_dataclass(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert lexnet(monkeypatch, "train", "--help") == 0
    sections = dict(re.findall(r"^(\S[^\n]+):\n((?:  .*\n)+)", capsys.readouterr().out, re.MULTILINE))
    expected = {
        "Options": ("--mode", "--dry-run", "--json", "-h, --help"),
        "Which pictures are taken and held out": ("--val", "--folds"),
        "The linear head": ("--cv", "--candidates"),
        "Training of a tail or a whole net": ("--epochs", "--ema"),
    }
    assert list(sections) == list(expected)
    for title, flags in expected.items():
        assert all(f"  {flag} " in sections[title] for flag in flags)


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("accumulate", "Gradient accumulation: "),
        ("clip", "Gradient clipping: "),
        ("ema", "exponential moving average (EMA) of the weights"),
        ("folds", "Cross-validation: "),
        ("layer_decay", "Layer-wise learning-rate decay: "),
        ("patience", "Early stopping: "),
        ("smoothing", "Label smoothing: "),
        ("tta", "Test-time augmentation: "),
    ],
)
def test_the_help_has_the_fields_own_terms(flag: str, text: str) -> None:
    (option,) = (option for option in command.params if option.name == flag)
    assert isinstance(option, click.Option) and text in str(option.help)


def test_no_choice_is_capitalised_as_the_beginning_of_a_sentence() -> None:
    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, click.Choice):
            first = re.split(r"\W", str(option.help))[0]
            assert first.lower() not in option.type.choices


def test_a_default_that_depends_on_the_mode_stands_behind_the_text(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert lexnet(monkeypatch, "train", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Threads. [default: all cores] --" in shown and "]." not in shown


@pytest.mark.parametrize("option", [o for o in command.params if isinstance(o, click.Option)], ids=str)
def test_every_flag_takes_a_value(option: click.Option) -> None:
    values = option.type.choices if isinstance(option.type, click.Choice) else ["1"]
    for value in values:
        given = [option.opts[0]] if option.is_flag else [option.opts[0], str(value)]
        taken = command.make_context("train", ["photos", *given]).params[option.name or ""]
        assert taken in (value, True, 1, (1,), Path("1"))


def test_help_and_version(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert lexnet(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"lexnet {__version__}\n"
    assert lexnet(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)
    for verb in VERBS:
        assert lexnet(monkeypatch, verb, "--help") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "x"], "did you mean train?"),
        (["train", "clipart", "--sede", "1"], "--seed"),
        (["train", "clipart", "--net", "efficientnet-lite9"], "(did you mean efficientnet_lite"),
        (["train", "clipart", "--test", "0.9"], "test=0.9 must lie in [0.05, 0.5]"),
        (["train", "clipart", "--candidates", "a,b"], "'a,b' is not numbers with commas"),
        (["train", "clipart", "--mode", "magic"], "'auto', 'probe'"),
        (["train", "clipar"], "give one, or a sample set: clipart, digits"),
        (["train", __file__], "is a file of another kind; give a folder"),
        (["train", "https://example.org/x.zip"], "is an address; download it, and give the file"),
        (["train", "clipart", "--resume"], "goes on when the same command is given again"),
    ],
)
def test_bad_usage_ends_with_2_and_a_way_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where runs/ would be, were one of them taken
    assert lexnet(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_what_is_hidden_is_not_suggested(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert lexnet(monkeypatch, "train", "clipart", "--raise") == 2
    assert "--raised" not in capsys.readouterr().err


def test_tables_and_shares() -> None:
    assert table(("a", "n"), [("x", 1), ("long", 20)]) == "a      n\n────  ──\nx      1\nlong  20"
    assert [percent(share) for share in (None, 0.0, 0.5, 0.99999, 1.0)] == [
        "-",
        "0.0 %",
        "50.0 %",
        "99.9 %",
        "100.0 %",
    ]


def test_a_budget_has_a_second_name(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert lexnet(monkeypatch, "train", "clipart", "--time-limit", "1s") == 2
    assert "budget='1s' must be a time of" in capsys.readouterr().err
