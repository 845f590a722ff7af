"""Flags made from the config dataclasses: each field with its type, default and help."""

import re
from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click

from lexnet.settings import settings

Command = Callable[..., Any]


def _bundle(ctx: click.Context, param: click.Parameter, path: Path) -> Path:
    """A file, or a run's folder."""
    from lexnet.runtime.bundle import BUNDLE

    if path.is_dir() and not (path / BUNDLE).is_file():
        raise click.BadParameter(
            f"{path} is a folder without a {BUNDLE}; give a bundle, or the folder of a run that has ended"
        )
    return path


bundle_argument = click.argument(
    "bundle", type=click.Path(exists=True, path_type=Path), callback=_bundle, metavar="BUNDLE"
)
json_flag = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
engine_flag = click.option(
    "--engine",
    type=click.Choice(["auto", "openvino", "onnxruntime"]),
    default="auto",
    show_default=True,
    help="What runs the graph; auto takes OpenVINO where it is installed.",
)
threshold_flag = click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Give no label where the likeliest class has a lower probability.  [default: the bundle's, 0]",
)
workers_flag = click.option("--workers", type=click.IntRange(1), help="Threads.  [default: all cores]")


OPTIONS = "Options"
ALIASES = {"budget": ("--time-limit",), "net": ("--model",), "lr": ("--learning-rate",)}
"""What users of other libraries type."""


class Setting(click.Option):
    """A flag with its section of the help."""

    def __init__(self, *names: Any, section: str, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.section = section


ELSEWHERE = {
    "--resume": "an unfinished run goes on when the same command is given again",
    "--pretrained": "nets bring their published weights, but with --mode scratch",
    "--data": "give the pictures bare, as in: lexnet train photos/",
    "--name": "--out names the run's folder",
}
"""What users of other tools ask for, and what stands for it here."""


class Sectioned(click.Command):
    """A command whose help has a section for each dataclass inside its config."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hidden = {name for param in self.params if getattr(param, "hidden", False) for name in param.opts}
            name, likely = error.option_name, [one for one in error.possibilities or () if one not in hidden]
            if hint := ELSEWHERE.get(name):
                raise click.NoSuchOption(name, f"No such option: {name}; {hint}.", ctx=ctx) from None
            raise click.NoSuchOption(name, possibilities=likely, ctx=ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                sections.setdefault(getattr(param, "section", OPTIONS), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def config_flags(kind: type[Any]) -> Callable[[Command], Command]:
    """A flag for each setting of the dataclass and of the dataclasses inside it."""

    def add(command: Command) -> Command:
        for setting in reversed(settings(kind)):
            command = _option(*setting)(command)
        return command

    return add


def _option(field: Field[Any], hint: Any, section: str) -> Callable[[Command], Command]:
    kind, text = get_args(hint)
    said, *default = re.split(r" (?=\[default: )", text)  # where it depends on the mode
    boolean = kind is bool
    return click.option(
        f"--{field.name.strip('_').replace('_', '-')}",
        *ALIASES.get(field.name, ()),
        field.name,
        cls=Setting,
        section=_capital(section) if section else OPTIONS,
        type=None if boolean else _type(kind),
        is_flag=boolean,
        default=field.default,
        show_default=not boolean and field.default is not None,
        hidden=field.metadata.get("hidden", False),
        help="  ".join([f"{_capital(said)}.", *default]),
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _type(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):  # an Optional: the type that is not None
        return _type(next(t for t in get_args(kind) if t is not type(None)))
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kind) is tuple:
        return Numbers(get_args(kind)[0])
    return kind


class Numbers(click.ParamType):  # type: ignore[type-arg]  # click before 8.5 has no types for it
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
