"""`lexnet train DATA`"""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from lexnet.cli.options import Sectioned, config_flags, json_flag
from lexnet.cli.say import say
from lexnet.config import TrainConfig
from lexnet.files import display
from lexnet.settings import from_flat


@click.command("train", cls=Sectioned)
@click.argument("data", metavar="DATA")
@config_flags(TrainConfig)
@click.option("--dry-run", is_flag=True, help="Stop after the plan: say how long each choice would take.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/NAME]")
@json_flag
def command(data: str, dry_run: bool, out: Path | None, as_json: bool, **values: Any) -> None:
    """Train a classifier on DATA: a folder with a folder of pictures for each class.

    DATA may also hold train, val and test folders of such folders; be a CSV or Parquet file (path, label),
    a zip or tar of any of these, a sample set (clipart, digits, fashion-mnist), or the plan.yaml of an
    earlier run, which then runs again.
    """
    from lexnet.cli.listen import listener
    from lexnet.cli.printing import print_json
    from lexnet.cli.progress import Bars
    from lexnet.job.run import is_plan, preview, train

    source = click.get_current_context().get_parameter_source
    flags = {str(p.name): p.opts[0] for p in click.get_current_context().command.params}
    given = [flags[name] for name in values if source(name) is click.core.ParameterSource.COMMANDLINE]
    if is_plan(data) and given:
        raise click.UsageError(
            f"{data} brings its own settings; leave out {', '.join(given)}, or change them in the file"
        )
    config = None if is_plan(data) else from_flat(TrainConfig, values)
    with Bars() as bars:
        if dry_run:
            found = preview(data, config, listener(bars))
            if as_json:
                print_json(found)
            return
        run = train(data, config, out, listener(bars), display(shlex.join(["lexnet", *sys.argv[1:]])))
    if as_json:
        print_json(run.metrics)
    else:
        say(summary(run.metrics))


def _cut(metrics: dict[str, Any]) -> str:
    return f" up to {metrics['cut']}" if metrics["cut"] else ""


def _saved(metrics: dict[str, Any]) -> str:
    """What a cut saves."""
    from lexnet.cli.printing import percent

    if not (whole := metrics["whole"]):
        return ""
    params, macs = (percent(1 - metrics[key] / whole[key]) for key in ("params", "macs"))
    return f" ({params} and {macs} fewer than the whole net)"


def _millions(number: int) -> str:
    """384_123_456 → 384 M, 61_706 → 0.0617 M"""
    return f"{number / 1e6:,.0f} M" if number >= 1e8 else f"{number / 1e6:.3g} M"


def summary(metrics: dict[str, Any]) -> str:
    """What a run came to, in a few lines."""
    from lexnet.cli.printing import percent

    low, high = metrics["interval"]
    count = metrics["counts"][metrics["measured_on"]]
    check = metrics["verification"]
    took = metrics["steps"] | {"other": metrics["seconds"] - sum(metrics["steps"].values())}
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took.items())
    lines = [
        f"{metrics['measured_on']} accuracy  {percent(metrics['accuracy'])}  "
        f"(95 %: {percent(low)} to {percent(high)}; {count:,} pictures; "
        f"always the commonest class: {percent(metrics['majority_accuracy'])})",
        f"net            {metrics['net']}{_cut(metrics)}, {metrics['mode']}; "
        f"{_millions(metrics['params'])} parameters, {_millions(metrics['macs'])} multiply-adds"
        f"{_saved(metrics)}",
        f"verified       {check['pictures']:,} held-out pictures through the shipped graph: "
        f"{percent(check['agreement'])} equal, probabilities at most {check['max_difference']:.2g} apart",
        f"time           {metrics['seconds']:.1f} s{' since it was resumed' * metrics['resumed']} ({steps})",
        f"bundle         {metrics['bundle']}  ({metrics['bundle_bytes'] / 1e6:.1f} MB)",
        f"report         {metrics['report']}",
        f"next           lexnet predict {shlex.quote(metrics['run'])} PICTURE...",
    ]
    if turns := metrics["cross_validation"]:
        low, high = turns["interval"]
        lines.insert(
            1,
            f"{turns['folds']} folds        {percent(turns['accuracy'])}  (95 %: {percent(low)} to "
            f"{percent(high)}; each of {turns['count']:,} pictures by a head that had not seen it; "
            f"{len(turns['repeats'])} times: {percent(min(turns['repeats']))} to "
            f"{percent(max(turns['repeats']))})",
        )
    return "\n".join(["", *lines])
