"""`lexnet show`: a net layer by layer, or what a bundle is."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import CLASSES, forged, tiny_bundle

from lexnet.cost import cost_of
from lexnet.nets import NETS

Call = Callable[..., Any]
ROW = re.compile(
    r"^ *(?P<layer>\S+) +(?:(?P<kind>[A-Z]\w+) +)?(?P<shape>\d+(?:×\d+)*) +(?P<params>[\d,]+)"
    r" +(?P<macs>[\d,]+)(?: +(?P<activations>[\d,]+))? +(?P<share>\d+\.\d) %(?:  (?P<bar>[█▏▎▍▌▋▊▉]+))?$"
)
EIGHTHS = " ▏▎▍▌▋▊▉"


def rows(shown: str) -> list[dict[str, str]]:
    """The lines of the table, stages and layers alike."""
    lines = shown.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("──")) + 1
    found = []
    for line in lines[first : lines.index("", first)]:
        match = ROW.match(line)
        assert match, f"no row of the table: {line!r}"
        found.append(match.groupdict(""))
    return found


def number(shown: str) -> int:
    """1234567 of 1,234,567."""
    return int(shown.replace(",", ""))


def eighths(bar: str) -> int:
    """How long a bar is; only its last cell may be less than a full one."""
    full = bar.rstrip(EIGHTHS)
    assert set(full) <= {"█"} and len(bar) - len(full) <= 1, bar
    return 8 * len(full) + EIGHTHS.index(bar[len(full) :] or " ")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The path of a small, sound bundle."""
    path = tmp_path / "tiny.lexnet"
    path.write_bytes(tiny_bundle())
    return path


# A net


def test_the_table_of_a_net(call: Call) -> None:
    said = call("show", "resnet18")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "resnet18: ResNet (2015, arXiv:1512.03385), for 3×224×224 pixels"
    assert lines[2].split() == [
        "layer", "kind", "output", "parameters", "multiply-adds", "share", "of", "multiply-adds",
    ]  # fmt: skip
    assert lines[-1] == (  # 2,484,712 activations of convolutions and the head, 201,216 of pooling
        "11,689,512 parameters (46.8 MB as float32), 1,814,073,344 multiply-adds, 2,685,928 activations"
    )
    table = {row["layer"]: row for row in rows(said.out)}
    assert [name for name in table if name in ("stem", "head") or name.startswith("stage")] == [
        "stem", "stage1", "stage2", "stage3", "stage4", "head",
    ]  # fmt: skip
    assert table["stage1"] == {
        "layer": "stage1",
        "kind": "",
        "shape": "64×56×56",
        "params": "147,968",
        "macs": "462,422,016",
        "activations": "",
        "share": "25.5",
        "bar": "████▏",
    }
    assert "\x1b" not in said.out


@pytest.mark.parametrize("name", ["lenet5", "googlenet", "alexnet_2012", "resnet110", "mobilenet_v2"])
def test_the_table_says_what_the_cost_is(call: Call, name: str) -> None:
    counted = cost_of(NETS[name])
    expected = []
    for part, stage in counted.stages().items():
        expected += [(part, stage), *((None, layer) for layer in stage.layers)]
    found = rows(call("show", name).out)
    assert len(found) == len(expected)
    for row, (label, cost) in zip(found, expected, strict=True):
        assert (row["layer"], row["kind"]) == (label, "") if label else row["kind"] == cost.kind
        assert [number(row[key]) for key in ("params", "macs")] == [cost.params, cost.macs]
        assert row["activations"] == "", "a column for those who sort by it"
        assert float(row["share"]) == pytest.approx(100 * cost.macs / counted.macs, abs=0.051)
        assert row["shape"] == "×".join(map(str, cost.shape))


def test_c3_of_lenet5_is_one_layer(call: Call) -> None:
    """As in the paper's table, not the sixteen convolutions that it is made of."""
    found = rows(call("show", "lenet5").out)
    assert [(row["layer"], row["kind"]) for row in found if row["shape"] == "16×10×10"] == [
        ("stage2", ""),
        ("0", "C3"),
    ]
    assert len(found) == 6 + 7


