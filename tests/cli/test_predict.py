"""`lexnet predict`: who it is for reads one line a picture, a program reads JSON or CSV."""

import csv
import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import forged, tiny_bundle, tiny_graph

import lexnet
from lexnet.cli.predict import top_classes
from lexnet.data.samples import sample_folder
from lexnet.runtime.predictor import Prediction

Call = Callable[..., Any]
CLIPART = sample_folder("clipart")
FLAGS = sorted((CLIPART / "flags").iterdir())[:3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three flags, and a text that pretends to be one, in between."""
    for name, path in zip(("a.png", "c.png", "d.png"), FLAGS, strict=True):
        shutil.copy(path, tmp_path / name)
    (tmp_path / "b.png").write_text("no picture")
    return tmp_path


def test_a_line_a_picture(call: Call, bundle: str) -> None:
    said = call("predict", bundle, *FLAGS)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert len(lines) == 3
    for line, path in zip(lines, FLAGS, strict=True):
        assert re.fullmatch(re.escape(str(path)) + r" +[a-z]+ +\d+\.\d %", line)
    assert " flags" in said.out


def test_top_shows_more_classes_with_falling_shares(call: Call, bundle: str) -> None:
    said = call("predict", bundle, FLAGS[0], "--top", 3)
    shares = [float(share) for share in re.findall(r"(\d+\.\d) %", said.out)]
    assert len(shares) == 3 and shares == sorted(shares, reverse=True)
    document = json.loads(call("predict", bundle, FLAGS[0], "--top", 99, "--json").out)
    top = document[0]["top"]
    assert len(top) == 12 and sum(share for _, share in top) == pytest.approx(1, abs=1e-5)
    assert [share for _, share in top] == sorted((share for _, share in top), reverse=True)


def test_json_keeps_its_contract(call: Call, bundle: str, folder: Path) -> None:
    said = call("predict", bundle, folder, "--json")
    assert said.code == 2
    document = json.loads(said.out)
    for row in document:
        assert list(row) == ["path", "label", "probability", "top", "reason"]
    assert [Path(row["path"]).name for row in document] == ["a.png", "b.png", "c.png", "d.png"]
    bad = document.pop(1)
    assert bad | {"path": ""} == {
        "path": "",
        "label": None,
        "probability": None,
        "top": [],
        "reason": "is text, not a picture",
    }
    expected = lexnet.load(bundle).predict_proba(FLAGS)
    for row, probabilities in zip(document, expected, strict=True):
        assert row["probability"] == pytest.approx(float(probabilities.max()))
        assert row["top"] == [[row["label"], row["probability"]]]
        assert row["reason"] is None


@pytest.mark.parametrize("form", ["--json", "--csv", "--top=2"])
def test_a_graph_that_gives_no_numbers_is_a_reason(call: Call, folder: Path, form: str) -> None:
    """Which no honest bundle has: its maker cannot have measured it."""
    import onnx

    graph = onnx.load_model_from_string(tiny_graph())
    for weights in graph.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT:
            values = np.full_like(onnx.numpy_helper.to_array(weights), np.nan)
            weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))

    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        members["model.onnx"] = graph.SerializeToString()

    (folder / "nan.lexnet").write_bytes(forged(tiny_bundle(), change))
    said = call("predict", folder / "nan.lexnet", folder / "a.png", form)
    assert said.code == 2 and said.err == ""
    assert "gets no finite probabilities" in said.out
    assert not re.search(r"\b(hat|shirt|shoes|nan)\b", said.out, re.IGNORECASE)
    for name, flag in zip(("hat", "shirt", "shoes"), FLAGS, strict=False):
        (folder / "labelled" / name).mkdir(parents=True)
        shutil.copy(flag, folder / "labelled" / name)
    said = call("val", folder / "nan.lexnet", folder / "labelled")
    assert (said.code, said.out) == (2, "") and "gives no finite probabilities" in said.err


def test_csv_parses(call: Call, bundle: str, folder: Path) -> None:
    shutil.copy(FLAGS[0], folder / 'odd, "name".png')
    said = call("predict", bundle, folder, "--csv")
    assert said.code == 2
    rows = list(csv.DictReader(StringIO(said.out)))
    assert list(rows[0]) == ["path", "label", "probability", "reason"]
    assert [Path(row["path"]).name for row in rows] == ["a.png", "b.png", "c.png", "d.png", 'odd, "name".png']
    assert (rows[1]["label"], rows[1]["probability"]) == ("", "") and rows[1]["reason"]
    good = [row for row in rows if not row["reason"]]
    assert len(good) == 4 and all(0 < float(row["probability"]) <= 1 and row["label"] for row in good)


def test_csv_has_columns_for_each_of_the_top_classes(call: Call, bundle: str, folder: Path) -> None:
    """At most as many as there are; the same as --json says."""
    said, told = (call("predict", bundle, folder, "--top", 2, form) for form in ("--csv", "--json"))
    header, *rows = csv.reader(StringIO(said.out))
    assert header == ["path", "label", "probability", "label_2", "probability_2", "reason"]
    for row, one in zip(rows, json.loads(told.out), strict=True):
        cells = [cell for label, share in one["top"] for cell in (label, f"{share:.6f}")]
        assert row == [one["path"], *(cells or [""] * 4), one["reason"] or ""]
    header, *rows = csv.reader(StringIO(call("predict", bundle, folder, "--top", 99, "--csv").out))
    assert len(header) == 2 + 2 * len(lexnet.load(bundle).bundle.classes) == len(rows[0]) == len(rows[1])


def test_a_bad_picture_does_not_stop_the_others(call: Call, bundle: str, folder: Path) -> None:
    said = call("predict", bundle, folder / "a.png", folder / "b.png", folder / "gone.png", folder / "c.png")
    assert said.code == 2
    lines = said.out.splitlines()
    assert lines[0].endswith("%") and lines[3].endswith("%")
    assert lines[1].endswith("is text, not a picture")
    assert lines[2].endswith("cannot be read (No such file or directory)")


def test_names_come_on_stdin_too(call: Call, bundle: str, folder: Path) -> None:
    lines = f"{folder / 'a.png'}\n\n{folder / 'c.png'}\r\n{folder / 'd.png'}".encode()
    said = call("predict", bundle, "-", "--json", stdin=lines)
    assert said.code == 0
    assert [Path(row["path"]).name for row in json.loads(said.out)] == ["a.png", "c.png", "d.png"]
    said = call("predict", bundle, "-", stdin=b"\n")
    assert said.code == 2 and "no paths came in; give files or folders, on stdin one a line" in said.err
    said = call("predict", bundle, "-", stdin=FLAGS[0].read_bytes())
    assert (said.code, said.out) == (2, "") and "is no list of paths, one a line" in said.err
    said = call("predict", bundle, "")
    assert (said.code, said.out) == (2, "") and "no paths came in" in said.err


def test_under_the_threshold_that_is_asked_for_there_is_no_label(
    call: Call, bundle: str, folder: Path
) -> None:
    rows = json.loads(call("predict", bundle, folder / "a.png", folder / "c.png", "--json").out)
    low, high = sorted(row["probability"] for row in rows)
    said = call(
        "predict", bundle, folder / "a.png", folder / "c.png", "--json", "--threshold", (low + high) / 2
    )
    assert [row["label"] is None for row in json.loads(said.out)] == [
        row["probability"] == low for row in rows
    ]
    assert said.code == 0
    asked = ("predict", bundle, folder / "a.png", folder / "c.png", "--threshold", (low + high) / 2)
    cells = [line.split(",") for line in call(*asked, "--csv").out.splitlines()[1:]]
    assert [not cell[1] for cell in cells] == [row["probability"] == low for row in rows], "as in the JSON"
    assert [f"({row['top'][0][0]})" in call(*asked).out for row in rows if row["probability"] == low] == [
        True
    ]


def test_a_list_that_begins_with_a_byte_order_mark_loses_no_picture(call: Call, bundle: str) -> None:
    said = call("predict", bundle, "-", stdin=f"\ufeff{FLAGS[0]}\r\n".encode())
    assert said.code == 0 and said.out.startswith(str(FLAGS[0]))


def test_a_name_that_is_not_utf_8_is_shown_escaped(call: Call, bundle: str, folder: Path) -> None:
    odd = os.path.join(os.fsencode(folder), b"caf\xe9.png")
    shutil.copy(FLAGS[0], os.fsdecode(odd))
    for said in (
        call("predict", bundle, os.fsdecode(odd)),
        call("predict", bundle, os.fsdecode(odd), "--csv"),
        call("predict", bundle, os.fsdecode(odd), "--json"),
        call("predict", bundle, "-", stdin=odd + b"\n"),
    ):
        assert said.code == 0
        assert "caf\\xe9.png" in said.out.replace("\\\\", "\\")
        said.out.encode()  # what a UTF-8 terminal can take


def test_a_name_with_a_line_break_makes_no_line_of_its_own(call: Call, bundle: str, tmp_path: Path) -> None:
    """Else a file could say that another shows what it does not."""
    forger = tmp_path / "a.png\nb.png  flags  99.9 %"
    shutil.copy(FLAGS[0], forger)
    said = call("predict", bundle, forger)
    assert said.code == 0 and len(said.out.splitlines()) == 1
    assert said.out.startswith(f"{tmp_path}/a.png\\u000ab.png  flags  99.9 %  ")
    assert call("predict", bundle, f"{tmp_path}/no\nsuch.json").err.splitlines() == [
        f"lexnet: {tmp_path}/no\\u000asuch.json is no picture; --csv and --json print: end with > "
        f"{tmp_path}/no\\u000asuch.json"
    ]
    (row,) = csv.DictReader(call("predict", bundle, forger, "--csv").out.splitlines(keepends=True))
    assert row["path"] == str(forger)


def test_what_is_left_out_below_a_folder_is_named(call: Call, bundle: str, tmp_path: Path) -> None:
    """Its pictures would be missing without a word."""
    odd = os.fsencode(tmp_path / "odd") + b"/caf\xe9.png"
    (tmp_path / "odd").mkdir()
    shutil.copy(FLAGS[0], os.fsdecode(odd))
    for flags in ((), ("--csv",), ("--json",)):
        said = call("predict", bundle, tmp_path, *flags)
        assert said.code == 2
        assert said.err == f"left out {tmp_path}/odd/caf\\xe9.png: has a name that is not printable UTF-8\n"
    shutil.copy(FLAGS[0], tmp_path / "a.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    said = call("predict", bundle, tmp_path)
    assert said.code == 2 and said.out.startswith(f"{tmp_path / 'a.png'} ") and "caf\\xe9.png" in said.err
    assert f"left out {tmp_path}/gone.png: is a link to nothing\n" in said.err


def test_a_name_too_long_for_the_system_is_a_reason_and_the_others_are_answered(
    call: Call, bundle: str, tmp_path: Path
) -> None:
    said = call("predict", bundle, "-", stdin=f"{'0' * 300}\n{FLAGS[0]}\n".encode())
    assert said.code == 2 and "cannot be read (File name too long)" in said.out and str(FLAGS[0]) in said.out


def test_what_the_system_refuses_is_told_without_a_traceback(
    call: Call, bundle: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("lexnet.cli.predict.look_under", deny)
    said = call("predict", bundle, folder)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"lexnet: {folder} cannot be used (Permission denied); fix it and try again\n"


def test_a_folder_without_pictures_is_named(call: Call, bundle: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    said = call("predict", bundle, tmp_path)
    assert (said.code, said.out) == (2, "")
    assert f"{tmp_path} holds no pictures" in said.err


def test_it_abstains_under_its_threshold(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "tiny.lexnet"
    path.write_bytes(tiny_bundle(threshold=1.0))
    said = call("predict", path, *FLAGS, "--json")
    assert said.code == 0
    for row in json.loads(said.out):
        assert row["label"] is None and len(row["top"]) == 1
        assert row["probability"] == row["top"][0][1]
        assert row["reason"].startswith("abstains: ")
    assert "abstains: 0." in call("predict", path, FLAGS[0]).out


def test_engines_and_workers_give_the_same_labels(call: Call, bundle: str) -> None:
    said = [
        json.loads(call("predict", bundle, *FLAGS, "--json", *more).out)
        for more in ((), ("--engine", "openvino"), ("--engine", "auto"), ("--workers", 1))
    ]
    assert [len(document) for document in said] == [len(FLAGS)] * 4
    for document in said[1:]:
        for row, first in zip(document, said[0], strict=True):
            assert row["label"] == first["label"]
            assert row["probability"] == pytest.approx(first["probability"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--tpo", 3), "--top"),
        (("--jsn",), "--json"),
        (("--top", 0), "0 is not in the range"),
        (("--engine", "tpu"), "'onnxruntime'"),
        (("--csv", "--json"), "exclude each other"),
    ],
)
def test_bad_usage_ends_with_2_and_a_hint(
    arguments: tuple[object, ...], hint: str, call: Call, bundle: str
) -> None:
    said = call("predict", bundle, FLAGS[0], *arguments)
    assert (said.code, said.out) == (2, "")
    assert hint in said.err


def test_an_unknown_verb_ends_with_2_and_a_hint(call: Call) -> None:
    said = call("predcit", "x")
    assert (said.code, said.out) == (2, "")
    assert "did you mean predict?" in said.err
    assert "no verb named 'evaluate' (did you mean val?)" in call("evaluate", "x").err
    assert "no verb named 'export' (unzip model.onnx from a bundle)" in call("export", "x").err


def test_an_address_is_not_fetched(call: Call, bundle: str) -> None:
    said = call("predict", bundle, "https://example.org/a.jpg")
    assert said.code == 2
    assert "https://example.org/a.jpg is an address; save the picture, and give its file" in said.err


def test_the_bundle_comes_first(call: Call, bundle: str, test_data: Path, tmp_path: Path) -> None:
    photo = next((test_data / "clothing/test").glob("*/*.jpg"))
    for path in (photo, FLAGS[0]):
        said = call("predict", path, bundle)
        assert said.code == 2
        assert f"{path} is not a LexNet bundle but a picture; give the bundle first" in said.err
    said = call("predict", tmp_path, FLAGS[0])
    assert (
        "is a folder without a model.lexnet; give a bundle, or the folder of a run that has ended" in said.err
    )


def test_what_is_no_bundle_ends_with_2(call: Call, bundle: str, tmp_path: Path) -> None:
    assert call("predict", tmp_path / "gone.lexnet", FLAGS[0]).code == 2
    assert call("predict", bundle).code == 2  # nothing to label
    content = bytearray(Path(bundle).read_bytes())
    content[5_000_000] ^= 1
    tampered = tmp_path / "model.lexnet"
    tampered.write_bytes(content)
    for path, message in ((tampered, "is damaged"), (FLAGS[0], "is not a LexNet bundle")):
        said = call("predict", path, FLAGS[0])
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"lexnet: {path} ") and message in said.err
    outside = tmp_path / "outside.lexnet"
    outside.write_bytes(forged(tiny_bundle(), lambda _, members: members.update({"model.onnx": b"\x07"})))
    assert "the graph is not ONNX" in call("predict", outside, FLAGS[0]).err


def test_of_equal_classes_the_label_is_shown_first() -> None:
    even = np.array([0.2, 0.4, 0.4], np.float32)
    shown = top_classes(Prediction("b", 0.4, even, None), ["a", "b", "c"], 3)
    assert [name for name, _ in shown] == ["b", "c", "a"]


@pytest.mark.pictures
def test_photos_of_a_phone(call: Call, bundle: str, test_data: Path) -> None:
    said = call("predict", bundle, test_data / "clothing" / "test" / "hat", "--json")
    assert said.code == 0
    document = json.loads(said.out)
    assert len(document) == len(list((test_data / "clothing" / "test" / "hat").iterdir()))
    assert all(row["label"] for row in document)


def test_a_file_for_the_output_is_no_picture(call: Call, bundle: str) -> None:
    said = call("predict", bundle, FLAGS[0], "--csv", "out.csv")
    assert (said.code, said.out) == (2, "") and "--csv and --json print: end with > out.csv" in said.err
