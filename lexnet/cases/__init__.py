"""Case studies: what the lectures claim, as experiments that run and give a verdict."""

from importlib import import_module

from lexnet.cases.case import Case
from lexnet.errors import ConfigError

NAMES = ("lenet5", "classic", "resnet", "pointwise", "inception", "mobilenet", "transfer", "augmentation")


def find_case(name: str) -> Case:
    """The case of this name. Raises `ConfigError`."""
    if name not in NAMES:
        raise ConfigError(f"no case named {name!r}; there are {', '.join(NAMES)}")
    case: Case = import_module(f"lexnet.cases.{name}").CASE
    return case