@pytest.mark.parametrize("key", ["order", "params", "macs", "activations"])
@pytest.mark.parametrize("name", ["lenet5", "lenet5_modern", "vgg16", "resnet34", "googlenet_2014"])
def test_bars_are_as_long_as_the_share_of_sixteen_cells(call: Call, name: str, key: str) -> None:
    found = rows(call("show", name, "--sort", key).out)
    of = "macs" if key == "order" else key
    counted = getattr(cost_of(NETS[name]), of)
    for row in found:
        share, bar = number(row[of]) / counted, eighths(row["bar"])
        assert float(row["share"]) == pytest.approx(100 * share, abs=0.051), row
        assert len(row["bar"]) <= 16
        assert abs(bar - 128 * share) <= 0.5 or (bar == 1 and 0 < share < 1 / 128), row
        assert (bar > 0) == (share > 0), row
    whole = 200 if key == "order" else 100  # stages and their layers, or layers alone
    assert sum(float(row["share"]) for row in found) == pytest.approx(whole, abs=0.05 * len(found))


@pytest.mark.parametrize(
    ("key", "head"),
    [
        ("order", "multiply-adds"),
        ("macs", "multiply-adds"),
        ("params", "parameters"),
        ("activations", "activations"),
    ],
)
def test_the_head_says_what_the_bars_are_of(call: Call, key: str, head: str) -> None:
    said = call("show", "resnet18", "--sort", key).out
    titles = re.split(r" {2,}", said.splitlines()[2])
    assert titles[-2:] == ["share", f"of {head}"]
    assert ("activations" in titles) == (key == "activations")
    assert {bool(row["activations"]) for row in rows(said)} == {key == "activations"}


def test_a_single_stage_that_does_all_the_work_fills_the_bar() -> None:
    from lexnet.cli.show import _bar

    assert _bar(1.0) == "█" * 16
    assert _bar(0.0).strip() == "" and _bar(0.5).strip() == "█" * 8
    assert {len(_bar(n / 1000)) for n in range(1001)} == {16}
    assert [_bar(n / 128).strip()[-1:] for n in range(9)] == ["", *"▏▎▍▌▋▊▉█"]
    assert _bar(1e-9).strip() == "▏", "a share that is not zero can be seen"


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "googlenet", "efficientnet_lite0", "vgg16_bn"])
def test_json_keeps_its_contract(call: Call, name: str) -> None:
    said = call("show", name, "--json")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    entry, counted = NETS[name], cost_of(NETS[name])
    assert list(document) == [
        "name", "size", "channels", "classes", "params", "macs", "activations", "bytes", "stages", "layers",
    ]  # fmt: skip
    facts = (document["size"], document["channels"], document["classes"])
    assert facts == (entry.size, entry.channels, entry.classes)
    assert (document["name"], document["params"], document["macs"]) == (name, entry.params, entry.macs)
    for part in ("stages", "layers"):
        for row in document[part]:
            assert set(row) >= {"name", "shape", "params", "macs", "activations", "bytes"}
            assert all(isinstance(n, int) and n > 0 for n in row["shape"])
        for key in ("params", "macs", "activations", "bytes"):
            assert sum(row[key] for row in document[part]) == document[key]
    assert [row["name"] for row in document["stages"]] == list(counted.stages())
    assert [row["name"] for row in document["layers"]] == [layer.name for layer in counted.layers]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("ResNet-18", "resnet18"),
        ("mobilenetv2_100", "mobilenet_v2"),
        ("MobileNet v1", "mobilenet_v1"),
        ("inception_v1", "googlenet"),
        ("tf_efficientnet_lite0", "efficientnet_lite0"),
        ("VGG16", "vgg16"),
    ],
)
def test_other_spellings_are_the_same_net(call: Call, typed: str, name: str) -> None:
    assert call("show", typed) == call("show", name)
    assert json.loads(call("show", typed, "--json").out)["name"] == name


def test_another_size(call: Call) -> None:
    said = call("show", "resnet18", "--size", 160)
    assert "for 3×160×160 pixels" in said.out.splitlines()[0]
    document = json.loads(call("show", "resnet18", "--size", 160, "--json").out)
    counted = cost_of(NETS["resnet18"], 160)
    assert (document["size"], document["channels"]) == (160, 3)
    assert (document["macs"], document["params"]) == (counted.macs, NETS["resnet18"].params)
    assert document["layers"][0]["shape"] == [64, 80, 80]
    assert f"{counted.macs:,} multiply-adds" in said.out


def test_another_number_of_classes(call: Call) -> None:
    document = json.loads(call("show", "resnet18", "--classes", 5, "--json").out)
    assert document["params"] == NETS["resnet18"].params - 513 * 995
    assert document["classes"] == 5
    assert document["layers"][-1]["shape"] == [5]
    features = json.loads(call("show", "vgg16", "--classes", 0, "--json").out)
    assert features["layers"][-1]["name"] == "head.fc7" and features["layers"][-1]["shape"] == [4096]


