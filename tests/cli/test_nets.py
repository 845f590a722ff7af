"""`lexnet nets`: the lexicon as a table and as JSON."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lexnet.cli.nets import _count
from lexnet.cost import cost_of
from lexnet.nets import NETS
from lexnet.weights.files import WEIGHTS

Call = Callable[..., Any]
CONTRACT = ["name", "family", "year", "paper", "params", "macs", "size", "any_size", "weights"]

HEAD = ["net", "weights, top-1", "parameters", "multiply-adds", "pixels", "year", "paper", "licence"]


def test_json_keeps_its_contract(call: Call) -> None:
    said = call("nets", "--json")
    assert (said.code, said.err) == (0, "")
    rows = json.loads(said.out)
    assert [row["name"] for row in rows] == list(NETS)
    for row in rows:
        entry = NETS[row["name"]]
        assert list(row) == CONTRACT
        assert (row["family"], row["year"], row["paper"]) == (
            entry.family.name,
            entry.family.year,
            entry.family.paper,
        )
        assert (row["params"], row["macs"], row["size"]) == (entry.params, entry.macs, entry.size)
        assert row["any_size"] is entry.any_size
        assert [w["tag"] for w in row["weights"]] == [w.tag for w in WEIGHTS if w.net == row["name"]]
        for weights in row["weights"]:
            assert list(weights) == ["tag", "source", "licence", "top1", "here"]
            assert 0 < weights["top1"] < 1 and weights["source"].startswith("https://")


def test_the_weights_that_a_package_brings_are_here(call: Call) -> None:
    rows = {row["name"]: row for row in json.loads(call("nets", "--json").out)}
    assert rows["efficientnet_lite0"]["weights"][0]["here"] is True
    assert rows["resnet18"]["weights"][0]["here"] is False  # the tests' cache is empty
    assert rows["plain34"]["weights"] == []


def test_every_net_has_a_line_in_the_table(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    said = call("nets")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert re.split(r" {2,}", lines[0]) == HEAD and set(lines[1]) == {"─", " "}
    assert [line.split()[0] for line in lines[2 : 2 + len(NETS)]] == list(NETS)
    table = dict(zip(NETS, lines[2:], strict=False))
    assert re.search(
        r"^resnet18 +○ imagenet 69\.8 % +11\.69 M +1\.81 G +224 +2015 +arXiv:1512\.03385 +BSD-3-Clause$",
        table["resnet18"],
    )
    assert re.search(r"^efficientnet_lite0 +● imagenet \d\d\.\d % +4\.65 M", table["efficientnet_lite0"])
    assert re.search(r"^plain34 +- +21\.62 M +3\.64 G +224 +2015 +arXiv:1512\.03385 +-$", table["plain34"])
    assert re.search(r" 61\.10 M +714\.2 M +224 only +2012 +NIPS 2012 +BSD-3-Clause$", table["alexnet"])
    assert re.search(r" 0\.06 M +0\.3 M +32 only +1998 +doi:10\.1109/5\.726791 +-$", table["lenet5"])
    for name, entry in NETS.items():
        assert (" only " in table[name]) != entry.any_size, name
        assert table[name].count(" G ") == (entry.macs >= 1e9), name
    assert lines[-1].startswith("● on this machine") and "○" in lines[-1]
    assert "\x1b" not in said.out


def test_a_terminal_of_80_columns_gets_what_fits(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = call("nets").out.splitlines()
    assert re.split(r" {2,}", lines[0]) == HEAD[:-2]
    assert max(map(len, lines[: 2 + len(NETS)])) <= 80


@pytest.mark.parametrize(
    ("macs", "shown"),
    [(40_551_040, "40.6 M"), (859_736_272, "859.7 M"), (10**9, "1.00 G"), (19_632_062_464, "19.63 G")],
)
def test_a_billion_multiply_adds_or_more_are_in_billions(macs: int, shown: str) -> None:
    assert _count(macs) == shown


@pytest.mark.parametrize("key", ["name", "params", "macs", "size", "year"])
def test_rows_can_be_sorted(call: Call, key: str) -> None:
    rows = json.loads(call("nets", "--sort", key, "--json").out)
    values = [row[key] for row in rows]
    assert values == sorted(values) and {row["name"] for row in rows} == set(NETS)
    order = list(NETS)
    assert rows == sorted(rows, key=lambda row: (row[key], order.index(row["name"]))), "ties change places"
    lines = call("nets", "--sort", key).out.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(NETS)]] == [row["name"] for row in rows]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small lexicon: costing all of it at another size takes seconds."""
    names = ("lenet5", "alexnet", "nin_cifar", "nin_imagenet", "googlenet_2014", "resnet18", "mobilenet_v2")
    monkeypatch.setattr("lexnet.nets.NETS", {name: NETS[name] for name in names})


@pytest.mark.usefixtures("few")
def test_they_can_be_costed_at_another_size(call: Call) -> None:
    said = call("nets", "--size", 64, "--json")
    assert said.code == 0
    for row in json.loads(said.out):
        entry = NETS[row["name"]]
        assert row["size"] == (64 if entry.any_size else entry.size), row["name"]
        assert row["params"] == entry.params
        if not entry.any_size:
            assert row["macs"] == entry.macs
        else:
            assert row["macs"] == cost_of(entry, 64).macs


@pytest.mark.usefixtures("few")
def test_the_table_says_at_which_size_each_is_costed(call: Call) -> None:
    lines = call("nets", "--size", 64).out.splitlines()
    shown = {line.split()[0]: re.split(r" {2,}", line)[4] for line in lines[2 : lines.index("")]}
    assert shown == {
        "lenet5": "32 only", "alexnet": "224 only", "nin_cifar": "64", "nin_imagenet": "64",
        "googlenet_2014": "64", "resnet18": "64", "mobilenet_v2": "64",
    }  # fmt: skip


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("size", [39, 1024])
def test_the_ends_of_the_range_of_sizes_are_taken(call: Call, size: int) -> None:
    said = call("nets", "--size", size, "--json")
    assert (said.code, said.err) == (0, "")
    assert {row["size"] for row in json.loads(said.out) if row["any_size"]} == {size}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", 38], "39<=x<=1024"),
        (["--size", 1025], "39<=x<=1024"),
        (["--sort", "weights"], "--sort"),
        (["resnet18"], "resnet18"),
    ],
)
def test_bad_usage_ends_with_2(call: Call, arguments: list[object], message: str) -> None:
    said = call("nets", *arguments)
    assert (said.code, said.out) == (2, "") and "Traceback" not in said.err
    assert message in said.err
