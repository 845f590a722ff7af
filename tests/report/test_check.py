"""The page of `lexnet check`: all findings, hostile names as text, nothing from outside."""

import base64
import os
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from picture_makers import encode, noise

from lexnet.check.examine import BLOCKING, FAULTS
from lexnet.data.fixes import Fix, fixes_csv, read_fixes
from lexnet.report.check import Case, Section, Shot, render_check

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=http://evil.example/x onerror='alert(1)'>",
    "x" * 300,
    "\u202eقبعة\u202d",
    "{{ 7 * 7 }}",
    "not utf-8: \udcff, a bell: \x07",
    "</title></style><!--",
    "javascript:alert(1)",
    "</script><script>alert(1)</script>",
]
THUMBNAIL = encode(noise(0, 96, 128), "JPEG")
FACTS = {"data": "photos/clothing", "pictures": 1234, "classes": 10, "seconds": 4.2, "fixes": "fixes.csv"}


FIXES = [
    Fix("train/hat/1.jpg", "leaks", "drop", why="nearly the same as test/hat/2.jpg"),
    Fix("test/hat/2.jpg", "leaks", ""),
    Fix("train/cap/3.jpg", "suspect_labels", "keep", "hat", "looks more like hat"),
    Fix("not on the page.jpg", "near_duplicates", "regroup", "-near", 'a, b and "c"'),
]


def shot(
    path: str = "train/hat/1.jpg",
    label: str = "hat",
    thumbnail: bytes | None = THUMBNAIL,
    row: int | None = 0,
) -> Shot:
    return Shot(path=path, label=label, part="train", thumbnail=thumbnail, row=row)


def section(name: str, cases: list[Case], count: int | None = None) -> Section:
    return Section(
        name=name,
        meaning=FAULTS[name],
        blocking=name in BLOCKING,
        count=len(cases) if count is None else count,
        cases=cases,
    )


def page(**cases: list[Case]) -> str:
    """A page with all faults, these of them found."""
    return render_check(FACTS, [section(name, cases.get(name, [])) for name in FAULTS], FIXES, ["hat", "cap"])


