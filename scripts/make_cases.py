"""Runs case studies and writes their pages: docs/cases/NAME.md with its drawings, and README.md, their list.

    python scripts/make_cases.py [--full] [NAME...]

Without names it runs them all, half an hour; `--full` takes hours for each.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexnet.cases import NAMES, find_case
from lexnet.cases.case import Study
from lexnet.cases.run import conduct, new_lab
from lexnet.cli.case import WORDS

folder = Path(__file__).resolve().parent.parent / "docs" / "cases"
TOP = """# Case studies

Claims of the deep-learning lectures as experiments, each with a verdict that comes from all of its seeds.
`lexnet case NAME` runs one here, `lexnet case all` makes these pages as a booklet. “Not shown” means that at
that size chance cannot be told from an effect; longer training above all may bring out something else.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; all but the first column are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def page(name: str, facts: dict[str, Any], study: Study) -> str:
    """A case's page."""
    parts = [f"# {facts['title']}", f"> {facts['claim']}", facts["source"]]
    parts += [f"**The claim as a whole: {WORDS[study.holds]}.** Part by part:"]
    for one in study.findings:
        parts.append(
            f"- {one.claim[0].upper()}{one.claim[1:]}: **{WORDS[one.holds]}**. {one.seen}. "
            f"Judged by: {one.test}."
        )
    for number, figure in enumerate(study.figures, 1):
        parts += [f"![{figure.caption}]({name}-{number}.svg)", f"*{figure.caption}.*"]
    for one in study.tables:
        parts += [f"{one.caption}:", table(one.head, one.rows)]
    settings = [*facts["settings"], ("run on", facts["machine"]), ("took", f"{facts['seconds']:.0f} s")]
    parts += ["## Fixed before the result", table(("setting", ""), settings).replace("--:", "---")]
    parts += [f"Again: `{facts['command']}`"]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The list of all pages that there are, with their verdicts."""
    rows = []
    for name in NAMES:
        if (file := folder / f"{name}.md").exists():
            text = file.read_text(encoding="utf-8")
            verdict = re.search(r"as a whole: (.+?)\.\*\*", text)
            command = re.search(r"Again: `(.+?)`", text)
            assert verdict is not None and command is not None
            rows.append((f"[{name}]({name}.md)", find_case(name).claim, verdict[1], f"`{command[1]}`"))
    head = ("case", "claim", "verdict", "command")
    return f"{TOP}\n{table(head, rows).replace('--:', '---')}\n"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("names", nargs="*", metavar="NAME")
parser.add_argument("--full", action="store_true")
options = parser.parse_args()
folder.mkdir(exist_ok=True)
for name in options.names or NAMES:
    facts, study = conduct(name, new_lab(), full=options.full)
    for number, figure in enumerate(study.figures, 1):
        (folder / f"{name}-{number}.svg").write_text(figure.svg, encoding="utf-8")
    (folder / f"{name}.md").write_text(page(name, facts, study), encoding="utf-8")
    (folder / "README.md").write_text(index(), encoding="utf-8")
    print(f"{name}: {WORDS[study.holds]}, {facts['seconds']:.0f} s", flush=True)
