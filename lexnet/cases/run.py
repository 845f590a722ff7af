"""A case study from its settings to its page."""

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lexnet.cases import find_case
from lexnet.cases.case import Case, Lab, Study
from lexnet.config import available_cores
from lexnet.errors import ConfigError
from lexnet.files import display, write_atomic
from lexnet.job.finish import apart
from lexnet.report.case import render_booklet, render_case

OWN_DATA = ("lenet5", "resnet", "transfer")
"""Cases that take pictures of the user's."""
PHOTOS = "transfer"
"""The one of them that takes photographs."""


def run_case(name: str, lab: Lab, out: Path, *, full: bool = False) -> dict[str, Any]:
    """Runs it, writes NAME.html and NAME.svg into the folder, and returns what was found.

    Raises `LexNetError`.
    """
    facts, study = conduct(name, lab, full=full)
    page, drawing = out / f"{name}.html", out / f"{name}.svg"
    write_atomic(page, render_case(facts, study))
    write_atomic(drawing, study.figures[0].svg)
    case = find_case(name)
    return {
        "name": name,
        "title": case.title,
        "claim": case.claim,
        "holds": study.holds,
        "findings": [asdict(finding) for finding in study.findings],
        "numbers": study.numbers,
        "figure": display(drawing),
        "page": display(page),
        "seconds": facts["seconds"],
        "settings": asdict(settings_of(case, lab, full=full)),
    }


def conduct(name: str, lab: Lab, *, full: bool = False) -> tuple[dict[str, Any], Study]:
    """Runs it; (what a page says about the case and the run, what was found). Raises `LexNetError`."""
    case = find_case(name)
    if lab.data is not None and name not in OWN_DATA:
        raise ConfigError(f"data={display(lab.data)}: {name} has pictures of its own; leave it out")
    start = time.perf_counter()
    settings = settings_of(case, lab, full=full)
    with apart(lab.workers):
        study = case.study(settings, lab)
    own = "" if lab.data is None else f" --data {display(lab.data)}"
    facts = {
        "title": case.title,
        "claim": case.claim,
        "source": case.source,
        "settings": [(key.replace("_", " "), _shown(value)) for key, value in asdict(settings).items()]
        + [("training", settings.learning())],
        "machine": machine(lab),
        "seconds": time.perf_counter() - start,
        "command": f"lexnet case {name}{own}{' --full' if full else ''}",
    }
    return facts, study


def settings_of(case: Case, lab: Lab, *, full: bool) -> Any:
    """The short ones, the long ones, or the paper's own; of pictures of one's own, where there are some."""
    settings = case.full if full else case.short
    if lab.data is None:
        return settings
    if full and case.published is not None and torch.cuda.is_available():
        settings = case.published
    return settings.with_data(str(lab.data))


def write_booklet(found: Sequence[dict[str, Any]], lab: Lab, out: Path, *, full: bool) -> Path:
    """The page that leads to the others."""
    page = out / "index.html"
    seconds = sum(one["seconds"] for one in found)
    write_atomic(page, render_booklet(found, full=full, machine=machine(lab), seconds=seconds))
    return page


def machine(lab: Lab) -> str:
    """The machine and versions, for the page."""
    threads = f"{lab.workers} thread{'s' if lab.workers > 1 else ''}"
    where = f"{platform.machine()}, {available_cores()} cores ({threads}), {platform.system()}"
    return f"{where}, torch {torch.__version__}"


def new_lab(workers: int | None = None, data: Path | None = None) -> Lab:
    """A lab with all cores, where nobody says how many."""
    return Lab(workers=workers or available_cores(), data=data)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(one)}" for key, one in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
