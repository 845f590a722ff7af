"""`lexnet samples ls, fetch`"""

from functools import partial

import click

from lexnet.cli.options import json_flag
from lexnet.cli.say import say


@click.group("samples")
def command() -> None:
    """The built-in sample sets: what there is, and bringing here what is not."""


@command.command("ls")
@json_flag
def ls(as_json: bool) -> None:
    """List the sets that can stand for DATA, and which are on this machine."""
    from lexnet.cli.printing import print_json, table
    from lexnet.data.fashion_mnist import is_here
    from lexnet.data.samples import SAMPLES

    here = {name: name != "fashion-mnist" or is_here() for name in SAMPLES}
    if as_json:
        print_json([{"name": name, "here": here[name], "what": what} for name, what in SAMPLES.items()])
    else:
        rows = [(name, "here" if here[name] else "-", what) for name, what in SAMPLES.items()]
        say(table(("set", "", "what"), rows, left=3))


@command.command("fetch")
@click.argument("name", type=click.Choice(["fashion-mnist"]))
def fetch(name: str) -> None:
    """Bring a set to this machine; a download that broke off goes on where it stopped."""
    from lexnet.cli.printing import megabytes
    from lexnet.cli.progress import Bars
    from lexnet.data.fashion_mnist import BYTES, LICENCE, SITE, fetch, is_here
    from lexnet.files import display

    if not is_here():
        say(f"{name}: {megabytes(BYTES)}, {LICENCE}, from {SITE}")
    with Bars() as bars:
        path = fetch(partial(bars.update, "download"))
    say(f"{name}: in {display(path)}")
