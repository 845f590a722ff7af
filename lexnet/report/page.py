"""A run's numbers, or a bundle's on other pictures, as one HTML document that opens from disk.

    metrics.json ─┐
                  ├─ facts, sorted and rounded ─ page.html.j2 ─ one str
    mistakes ─────┘

The page loads nothing: no script, no font, no picture from elsewhere, and its content policy forbids
them. Names of classes and files come from the user's folders and are escaped and kept from changing
the direction of the text around them.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import log
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from lexnet.evaluate.metrics import confused_pairs

MATRIX_CLASSES = 30  # a larger matrix is unreadable: then the pairs confused most often are listed
PAIRS = 20
SKIPPED = 50

MODES = {
    "probe": "a linear classifier on the features of a frozen net",
    "tail": "the net’s last stages were trained, those before stayed frozen",
    "finetune": "the whole net was trained, from given weights",
    "scratch": "the whole net was trained, from random weights",
}

DASH = "–"
NBSP = "\N{NO-BREAK SPACE}"
# A file's name may hold characters that HTML must not, or that reverse the text after them (U+202E):
# they are shown escaped.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), 127)} | {
    code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A picture that the net got wrong.

    path: as shown to the user, relative to the data folder
    label: the true class
    predicted: the class the net gave it
    probability: of the predicted class, 0..1
    thumbnail: a small JPEG or PNG
    """

    path: str
    label: str
    predicted: str
    probability: float
    thumbnail: bytes


def render(metrics: Mapping[str, Any], mistakes: Sequence[Mistake], seen: bytes | None = None) -> str:
    """The run's page as one HTML document.

    `metrics` is the content of the run's metrics.json; `mistakes` come in any order; `seen` is a contact
    sheet of what training saw, JPEG or PNG.
    Raises ValueError where the confusion matrix does not fit the classes or a thumbnail is neither
    JPEG nor PNG, and jinja2.UndefinedError where `metrics` lacks a key.
    """
    return fill(
        "page.html.j2",
        **_scored(metrics, mistakes),
        n=metrics["counts"][metrics["measured_on"]],
        part="test" if metrics["measured_on"] == "test" else "validation",
        baseline=_baseline(metrics),
        mode=MODES.get(metrics["mode"]),
        steps=_steps(metrics["steps"], metrics["seconds"]),
        most_skipped=SKIPPED,
        seen=seen,
        rates=_rates(metrics["rates"], metrics["fit"]["lr"]) if metrics["rates"] else None,
        losses=_losses(metrics["history"]),
        zip=zip,
    )


def render_scores(facts: Mapping[str, Any], mistakes: Sequence[Mistake]) -> str:
    """What a bundle came to on other pictures, as one HTML document.

    `facts`: what `lexnet.evaluate.metrics.Scores` holds, with classes, bundle, data, part ("" for none),
    majority_accuracy, created and notes (sentences).
    """
    return fill("val.html.j2", **_scored(facts, mistakes), n=facts["count"], part=facts["part"])


def _scored(m: Mapping[str, Any], mistakes: Sequence[Mistake]) -> dict[str, Any]:
    """What scores.html.j2 shows."""
    classes, confusion = m["classes"], m["confusion"]
    return {
        "m": m,
        "rows": list(zip(classes, _shaded(confusion, len(classes)), strict=True)),
        "as_matrix": len(classes) <= MATRIX_CLASSES,
        "pairs": confused_pairs(classes, confusion),
        "most_pairs": PAIRS,
        "per_class": sorted(m["per_class"], key=_worst_first),
        "mistakes": sorted(mistakes, key=lambda one: (-one.probability, one.path)),
        "wrong": sum(map(sum, confusion)) - sum(row[i] for i, row in enumerate(confusion)),
    }


def fill(template: str, **values: Any) -> str:
    """One of this package's templates with its values, as a document that can be written to a file."""
    html = _environment().get_template(template).render(**values)
    # lone surrogates (bytes in a file's name that are not UTF-8) could not be written to a file
    return html.translate(CONTROLS).encode("utf-8", "backslashreplace").decode("utf-8")


def _baseline(metrics: Mapping[str, Any]) -> str:
    """Where the majority baseline lies beside the interval: below, inside or above it."""
    low, high = metrics["interval"]
    majority = metrics["majority_accuracy"]
    return "below" if majority < low else "above" if majority > high else "inside"


def _shaded(confusion: Sequence[Sequence[int]], size: int) -> Iterator[list[tuple[int, float]]]:
    """Each row's counts with their shade: grows with the row share, and no error is too rare to be seen."""
    for row in confusion:
        if not len(row) == len(confusion) == size:
            shape = f"{len(confusion)} rows, one of {len(row)} counts"
            raise ValueError(f"a confusion matrix of {shape}, does not fit {size} classes")
        total = sum(row) or 1
        yield [(count, 0.15 + 0.85 * (count / total) ** 0.5) for count in row]


def _worst_first(row: Mapping[str, Any]) -> tuple[float, int, str]:
    """Ascending recall; of equals the class with more pictures first; classes without any last."""
    recall = row["recall"] if row["count"] and row["recall"] is not None else 2.0
    return recall, -row["count"], row["class"]


