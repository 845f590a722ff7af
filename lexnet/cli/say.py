"""The way to the terminal: what is said there may hold names out of anybody's archive, table or bundle."""

import click

from lexnet.files import TURNING

CODES = {*range(0x20), *range(0x7F, 0xA0), *map(ord, TURNING)} - {ord("\n")}
STEERING = {code: f"\\u{code:04x}" for code in CODES}


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Prints the text."""
    click.echo(plain(text), err=err, nl=nl)


def plain(text: str) -> str:
    """The text with control characters, those that turn text around and what is no Unicode escaped, as JSON
    escapes them."""
    return text.translate(STEERING).encode("utf-8", "backslashreplace").decode()