def hostile_page(note: bool = True) -> str:
    cases = {
        name: [
            Case([shot(text, text), shot(f"{text}/{text}", text)], text if note else "") for text in HOSTILE
        ]
        for name in FAULTS
    }
    facts = FACTS | {"data": "/".join(HOSTILE)}
    fixes = [Fix(text, text, "relabel", text, text) for text in HOSTILE]
    return render_check(facts, [section(name, cases[name]) for name in FAULTS], fixes, HOSTILE)


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
        if self.tags and self.tags[-1][0] not in ("style", "script"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_what_was_found_is_said() -> None:
    pair = Case([shot("train/hat/1.jpg"), shot("test/hat/2.jpg")])
    html = page(leaks=[pair], suspect_labels=[Case([shot()], "looks more like cap (0.91)")])
    text = Document(html).text
    for said in (
        "1,234 pictures, 2 kinds of findings",
        "photos/clothing · 10 classes · looked over in 4.2 s",
        "--fixes fixes.csv",
        "Nothing in your pictures was changed",
        "one picture in two parts; blocks",
        "test/hat/2.jpg",
        "looks more like cap (0.91)",
    ):
        assert said in text, f"{said!r} is not on the page"
    assert len(Document(html).all("img")) == 3


def test_every_fault_is_a_row_and_every_finding_a_section_that_is_linked() -> None:
    document = Document(hostile_page())
    assert [link["href"] for link in document.all("a")] == [f"#{name}" for name in FAULTS]
    assert [part["id"] for part in document.all("section")] == list(FAULTS)
    document = Document(page(leaks=[Case([shot()])]))
    assert [link["href"] for link in document.all("a")] == ["#leaks"]
    assert [part["id"] for part in document.all("section")] == ["leaks"]
    for name in FAULTS:
        assert name.replace("_", " ") in document.text


def test_where_nothing_was_found_nothing_is_listed() -> None:
    document = Document(page())
    assert "0 kinds of findings" in document.text
    assert not document.all("section") and not document.all("a")
    assert "; blocks" not in document.text


def test_one_kind_is_one_kind() -> None:
    assert "1 kind of findings" in Document(page(leaks=[Case([shot()])])).text


def test_only_the_first_are_shown_and_all_are_counted() -> None:
    cases = [Case([shot(f"hat/{i}.jpg")]) for i in range(60)]
    html = render_check(FACTS, [section("outliers", cases, count=1500)], FIXES, ["hat"])
    assert "The first 60 of 1,500." in Document(html).text and "1,500 outliers" in " ".join(
        Document(html.replace("<t", " <t")).text.split()
    )
    assert "The first" not in Document(page(outliers=cases)).text


def test_a_picture_that_cannot_be_shown_is_named() -> None:
    html = page(unreadable=[Case([shot("hat/bad.jpg", "", None)], "is text, not a picture")])
    document = Document(html)
    assert (
        not document.all("img")
        and "hat/bad.jpg" in document.text
        and "is text, not a picture" in document.text
    )


def test_hostile_names_are_only_text() -> None:
    html = hostile_page()
    html.encode("utf-8")
    document = Document(html)
    assert document.all("script") == [{"type": "application/json", "id": "rows"}, {}]
    assert not [key for _, attributes in document.tags for key in attributes if key.startswith("on")]
    assert len(document.all("img")) == 2 * len(HOSTILE) * len(FAULTS)
    assert "<script>alert(1)</script>" in document.text and "{{ 7 * 7 }}" in document.text
    assert "\u202e" not in html and "\\u202eقبعة" in document.text
    assert "\x07" not in html and "\\udcff, a bell: \\x07" in document.text
    assert HOSTILE[2] in document.text  # a path is shown whole
    assert all(attributes.get("dir") == "ltr" for attributes in document.all("span"))


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = hostile_page()
    document = Document(html)
    for tag, attributes in document.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
        assert "url(" not in (attributes.get("style") or "")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style and "http" not in style
    policy = next(meta["content"] for meta in document.all("meta") if "http-equiv" in meta)
    script = html[html.rindex("<script>") + len("<script>") : html.rindex("</script>")]
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    assert "fetch" not in script and "http" not in script


def test_without_its_script_the_page_says_what_is_proposed() -> None:
    text = Document(page(leaks=[Case([shot(), shot("test/hat/2.jpg", row=1)])])).text
    assert "train/hat/1.jpg→ drop" in text and "test/hat/2.jpg→ stays" in text
    left_out = Case([shot("hat/notes.txt", "", None, row=None)], "is no picture")
    assert not any(tag.get("class") == "proposal" for tag in Document(page(left_out=[left_out])).all("div"))


def test_without_its_script_a_picture_that_is_dropped_for_one_fault_is_dropped_for_all() -> None:
    rows = [Fix("a.jpg", "leaks", "drop"), Fix("a.jpg", "suspect_labels", "keep", "hat")]
    html = render_check(FACTS, [section("suspect_labels", [Case([shot("a.jpg", row=1)])])], rows, ["hat"])
    assert "→ drop" in Document(html).text and "→ keep" not in Document(html).text


def test_it_is_a_document() -> None:
    html = hostile_page()
    document = Document(html)
    assert html.lstrip().startswith("<!DOCTYPE html>") and document.all("html") == [{"lang": "en"}]
    assert len(document.all("h1")) == 1 and all(cell.get("scope") == "row" for cell in document.all("th"))
    assert all("alt" in image for image in document.all("img"))


def test_only_a_jpeg_or_png_is_shown() -> None:
    with pytest.raises(ValueError, match="JPEG or PNG"):
        page(outliers=[Case([shot(thumbnail=b"<svg onload=alert(1)>")])])


# ---- in a browser: LEXNET_CHROMIUM names its executable


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=os.environ["LEXNET_CHROMIUM"],
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield browser
        browser.close()


PAGES = {
    "plain": page(
        leaks=[Case([shot(), shot("test/hat/2.jpg", row=1)])] * 9, outliers=[Case([shot()], "4.1 spreads")]
    ),
    "hostile names": hostile_page(note=False),
    "hostile notes": hostile_page(),
}


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["plain", "hostile names", "hostile notes"])
def test_in_a_browser(browser: Any, tmp_path: Path, which: str, width: int) -> None:
    file = tmp_path / "check.html"
    file.write_text(PAGES[which], encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900})
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    try:
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        for image in tab.locator("img").all()[:3]:
            image.scroll_into_view_if_needed()
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        tab.locator("a").first.click()
        assert tab.evaluate("document.querySelector(':target').tagName") == "SECTION"
    finally:
        context.close()