def _steps(steps: Mapping[str, float], total: float) -> list[tuple[str, float]]:
    """The steps as they ran, and the time that none of them accounts for."""
    rest = total - sum(steps.values())
    named = [(name.replace("_", " "), seconds) for name, seconds in steps.items()]
    return [*named, ("everything else", rest)] if rest > 0.005 * total else named


def _rates(curve: Sequence[Sequence[float]], taken: float) -> dict[str, Any] | None:
    """The learning rate finder's curve in a frame of 400 by 150, and where the rate is that was taken: rates
    by their logarithm, losses upwards."""
    if len(curve) < 2:
        return None
    top = 1.25 * curve[0][1]  # beyond which it has gone wrong, however far
    rates, losses = [log(rate) for rate, _ in curve], [min(loss, top) for _, loss in curve]
    wide, high = rates[-1] - rates[0], (max(losses) - min(losses)) or 1.0
    points = _polyline(
        [(rate - rates[0]) / wide for rate in rates], [(loss - min(losses)) / high for loss in losses]
    )
    return {"points": points, "x": 400 * max(0.0, (log(taken) - rates[0]) / wide)}


def _losses(history: Sequence[Mapping[str, float]]) -> dict[str, str] | None:
    """The loss and, where there is a validation part, its log loss epoch by epoch, in one such frame."""
    if len(history) < 2:
        return None
    epochs = [one["epoch"] for one in history]
    places = [(epoch - epochs[0]) / ((epochs[-1] - epochs[0]) or 1.0) for epoch in epochs]
    names = [name for name in ("loss", "val_log_loss") if all(one.get(name) is not None for one in history)]
    most = max((one[name] for one in history for name in names), default=0.0) or 1.0
    return {name: _polyline(places, [one[name] / most for one in history]) for name in names}


def _polyline(across: Sequence[float], upwards: Sequence[float]) -> str:
    """Points of 0..1 in a frame of 400 by 150."""
    return " ".join(f"{400 * x:.1f},{145 - 140 * y:.1f}" for x, y in zip(across, upwards, strict=True))


def _percent(share: float | None, digits: int = 1) -> str:
    """A share as per cent. Only 1 itself shows as 100 %, and only 0 as 0 %."""
    if share is None:
        return DASH
    if share in (0, 1):
        return f"{share:.0%}".replace("%", f"{NBSP}%")
    step = 10**-digits
    return f"{min(max(100 * share, step), 100 - step):.{digits}f}{NBSP}%"


def _span(interval: Sequence[float] | None) -> str:
    """[0.9, 0.952] → 90.0–95.2 %"""
    if interval is None:
        return DASH
    low, high = map(_percent, interval)
    return f"{low.removesuffix(f'{NBSP}%')}–{high}"


def _count(number: int, noun: str = "") -> str:
    """3068, "picture" → 3,068 pictures"""
    ending = "" if number == 1 or not noun else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}".rstrip()


def _large(number: float) -> str:
    """3_385_614 → 3.39 million"""
    for unit, size in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        if number >= size:
            digits = ".3g" if number < 999.5 * size else ",.0f"
            return f"{number / size:{digits}}{NBSP}{unit}"
    return f"{number:.0f}"


def _size(number: float) -> str:
    """13_600_000 → 13.6 MB"""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f}{NBSP}{unit}"
    return f"{number:.0f}{NBSP}bytes"


def _time(seconds: float) -> str:
    """0.31 → 0.31 s, 55.2 → 55 s, 292 → 4 min 52 s, 7500 → 2 h 5 min"""
    if seconds < 9.95:
        return f"{seconds:.{1 if seconds >= 1 else 2}f}{NBSP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NBSP}s"
    big, small, units = (whole // 60, whole % 60, ("min", "s"))
    if big >= 60:
        big, small, units = (big // 60, big % 60, ("h", "min"))
    return f"{big}{NBSP}{units[0]} {small}{NBSP}{units[1]}"


def _shorten(text: str, most: int = 48) -> str:
    """A long name without its middle: abcdefgh…yz"""
    return text if len(text) <= most else f"{text[: most * 2 // 3]}…{text[-(most // 3) :]}"


def _number(value: float | None, digits: int = 3) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _scientific(value: float) -> str:
    """2.4e-07 → 2.4 × 10⁻⁷; 0 is exactly 0"""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}{NBSP}×{NBSP}10{raised}"


def _data_uri(picture: bytes) -> str:
    for magic, kind in ((b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png")):
        if picture.startswith(magic):
            return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
    raise ValueError(f"a thumbnail must be a JPEG or PNG, not {picture[:8]!r}...")


def _sentence(text: str) -> str:
    """With a capital first letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: resources.files(__package__).joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "span": _span,
        "things": _count,
        "large": _large,
        "size": _size,
        "time": _time,
        "number": _number,
        "shorten": _shorten,
        "scientific": _scientific,
        "data_uri": _data_uri,
        "sentence": _sentence,
    }
    return environment
