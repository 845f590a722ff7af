"""Runs case studies and writes their pages: docs/cases/NAME.md with its drawings, and README.md, their list.

    python scripts/make_cases.py [--full] [--workers N] [NAME...]

Without names it runs them all, half an hour; `--full` writes NAME-full.md, and takes an hour or more each.
"""

import argparse
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexnet.cases import NAMES, find_case
from lexnet.cases.case import Study
from lexnet.cases.run import conduct, new_lab
from lexnet.cli.case import WORDS

folder = Path(__file__).resolve().parent.parent / "docs" / "cases"
HEAD = ("git", "rev-parse", "--short", "HEAD")
COMMIT = subprocess.run(HEAD, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
TOP = """# Case studies

Claims of deep-learning lectures and textbooks as experiments, each with a verdict that comes from all of
its seeds. `lexnet case NAME` runs one here, in up to seven minutes on two cores; `lexnet case all` makes
the same pages as a booklet; `--full` is the long version: the same experiment with more pictures and longer
training (— where it was not run). A claim holds if each of its parts does, and does not hold if one does
not. “Not shown”: the interval of what was measured has both outcomes in it. A verdict is about the settings
on its page.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; all but the first column are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def page(stem: str, facts: dict[str, Any], study: Study) -> str:
    """A case's page."""
    parts = [f"# {facts['title']}", f"> {facts['claim']}", facts["source"]]
    parts += [f"**The claim as a whole: {WORDS[study.holds]}.** Part by part:"]
    for one in study.findings:
        parts.append(
            f"- {one.claim[0].upper()}{one.claim[1:]}: **{WORDS[one.holds]}**. {one.seen}. "
            f"Judged by: {one.test}."
        )
    for number, figure in enumerate(study.figures, 1):
        parts += [f"![{figure.caption}]({stem}-{number}.svg)", f"*{figure.caption}.*"]
    for one in study.tables:
        parts += [f"{one.caption}:", table(one.head, one.rows)]
    made = ("run on", facts["machine"]), ("took", f"{facts['seconds']:.0f} s"), ("at commit", COMMIT)
    settings = [*facts["settings"], *made]
    parts += ["## Fixed before the result", table(("setting", ""), settings).replace("--:", "---")]
    parts += [f"Again: `{facts['command']}`"]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The list of all pages that there are, with their verdicts."""
    rows = [(name, find_case(name).claim, verdict(name), verdict(f"{name}-full")) for name in NAMES]
    return f"{TOP}\n{table(('case', 'claim', 'verdict', 'with `--full`'), rows).replace('--:', '---')}\n"


def verdict(stem: str) -> str:
    """What a page says of the claim as a whole, with the way to it."""
    file = folder / f"{stem}.md"
    if not file.exists():
        return "—"
    said = re.search(r"as a whole: (.+?)\.\*\*", file.read_text(encoding="utf-8"))
    assert said is not None
    return f"[{said[1]}]({file.name})"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("names", nargs="*", metavar="NAME")
parser.add_argument("--full", action="store_true")
parser.add_argument("--workers", type=int)
options = parser.parse_args()
folder.mkdir(exist_ok=True)
for name in options.names or NAMES:
    stem = f"{name}-full" if options.full else name
    facts, study = conduct(name, new_lab(options.workers), full=options.full)
    for number, figure in enumerate(study.figures, 1):
        (folder / f"{stem}-{number}.svg").write_text(figure.svg, encoding="utf-8")
    (folder / f"{stem}.md").write_text(page(stem, facts, study), encoding="utf-8")
    (folder / "README.md").write_text(index(), encoding="utf-8")
    print(f"{stem}: {WORDS[study.holds]}, {facts['seconds']:.0f} s", flush=True)
