"""A case study's page, and the booklet's first: HTML documents that open from disk."""

import base64
from collections.abc import Sequence
from typing import Any

from lexnet.report.page import fill


def render_case(facts: dict[str, Any], study: Any) -> str:
    """`study` has findings, tables and figures.

    `facts`: title, claim, source, settings (pairs), machine, seconds and command.
    """
    images = [_image(figure.svg) for figure in study.figures]
    return fill(
        "case.html.j2",
        booklet=False,
        study=study,
        figures=list(zip(study.figures, images, strict=True)),
        **facts,
    )


def render_booklet(cases: Sequence[dict[str, Any]], *, full: bool, machine: str, seconds: float) -> str:
    """`cases`: name, title, claim and holds of each."""
    facts = {"full": full, "machine": machine, "seconds": seconds}
    return fill("case.html.j2", booklet=True, title="Case studies", cases=cases, **facts)


def _image(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
