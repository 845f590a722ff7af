"""Whoever calls from Python is told of arguments, not of flags."""

import pytest

from lexnet.errors import ConfigError, PictureError
from lexnet.job.events import Event, Heard, Note, Progress, Warned
from lexnet.job.wording import in_python, raised_in_python


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ("only 9; --folds 5 measures", "only 9; folds=5 measures"),
        ("give --mode tail, or --mode finetune", "give mode='tail', or mode='finetune'"),
        ("go on without them with --skip-bad", "go on without them with skip_bad=True"),
        ("raise --val from 0.1; --val 0 goes too", "raise val from 0.1; val=0 goes too"),
        ("another --engine, --cut elsewhere", "another engine, cut elsewhere"),
        ("--max-macs 3e8 and --budget 5m", "max_macs='3e8' and budget='5m'"),
        ("--from X", "from_ X"),
        ("--lr 0.003", "lr=0.003"),
        ("choose another --out", "choose another out"),
        ("--device cpu-bound", "device cpu-bound"),
        ("`lexnet weights fetch N --file PATH`", "`lexnet weights fetch N --file PATH`"),
    ],
)
def test_flags_become_arguments(flags: str, arguments: str) -> None:
    assert in_python(flags) == arguments


def test_notes_and_warnings_are_told_so_and_all_else_as_it_is() -> None:
    told: list[Event] = []
    listen = Heard(told.append, in_python)
    for event in (Note("--seed 3"), Warned("--limit"), Progress("head", 1, 2)):
        listen(event)
    assert told == [Note("seed=3"), Warned("limit"), Progress("head", 1, 2)]


def test_what_is_raised_speaks_so_and_stays_what_it_is() -> None:
    with pytest.raises(ConfigError, match=r"^give lr$"), raised_in_python():
        raise ConfigError("give --lr")
    with pytest.raises(PictureError) as caught, raised_in_python():
        raise PictureError("a--b.jpg", "is empty")
    assert (caught.value.path, str(caught.value)) == ("a--b.jpg", "a--b.jpg: is empty")
    with pytest.raises(KeyError, match="--lr"), raised_in_python():
        raise KeyError("--lr")
