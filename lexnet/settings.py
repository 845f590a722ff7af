"""Settings between their dataclasses and what people write: flags, keyword arguments, YAML.

flags or keyword arguments ─ from_flat ──┐
a plan's YAML ─────────────── from_record ┴ TrainConfig ─ to_record ─ YAML
"""

import os
from dataclasses import MISSING, Field, asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

from lexnet.config import Recipe
from lexnet.errors import ConfigError, shown_plain


def settings(kind: type[Any], section: str = "") -> list[tuple[Field[Any], Any, str]]:
    """(field, annotated type, what its dataclass holds) of every setting, those of inner dataclasses in their
    place."""
    hints = get_type_hints(kind, include_extras=True)
    found: list[tuple[Field[Any], Any, str]] = []
    for one in fields(kind):
        inner, hint = one.default_factory, hints[one.name]
        assert get_origin(hint) is Annotated, f"{one.name} has no help"
        if inner is not MISSING and is_dataclass(inner):
            found += settings(inner, hint.__metadata__[0])
        else:
            found.append((one, hint, section))
    return found


def from_flat(kind: type[Any], values: dict[str, Any]) -> Any:
    """The dataclass from values by name, whichever inner dataclass they belong to; raises `ConfigError`."""
    chosen = {}
    for one in fields(kind):
        if is_dataclass(one.default_factory):
            chosen[one.name] = from_flat(one.default_factory, values)
        elif one.name in values:
            chosen[one.name] = _plain(values[one.name])
    return kind(**chosen)


def _plain(value: Any) -> Any:
    """numpy's numbers, texts and arrays as Python's own, which can be written down."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Recipe):
        return replace(value, **{one.name: _plain(getattr(value, one.name)) for one in fields(value)})
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def from_record(kind: type[Any], record: dict[str, Any], path: Path) -> Any:
    """The dataclass from nested values, as `to_record` gives them; raises `ConfigError`."""
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(record) - set(known)):
        raise ConfigError(f"{path} has settings this lexnet does not know: {shown_plain(unknown)}")
    values = {}
    for name, value in record.items():
        default = known[name].default_factory
        if is_dataclass(default):
            if not isinstance(value, dict):
                raise ConfigError(f"{path} gives {name}: {value!r}; it has settings of its own, one a line")
            value = from_record(default, value, path)
        elif name == "recipe" and isinstance(value, dict):  # one of the user's own, written out
            value = from_record(Recipe, value, path)
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def to_record(config: Any) -> dict[str, Any]:
    """Nested values of a dataclass, tuples as lists."""
    return {name: _listed(value) for name, value in asdict(config).items()}


def flat(config: Any) -> dict[str, Any]:
    """Each setting by its name alone, those of inner dataclasses in their place."""
    values: dict[str, Any] = {}
    for one in fields(config):
        value = getattr(config, one.name)
        values |= flat(value) if is_dataclass(one.default_factory) else {one.name: value}
    return values


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return [_listed(v) for v in value] if isinstance(value, (list, tuple)) else value