@pytest.mark.parametrize("key", ["params", "macs", "activations"])
def test_layers_can_be_sorted_the_largest_first(call: Call, key: str) -> None:
    plain = json.loads(call("show", "resnet18", "--json").out)
    document = json.loads(call("show", "resnet18", "--sort", key, "--json").out)
    assert document["layers"] == sorted(plain["layers"], key=lambda layer: -layer[key])  # ties as they run
    assert document["stages"] == plain["stages"]
    found = [number(row[key]) for row in rows(call("show", "resnet18", "--sort", key).out)]
    assert found == [layer[key] for layer in document["layers"]]


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["resnet81"], ["no net named 'resnet81'", "did you mean", "resnet18", "lexnet nets"]),
        (["zzz"], ["no net named 'zzz'", "lexnet nets"]),
        (["alexnet", "--size", 100], ["takes pictures of 224x224, not 100x100"]),
        (["lenet5", "--size", 28], ["takes pictures of 32x32, not 28x28"]),
        (["resnet18", "--size", 0], ["--size", "1<=x<=4096"]),
        (["resnet18", "--size", 4097], ["--size", "1<=x<=4096"]),
        (["resnet18", "--classes", -1], ["--classes"]),
        (["resnet18", "--sort", "bytes"], ["order", "params", "macs", "activations"]),
        ([], ["NET or BUNDLE"]),
        (["resnet18", "resnet34"], ["resnet34"]),
    ],
)
def test_bad_usage_ends_with_2_and_a_way_on(call: Call, arguments: list[object], messages: list[str]) -> None:
    said = call("show", *arguments)
    assert (said.code, said.out) == (2, "") and "Traceback" not in said.err
    assert all(message in said.err for message in messages), said.err


@pytest.mark.parametrize("size", [1, 4096])
def test_the_ends_of_the_range_of_sizes_are_taken(call: Call, size: int) -> None:
    said = call("show", "resnet18", "--size", size)
    assert (said.code, said.err) == (0, "") and f"for 3×{size}×{size} pixels" in said.out.splitlines()[0]
    assert f" {cost_of(NETS['resnet18'], size).macs:,} multiply-adds" in said.out.splitlines()[-1]


@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize("name", ["nin_imagenet", "googlenet_2014"])
def test_a_size_that_a_net_halves_to_nothing_is_bad_usage(call: Call, name: str, size: int) -> None:
    said = call("show", name, "--size", size)
    assert (said.code, said.out) == (2, "") and f"3x{size}x{size}" in said.err


# A bundle


def test_what_a_bundle_is(call: Call, bundle: str) -> None:
    said = call("show", bundle)
    assert (said.code, said.err) == (0, "")
    facts = {line.split()[0]: line for line in said.out.splitlines()}
    assert {"net", "classes", "preprocess", "threshold", "golden"} <= set(facts)
    assert re.search(r"^size +[\d.]+ MB$", said.out, re.M)
    assert "efficientnet_lite0" in facts["net"] and "birds, bugs, buildings" in facts["classes"]
    said = call("show", bundle, "--json")
    document = json.loads(said.out)
    assert (said.code, said.err, document["net"]) == (0, "", "efficientnet_lite0")
    assert document["bytes"] == Path(bundle).stat().st_size
    assert len(document["classes"]) == 12 and document["golden"] == 8


def test_json_of_a_small_bundle(call: Call, tiny: Path) -> None:
    document = json.loads(call("show", tiny, "--json").out)
    assert (document["net"], document["classes"], document["golden"]) == ("tiny", CLASSES, 2)
    assert document["preprocess"]["size"] == 16 and "members" not in document


