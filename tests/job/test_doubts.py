"""What `train` says of pictures that it can train on."""

from pathlib import Path

import pytest
from picture_makers import CLIPART, clipart_folder, noise
from PIL import Image

from lexnet.config import SplitConfig, TrainConfig
from lexnet.data.fixes import Fix, fixes_csv
from lexnet.job import doubts
from lexnet.job.events import Event, Note, Warned
from lexnet.job.run import train

SUSPECT = Fix("birds/flag.png", "suspect_labels", "keep", "flags")
ALONE = Fix("fruit/noise.png", "outliers", "keep")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three classes of clip art; one flag is called a bird."""
    root = clipart_folder(tmp_path / "data", ("birds", "flags", "fruit"), 36)
    sorted((root / "flags").iterdir())[-1].rename(root / SUSPECT.path)
    return root


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Three classes of crops of one picture, and noise."""
    with Image.open(sorted((CLIPART / "birds").iterdir())[0]) as image:
        whole = image.convert("RGB").resize((160, 160))
    for number in range(30):
        folder = tmp_path / "crops" / ("birds", "flags", "fruit")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        whole.crop((number, number, number + 120, number + 120)).save(folder / f"{number}.png")
    noise(0, 120, 120).save(tmp_path / "crops" / ALONE.path)
    return tmp_path / "crops"


def told(data: Path, config: TrainConfig, kind: type[Note] | type[Warned] = Note) -> list[str]:
    events: list[Event] = []
    train(str(data), config, data.parent / "run", events.append)
    return [event.text for event in events if isinstance(event, kind)]


def test_a_wrong_label_is_told(data: Path) -> None:
    (doubtful,) = (text for text in told(data, TrainConfig(mode="probe")) if "doubtful" in text)
    assert f"(most of all {SUSPECT.path}, more like flags): `lexnet check` shows them" in doubtful


def test_a_picture_like_no_other_is_told(crops: Path) -> None:
    (alone,) = (text for text in told(crops, TrainConfig(mode="probe")) if "no other" in text)
    assert f"1 picture looks like no other (most of all {ALONE.path}): `lexnet check` shows them" in alone


@pytest.mark.parametrize(("name", "fix"), [("data", SUSPECT), ("crops", ALONE)])
def test_what_a_person_keeps_is_told_no_more(name: str, fix: Fix, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(name)
    fixes = data.parent / "fixes.csv"
    fixes.write_text(fixes_csv([fix]))
    texts = told(data, TrainConfig(mode="probe", fixes=str(fixes)))
    assert not any(f"most of all {fix.path}" in text and "look" in text for text in texts)


def test_too_many_pictures_are_left_to_check(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MOST", 50)
    assert not any("doubtful" in text or "no other" in text for text in told(data, TrainConfig(mode="probe")))


@pytest.mark.parametrize(("weight", "warned"), [("none", 1), ("balanced", 0)])
def test_a_class_that_has_far_more_pictures_is_warned_of(tmp_path: Path, weight: str, warned: int) -> None:
    for name, count in (("much", 90), ("little", 8)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(count):
            noise(100 * len(name) + number).save(tmp_path / "data" / name / f"{number}.png")
    config = TrainConfig(mode="probe", size=64, class_weight=weight, split=SplitConfig(val=0, test=0.25))
    found = [text for text in told(tmp_path / "data", config, Warned) if "count the same" in text]
    assert len(found) == warned
    assert all("training pictures of much and 6 of little: --class-weight balanced" in text for text in found)


def test_where_corrections_were_given_check_needs_them_too(data: Path) -> None:
    fixes = data.parent / "fixes.csv"
    fixes.write_text(
        fixes_csv([Fix(sorted((data / "fruit").iterdir())[0].relative_to(data).as_posix(), "x", "keep")])
    )
    (doubtful,) = (
        text for text in told(data, TrainConfig(mode="probe", fixes=str(fixes))) if "doubtful" in text
    )
    assert doubtful.endswith("`lexnet check` with the same --fixes shows them")


def test_a_net_that_has_learned_some_of_the_pictures_doubts_none(data: Path) -> None:
    first = train(str(data), TrainConfig(mode="probe"), data.parent / "first")
    again = told(data, TrainConfig(mode="probe", from_=str(first.folder)))
    assert not any("doubtful" in text or "no other" in text for text in again)
