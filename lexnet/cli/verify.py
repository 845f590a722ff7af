"""`lexnet verify BUNDLE`"""

from pathlib import Path

import click

from lexnet.cli.options import bundle_argument, json_flag
from lexnet.errors import BundleError
from lexnet.files import display
from lexnet.runtime.predictor import load_predictor

FAILED = 1


@click.command("verify")
@bundle_argument
@json_flag
def command(bundle: Path, as_json: bool) -> int:
    """Check a bundle: its digests, that its graph is its own, and its golden pictures.

    This shows damage; it does not show who made the file.
    """
    from lexnet.cli.show import print_json

    digests = golden = graph = False
    try:
        predictor = load_predictor(bundle)
        digests = graph = True
        problems = predictor.check_golden()
        golden = not problems
        checked = len(predictor.bundle.golden)
    except BundleError as error:
        problems, checked = [str(error)], 0
    if as_json:
        print_json({"digests": digests, "golden": golden, "graph": graph, "problems": problems})
    elif problems:
        click.echo("\n".join(problems), err=True)
    else:
        click.echo(
            f"{display(bundle)}: digests and graph are sound, {checked} golden pictures come out as recorded"
        )
    return FAILED if problems else 0
