"""The contact sheet, on paper and in a terminal."""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_makers import clipart_folder, encode, noise
from PIL import Image, ImageDraw

from lexnet.augment.apply import apply
from lexnet.augment.recipes import RECIPES
from lexnet.augment.sample import sample
from lexnet.cli import terminal
from lexnet.config import PreprocessSpec
from lexnet.preprocess import decode, load_bytes
from lexnet.report.sheet import GAP

Call = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return clipart_folder(tmp_path / "pictures", count=5)


def test_the_sheet_shows_the_very_views_of_training(call: Call, folder: Path) -> None:
    file = folder / "birds" / sorted(p.name for p in (folder / "birds").iterdir())[0]
    said = call("augment", file, "--recipe", "photo", "--views", 3, "--size", 96, "--seed", 5)
    assert said.code == 0, said.err
    assert said.out == "1 picture, 3 views each by recipe photo: augment-photo.png\n"
    spec = PreprocessSpec(size=96, short_side=round(96 * 256 / 224))
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    with Image.open("augment-photo.png") as sheet:
        cells = [
            sheet.crop((GAP + i * (96 + GAP), GAP, GAP + i * (96 + GAP) + 96, GAP + 96)) for i in range(4)
        ]
    np.testing.assert_array_equal(np.asarray(cells[0]), load_bytes(content, spec))
    for number in range(3):
        view = sample(RECIPES["photo"], 5, "train", number, digest)
        np.testing.assert_array_equal(
            np.asarray(cells[number + 1]), apply(decode(content, spec), view, spec), str(number)
        )


def test_json_gives_the_numbers_of_every_view(call: Call, folder: Path) -> None:
    said = call("augment", folder, "--recipe", "lecture", "--views", 2, "--size", 32, "--json")
    document = json.loads(said.out)
    assert document["sheet"] == "augment-lecture.png" and document["recipe"] == "lecture"
    assert len(document["pictures"]) == 6  # of ten, evenly chosen: three of either class
    names = [Path(picture["path"]).parent.name for picture in document["pictures"]]
    assert names == ["birds"] * 3 + ["fruit"] * 3
    for picture in document["pictures"]:
        for view in picture["views"]:
            assert -15 <= view["rotate"] <= 15 and {"shear", "bend", "pca", "place"} <= set(view)


def test_explain_writes_under_each_view(call: Call, folder: Path) -> None:
    call("augment", folder, "--views", 2, "--size", 32, "--out", "plain.png")
    call("augment", folder, "--views", 2, "--size", 32, "--explain", "--out", "told.png")
    with Image.open("plain.png") as plain, Image.open("told.png") as told:
        assert told.height > plain.height + 100


