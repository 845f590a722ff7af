"""`lexnet case`"""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lexnet.cases import NAMES
from lexnet.cases import run as running
from lexnet.cli import cli


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run, each in no time."""
    calls: list[str] = []

    def run_case(name: str, lab: Any, out: Path, *, full: bool) -> dict[str, Any]:
        calls.append(name + (" full" if full else "") + (f" {lab.data.name}" if lab.data else ""))
        findings = [{"claim": "it is so", "holds": None, "seen": "+0.1 points", "test": "x"}]
        return {
            "name": name, "title": name, "claim": "Claimed.", "holds": None, "findings": findings,
            "numbers": {}, "figure": "f.svg", "page": "p.html", "seconds": 1.0, "settings": {},
        }  # fmt: skip

    monkeypatch.setattr(running, "run_case", run_case)
    return calls


def test_without_a_name_it_lists_them() -> None:
    result = CliRunner().invoke(cli, ["case"])
    assert result.exit_code == 0 and all(name in result.output for name in NAMES)
    found = json.loads(CliRunner().invoke(cli, ["case", "--json"]).output)
    assert [one["name"] for one in found] == list(NAMES) and all(one["claim"] for one in found)


def test_one_says_its_verdict_and_a_verdict_is_no_failure(quick: list[str]) -> None:
    result = CliRunner().invoke(cli, ["case", "resnet", "--full"])
    assert result.exit_code == 0 and quick == ["resnet full"]
    assert "NOT SHOWN, in 1 s" in result.output and "+0.1 points" in result.output
    found = json.loads(CliRunner().invoke(cli, ["case", "resnet", "--json"]).stdout)
    assert {"name", "claim", "holds", "numbers", "figure", "seconds"} <= found.keys()


def test_all_makes_the_booklet(quick: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["case", "all", "--out", str(tmp_path)])
    assert result.exit_code == 0 and quick == list(NAMES)
    assert (tmp_path / "index.html").exists()


def test_photographs_are_for_the_case_that_takes_them_and_a_name_gets_what_it_is_given(
    quick: list[str], tmp_path: Path
) -> None:
    given = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(cli, ["case", "all", *given]).exit_code == 0
    assert [call for call in quick if tmp_path.name in call] == [f"transfer {tmp_path.name}"]
    assert CliRunner().invoke(cli, ["case", "resnet", *given]).exit_code == 0
    assert quick[-1] == f"resnet {tmp_path.name}"


def test_an_unknown_one_is_bad_input() -> None:
    result = CliRunner().invoke(cli, ["case", "lenet"])
    assert result.exit_code != 0 and "no case named 'lenet'" in str(result.exception)
