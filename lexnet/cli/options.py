"""Flags made from the config dataclasses: each field with its type, default and help."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click

Command = Callable[..., Any]

bundle_argument = click.argument(
    "bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="BUNDLE"
)
json_flag = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


ALIASES = {"budget": ("--time-limit",)}
"""What users of other libraries type."""


def config_flags(kind: type[Any]) -> Callable[[Command], Command]:
    """A flag for each setting of the dataclass and of the dataclasses inside it."""

    def add(command: Command) -> Command:
        for field, hint in reversed(settings(kind)):
            command = _option(field, hint)(command)
        return command

    return add


def settings(kind: type[Any]) -> list[tuple[Field[Any], Any]]:
    """(field, annotated type) of every setting, those of inner dataclasses in their place."""
    hints = get_type_hints(kind, include_extras=True)
    found: list[tuple[Field[Any], Any]] = []
    for field in fields(kind):
        inner = field.default_factory
        if inner is not MISSING and is_dataclass(inner):
            found += settings(inner)
        else:
            found.append((field, hints[field.name]))
    return found


def _option(field: Field[Any], hint: Any) -> Callable[[Command], Command]:
    assert get_origin(hint) is Annotated, f"{field.name} has no help"
    kind, text = get_args(hint)
    name = f"--{field.name.strip('_').replace('_', '-')}"
    text = text[0].upper() + text[1:] + "."
    if kind is bool:
        return click.option(name, field.name, is_flag=True, default=field.default, help=text)
    shown = field.default is not None
    names = (name, *ALIASES.get(field.name, ()))
    return click.option(
        *names, field.name, type=_type(kind), default=field.default, show_default=shown, help=text
    )


def _type(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):  # an Optional: the type that is not None
        return _type(next(t for t in get_args(kind) if t is not type(None)))
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kind) is tuple:
        return Numbers(get_args(kind)[0])
    return kind


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "numbers"

    def __init__(self, kind: type[float]) -> None:
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(piece) for piece in str(value).split(","))
        except ValueError:
            example = "6,10" if self.kind is int else "0.01,0.1,1"
            self.fail(f"{value!r} is not numbers with commas between them, such as {example}", param, ctx)