def test_what_is_written_there_are_the_views_own_numbers(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[float, float, str]] = []
    draw = ImageDraw.ImageDraw.text

    def noted(self: ImageDraw.ImageDraw, at: tuple[float, float], text: str, *rest: object) -> None:
        written.append((*at, text))
        draw(self, at, text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    said = call("augment", folder, "--views", 2, "--size", 32, "--recipe", "lecture", "--explain", "--json")
    first = json.loads(said.out)["pictures"][0]["views"]
    titles = [(x, y) for x, y, text in written if text in ("view 0", "view 1")][:2]
    for (left, top), numbers in zip(titles, first, strict=True):
        under = [text for x, y, text in written if x == left and top < y < top + 13 * (len(numbers) + 1)]
        assert len(under) == len(numbers) and f"rotate {numbers['rotate']:.3g}" in under


def test_nothing_is_overwritten(call: Call, folder: Path) -> None:
    for name in ("augment-mirror.png", "augment-mirror-2.png"):
        assert call("augment", folder, "--recipe", "mirror", "--size", 16).out.endswith(f"{name}\n")
    refused = call("augment", folder, "--out", "augment-mirror.png")
    assert refused.code == 2 and "augment-mirror.png exists; choose another --out" in refused.err


def test_a_recipe_of_ones_own(call: Call, folder: Path) -> None:
    said = call("augment", "--recipe", "digits", "--yaml")
    assert "crop: random" in said.out and "mirror" not in said.out
    Path("mine.yaml").write_text(said.out + "flip: 0.5\n")
    assert call("augment", folder, "--recipe", "mine.yaml", "--size", 16).out.endswith("augment-mine.png\n")
    Path("mine.yaml").write_text("rotat: 5\n")
    wrong = call("augment", folder, "--recipe", "mine.yaml")
    assert wrong.code == 2 and "rotat (did you mean rotate?)" in wrong.err
    wrong = call("augment", folder, "--recipe", "fotos")
    assert wrong.code == 2 and "no recipe named 'fotos' (did you mean photo?)" in wrong.err


def test_a_sample_set_goes_by_its_name_unless_a_folder_here_has_it(call: Call, folder: Path) -> None:
    said = call("augment", "clipart", "--json")
    assert said.code == 0 and len(json.loads(said.out)["pictures"]) == 6
    folder.rename("clipart")
    paths = [one["path"] for one in json.loads(call("augment", "clipart", "--json").out)["pictures"]]
    assert paths and all(Path(path).parts[0] == "clipart" for path in paths)


def test_what_cannot_be_shown_is_named(call: Call, folder: Path) -> None:
    Path("empty").mkdir()
    assert "empty holds no pictures" in call("augment", "empty").err
    Path("broken.png").write_bytes(encode(noise(0))[:100])
    said = call("augment", "broken.png")
    assert said.code == 2 and "broken.png" in said.err and not Path("augment-photo.png").exists()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("KITTY_WINDOW_ID", "TERM_PROGRAM", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_half_blocks_are_the_picture(bare: pytest.MonkeyPatch) -> None:
    assert terminal.picture(noise(0), 10) is None
    bare.setenv("COLORTERM", "truecolor")
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]]], np.uint8))
    shown = terminal.picture(image, 2)
    assert shown == "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[38;2;0;255;0;48;2;9;8;7m▀\x1b[0m"


@pytest.mark.parametrize("name, value", [("KITTY_WINDOW_ID", "1"), ("TERM_PROGRAM", "iTerm.app")])
def test_protocols_carry_the_picture_as_png(bare: pytest.MonkeyPatch, name: str, value: str) -> None:
    bare.setenv(name, value)
    image = noise(1, 90, 80)
    shown = terminal.picture(image, 40)
    assert shown is not None
    pieces = re.findall(r"[;:]([A-Za-z0-9+/=]{20,})", shown)
    assert all(len(piece) <= 4096 for piece in pieces) or "1337" in shown
    with Image.open(BytesIO(base64.b64decode("".join(pieces)))) as back:
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


def test_pictures_are_drawn_only_on_a_terminal(call: Call, folder: Path, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("COLORTERM", "truecolor")
    assert "▀" not in call("augment", folder, "--size", 16).out


@pytest.mark.parametrize(
    ("name", "value", "drawn"),
    [
        ("COLORTERM", "truecolor", "▀"),
        ("KITTY_WINDOW_ID", "1", "\x1b_Ga=T"),
        ("TERM_PROGRAM", "iTerm.app", "\x1b]1337;File"),
        ("TERM", "dumb", ""),
    ],
)
def test_on_one_they_are_drawn_in_its_own_way(
    name: str, value: str, drawn: str, call: Call, folder: Path, bare: pytest.MonkeyPatch
) -> None:
    bare.setenv(name, value)
    bare.setattr(sys.stdout, "isatty", lambda: True)
    said = call("augment", folder, "--size", 16).out
    assert drawn in said and ("\x1b" in said) == bool(drawn)
    assert "views each by recipe photo" in said


def test_the_help_names_every_recipe(call: Call) -> None:
    shown = " ".join(call("augment", "--help").out.split())
    assert f"{', '.join(RECIPES)}, or a YAML file of your own" in shown


def test_a_sheet_is_called_what_it_is(call: Call, folder: Path, bare: pytest.MonkeyPatch) -> None:
    said = call("augment", folder, "--out", "sheet.jpg")
    assert said.code == 2 and "--out sheet.jpg: the sheet is a PNG; call it sheet.png" in said.err
    assert not Path("sheet.jpg").exists()
