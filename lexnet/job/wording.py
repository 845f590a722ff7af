"""Messages name the command line's flags; who calls from Python reads the names of arguments."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

from lexnet.augment.recipes import RECIPES
from lexnet.config import TrainConfig
from lexnet.errors import LexNetError
from lexnet.settings import settings


def _choices(kind: Any) -> Iterator[str]:
    """The words that a setting of this type may be."""
    for part in get_args(kind):
        if isinstance(part, str):
            yield part
        else:
            yield from _choices(part)


WORDS = {*RECIPES, *(word for _, hint, _ in settings(TrainConfig) for word in _choices(get_args(hint)[0]))}
NAMES = {"out", *(field.name for field, *_ in settings(TrainConfig))}
FLAG = re.compile(rf"--([a-z][a-z-]*)(?: (\d[\w.]*|{'|'.join(sorted(WORDS))})(?![\w-]))?")


def in_python(text: str) -> str:
    """`--folds 5` → `folds=5`, `--mode tail` → `mode='tail'`, `--skip-bad` → `skip_bad=True`."""

    def argument(flag: re.Match[str]) -> str:
        name, value = flag[1].replace("-", "_"), flag[2]
        name = name + "_" if name == "from" else name
        if name not in NAMES:
            return flag[0]
        if value is None:
            return f"{name}=True" if getattr(TrainConfig, name, None) is False else name
        return f"{name}={value}" if re.fullmatch(r"[\d.]+", value) else f"{name}={value!r}"

    return FLAG.sub(argument, text)


@contextmanager
def raised_in_python() -> Iterator[None]:
    """Inside, what LexNet raises speaks of arguments."""
    try:
        yield
    except LexNetError as error:
        error.args = tuple(in_python(one) if isinstance(one, str) else one for one in error.args)
        raise