def test_numbers_of_a_bundle_are_shown_with_four_digits(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "tiny.lexnet"
    path.write_bytes(tiny_bundle(threshold=0.123456789, scores={"top1": 2 / 3, "parts": [1e-7 / 3, 12345]}))
    shown = dict(line.split(maxsplit=1) for line in call("show", path).out.splitlines() if " " in line)
    assert shown["threshold"] == "0.1235"
    assert shown["scores"] == "top1 0.6667, parts [3.333e-08, 12345]"  # whole numbers as they are
    assert json.loads(call("show", path, "--json").out)["threshold"] == 0.123456789


def test_what_is_of_many_parts_has_a_line_for_each(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "tiny.lexnet"
    path.write_bytes(
        tiny_bundle(scores={"one": 1, "two": {"a": 1, "b": None}, "three": {}, "four": 0, "five": None})
    )
    lines = call("show", path).out.splitlines()
    start = lines.index("scores")
    assert lines[start + 1 : start + 4] == ["  one   1", "  two   a 1", "  four  0"]
    assert not lines[start + 4].startswith(" ")


def test_a_runs_folder_stands_for_its_bundle(
    call: Call, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "myrun").mkdir()
    (tmp_path / "myrun" / "model.lexnet").write_bytes(tiny.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert call("show", "myrun").out == call("show", tmp_path / "myrun").out == call("show", tiny).out


def test_a_damaged_bundle_is_bad_input(call: Call, tiny: Path) -> None:
    content = bytearray(tiny.read_bytes())
    content[len(content) // 2] ^= 1
    tiny.write_bytes(content)
    for flags in ([], ["--json"]):
        said = call("show", tiny, *flags)
        assert (said.code, said.out) == (2, "")
        assert str(tiny) in said.err and "damaged" in said.err


@pytest.mark.parametrize("content", [b"", b"PK", b"net: resnet18\n", bytes(1000)])
def test_a_file_that_is_neither_is_bad_input(call: Call, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.lexnet"
    path.write_bytes(content)
    said = call("show", path)
    assert (said.code, said.out) == (2, "") and "not a LexNet bundle" in said.err


def test_a_manifest_does_not_write_lines_of_its_own(call: Call, tmp_path: Path) -> None:
    """A bundle comes from somebody else: what it says must not pass for ours, nor steer the terminal."""

    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        manifest["note"] = "fine\nthreshold   0.99\x1b[2J"

    path = tmp_path / "model.lexnet"
    path.write_bytes(forged(tiny_bundle(), change))
    said = call("show", path)
    if said.code == 0:
        assert "\x1b" not in said.out
        assert len([line for line in said.out.splitlines() if line.startswith("threshold")]) == 1
    else:
        assert (said.code, said.out) == (2, "")


def test_a_manifest_with_what_json_cannot_say_is_no_traceback(call: Call, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        manifest["note"] = float("nan")

    path = tmp_path / "model.lexnet"
    path.write_bytes(forged(tiny_bundle(), change))
    said = call("show", path, "--json")
    if said.code == 0:
        json.loads(said.out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    else:
        assert said.code == 2


def test_flags_that_a_bundle_has_no_use_for_are_refused(call: Call, tiny: Path) -> None:
    """Explicit beats automatic: what somebody asked for is not passed over in silence."""
    for flags in (["--size", 64], ["--classes", 5], ["--sort", "macs"]):
        said = call("show", tiny, *flags)
        assert (said.code, said.out) == (2, "") and flags[0] in said.err, f"{flags[0]} was ignored"


# Which of the two is meant


@pytest.mark.parametrize("typed", ["resnet18", "ResNet-18"])
def test_a_file_that_happens_to_have_a_nets_name(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    """A bare name that the lexicon knows is the net; `./resnet18` is the file."""
    monkeypatch.chdir(tmp_path)
    Path(typed).write_bytes(tiny_bundle())
    said = call("show", typed)
    assert said.code == 0 and said.out.startswith("resnet18: ResNet"), said.err
    for path in (f"./{typed}", tmp_path / typed):
        assert json.loads(call("show", path, "--json").out)["net"] == "tiny"
    Path(typed).write_text("notes on resnet18")
    said = call("show", f"./{typed}")
    assert said.code == 2 and "not a LexNet bundle" in said.err


@pytest.mark.parametrize("typed", ["mine", "resnet18.lexnet"])
def test_a_file_here_that_no_net_is_called_is_the_bundle(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(typed).write_bytes(tiny_bundle())
    assert json.loads(call("show", typed, "--json").out)["net"] == "tiny"


@pytest.mark.parametrize("typed", ["resnet18.lexnet", "gone/resnet18", "../gone/resnet18"])
def test_a_path_is_never_taken_for_the_name_of_a_net(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = call("show", typed)
    assert (said.code, said.out) == (2, "") and f"there is no file {typed}" in said.err


def test_a_folder_that_happens_to_have_a_nets_name(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("resnet18").mkdir()
    said = call("show", "resnet18")
    assert said.code == 0 and said.out.startswith("resnet18: ResNet")


def test_a_folder_is_not_taken_for_the_name_of_a_net(call: Call, tmp_path: Path) -> None:
    said = call("show", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert "is a folder" in said.err, said.err


def test_a_bundle_that_is_not_there_is_not_taken_for_the_name_of_a_net(call: Call, tmp_path: Path) -> None:
    said = call("show", tmp_path / "gone.lexnet")
    assert (said.code, said.out) == (2, "")
    assert "there is no file" in said.err and "gone.lexnet" in said.err, said.err


def test_a_name_too_long_for_a_file_is_bad_usage(call: Call) -> None:
    said = call("show", "a" * 300)
    assert (said.code, said.out) == (2, "") and "Traceback" not in said.err
