"""The cases' drawings, as SVG that a page can hold."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from lexnet.cases.case import Figure
from lexnet.cases.verdict import interval

INK, RULE = "#1c1e21", "#dedad1"
COLOURS = ("#1d5f8a", "#a63d12", "#5b7f2b", "#7a4f9a", "#8a6d1d", "#3f8f8a", "#a3406b", "#5a5e63")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lexnet",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#f1efe9",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
MARKS = "osD^vP*X"
SIZE = (6.5, 3.8)  # inches
Seeds = Sequence[Sequence[float]]
"""For each seed a value at each x."""


def lines(
    caption: str,
    x: Sequence[float],
    series: Mapping[str, Seeds],
    names: tuple[str, str],
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """A line a series, of the mean over seeds, with a band from the least to the most; `names` of x and y."""

    def draw(axes: Axes) -> None:
        for (name, seeds), colour in zip(series.items(), COLOURS, strict=False):
            values = np.asarray(seeds, float)
            marker = "o" if len(x) < 12 else None
            axes.plot(x, values.mean(axis=0), color=colour, label=name, marker=marker, markersize=4)
            axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0)
        if log_x:
            axes.set_xscale("log")
        if log_x or len(x) < 12:
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
        if log_y:
            axes.set_yscale("log")
        axes.legend()

    return _axes(f"{caption} (bands: the least to the most over seeds)", draw, names)


def accuracies(
    caption: str, groups: Mapping[str, Mapping[str, tuple[float, Sequence[float]]]], names: tuple[str, str]
) -> Figure:
    """A point for each thing, group by group: name → (x, a share of each seed), with the mean's interval."""

    def draw(axes: Axes) -> None:
        for (group, things), colour in zip(groups.items(), COLOURS, strict=False):
            for (name, (x, values)), mark in zip(things.items(), MARKS, strict=False):
                mean, low, high = (100 * value for value in interval(values))
                axes.plot([x, x], [low, high], color=colour, lw=1, alpha=0.5)
                axes.plot([x], [mean], mark, color=colour, label=f"{group} {name}".strip())
        axes.set_xlim(0, 1.08 * max(x for things in groups.values() for x, _ in things.values()))
        _beside(axes)

    return _axes(caption, draw, (names[0], f"{names[1]}, %"))


def against(caption: str, things: Mapping[str, tuple[float, float]], names: tuple[str, str]) -> Figure:
    """A point for each thing on logarithmic axes: name → (x, y)."""

    def draw(axes: Axes) -> None:
        for (name, (x, y)), colour, mark in zip(things.items(), COLOURS, MARKS, strict=False):
            axes.plot([x], [y], mark, color=colour, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        _beside(axes)

    return _axes(caption, draw, names)


def bars(caption: str, rows: Mapping[str, Mapping[str, tuple[float, float, float]]], x: str) -> Figure:
    """In each row a bar for each series: (value, from, to)."""
    series = list(dict.fromkeys(name for bars_ in rows.values() for name in bars_))

    def draw(axes: Axes) -> None:
        height = 0.8 / len(series)
        for number, row in enumerate(list(rows.values())[::-1]):
            for place, (name, colour) in enumerate(zip(series, COLOURS, strict=False)):
                value, low, high = row[name]
                at = number + 0.4 - (place + 0.5) * height
                axes.barh(
                    at, value, color=colour, alpha=0.85, height=0.9 * height, label=None if number else name
                )
                axes.plot([low, high], [at, at], color=INK, lw=1.2)
        axes.axvline(0, color=INK, lw=0.8)
        axes.set_yticks(range(len(rows)), list(rows)[::-1])
        axes.grid(axis="y", visible=False)
        if len(series) > 1:
            axes.legend()

    return _axes(caption, draw, (x, ""), (6.5, 0.9 + 0.28 * len(rows) * (1 + 0.5 * len(series))))


def sheets(caption: str, rows: Mapping[str, Sequence[NDArray[Any]]]) -> Figure:
    """Rows of pictures, (H, W) each, every row with its name; each is scaled to its own range."""
    most = max(len(pictures) for pictures in rows.values())

    def draw(drawing: Drawing) -> None:
        spots = drawing.subplots(len(rows), most, squeeze=False)
        for (name, pictures), line in zip(rows.items(), spots, strict=True):
            for place, spot in enumerate(line):
                spot.axis("off")
                if place < len(pictures):
                    spot.imshow(np.asarray(pictures[place]), cmap="gray", interpolation="nearest")
            line[0].set_title(name, loc="left", fontsize=8, pad=3)

    return _svg(caption, draw, (8, 0.95 * len(rows) + 0.2))


def _beside(axes: Axes) -> None:
    """A legend outside, where it covers no point."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, borderaxespad=0.0)


def _axes(
    caption: str, draw: Callable[[Axes], None], names: tuple[str, str], size: tuple[float, float] = SIZE
) -> Figure:
    def drawn(drawing: Drawing) -> None:
        axes = drawing.subplots()
        draw(axes)
        axes.margins(x=0.08)
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])

    return _svg(caption, drawn, size)


def _svg(caption: str, draw: Callable[[Drawing], None], size: tuple[float, float]) -> Figure:
    text = StringIO()
    with matplotlib.rc_context(STYLE):
        drawing = Drawing(figsize=size, layout="constrained")
        draw(drawing)
        drawing.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return Figure(caption, svg[svg.index("<svg") :])
