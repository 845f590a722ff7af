"""`lexnet verify BUNDLE`"""

from pathlib import Path

import click

from lexnet.cli import FAILED
from lexnet.cli.options import bundle_argument, json_flag
from lexnet.cli.say import say
from lexnet.errors import BundleError, GraphError
from lexnet.files import display
from lexnet.runtime.predictor import load_predictor


@click.command("verify")
@bundle_argument
@json_flag
def command(bundle: Path, as_json: bool) -> int:
    """Check a bundle: its digests, that its graph is its own, and its golden pictures.

    This shows damage; it does not show who made the file.
    """
    from lexnet.cli.printing import print_json

    digests = graph = False
    checked, problems = 0, []
    try:
        predictor = load_predictor(bundle, engine="onnxruntime")
        digests = graph = True
        checked = len(predictor.bundle.golden)
        problems = predictor.check_golden()
    except GraphError as error:
        digests, graph, problems = True, False, [str(error)]
    except BundleError as error:
        problems = [str(error)]
    golden = checked > 0 and not problems
    if as_json:
        print_json({"digests": digests, "golden": golden, "graph": graph, "problems": problems})
    elif problems:
        say("\n".join(problems), err=True)
    else:
        pictures = (
            f"{checked} golden pictures come out as recorded" if checked else "it has no golden pictures"
        )
        say(f"{display(bundle)}: digests and graph are sound, {pictures}")
    return FAILED if problems else 0