@pytest.fixture
def chosen(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """The page of a leak and a suspect label, open, and a way to save what was chosen."""
    file = tmp_path / "check.html"
    leak = Case([shot(), shot("test/hat/2.jpg", row=1)])
    doubt = Case([shot("train/cap/3.jpg", "cap", row=2)])
    damaged = Case([shot("train/hat/1.jpg", "", None, row=0)])
    file.write_text(page(leaks=[leak], suspect_labels=[doubt], unreadable=[damaged]), encoding="utf-8")
    context = browser.new_context(accept_downloads=True)
    yield context.new_page(), file
    context.close()


def saved(tab: Any, to: Path) -> list[Fix]:
    with tab.expect_download() as download:
        tab.get_by_text("Save fixes.csv").click()
    assert download.value.suggested_filename == "fixes.csv"
    download.value.save_as(to)
    return read_fixes(to)


@pytest.mark.browser
def test_what_is_chosen_on_the_page_is_saved_as_corrections(chosen: Any, tmp_path: Path) -> None:
    tab, file = chosen
    tab.goto(file.as_uri())
    own = [fix for fix in FIXES if fix.proposal]
    assert saved(tab, tmp_path / "as proposed.csv") == own
    assert (tmp_path / "as proposed.csv").read_text("utf-8") == fixes_csv(own)
    assert tab.locator("footer span").inner_text() == "drop 1 · regroup 1 · keep 1"

    leak, doubt = tab.locator("#leaks select"), tab.locator("#suspect_labels select")
    leak.nth(0).select_option("keep")
    leak.nth(1).select_option("drop")
    doubt.select_option("relabel")
    assert tab.locator("#suspect_labels input").input_value() == "hat"
    tab.locator("#suspect_labels input").fill("a hat")  # no class: nothing is saved
    tab.get_by_text("Save fixes.csv").click()
    assert tab.locator("input:invalid").count() == 1
    tab.locator("#suspect_labels input").fill("hat")
    assert [(fix.path, fix.proposal, fix.value) for fix in saved(tab, tmp_path / "chosen.csv")] == [
        ("train/hat/1.jpg", "keep", ""),
        ("test/hat/2.jpg", "drop", ""),
        ("train/cap/3.jpg", "relabel", "hat"),
        ("not on the page.jpg", "regroup", "-near"),
    ]
    assert tab.locator(".dropped").count() == 1
    # the same row again: it says the same, and a picture that cannot be shown has no label to change
    assert tab.locator("#unreadable option").all_inner_texts() == ["keep", "drop"]


@pytest.mark.browser
def test_a_picture_relabelled_twice_has_one_class(browser: Any, tmp_path: Path) -> None:
    """As a relabel of an earlier review whose picture looks wrong again."""
    rows = [Fix("a.jpg", "suspect_labels", "relabel", "hat"), Fix("a.jpg", "outliers", "keep", "cap")]
    sections = [section("outliers", [Case([shot("a.jpg", row=1)])])]
    (tmp_path / "check.html").write_text(render_check(FACTS, sections, rows, ["hat", "cap"]), "utf-8")
    context = browser.new_context(accept_downloads=True)
    tab = context.new_page()
    tab.goto((tmp_path / "check.html").as_uri())
    tab.locator("select").select_option("relabel")
    assert {fix.value for fix in saved(tab, tmp_path / "fixes.csv")} == {"cap"}
    context.close()
