"""The page in a browser: whatever labels say is text, and what it offers to a pointer and a keyboard works."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from pipeline import finished as pipeline_finished
from specnorm.errors import one_line
from specnorm.params import Params
from specnorm.report import contents
from specnorm.report.spreadsheet import inert
from stages import compare
from tests.demo import browser as browsing

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    '"><svg onload=alert(3)>',
    "</style><b>bold</b> 'quoted'",
    '=HYPERLINK("http://127.0.0.1/")',
    "[link](javascript:alert(4))",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "--></svg><iframe src=javascript:alert(5)>",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt;",
]
LINK = "a[download='{}']"


def names_of(page: Page, role: Literal["img", "table", "heading"]) -> list[str]:
    """What a screen reader calls the elements of a role."""
    return [
        element.evaluate("element => element.ariaLabel ?? element.alt ?? element.textContent")
        for element in page.get_by_role(role).all()
    ]  # type: ignore[arg-type]


@pytest.fixture
def opened(finished: Path, browser: Browser) -> Iterator[Page]:
    """The page of made-up cells on a desktop."""
    with browsing.watched(browser, width=1280, height=900) as watched:
        watched.page.goto((finished / "data/comparison/report.html").as_uri())
        yield watched.page
        assert watched.complaints == []


def test_hostile_labels_are_text_everywhere(workspace: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = pipeline_finished.shards, contents.files

    def renamed(params: Params) -> object:
        shards = read(params)
        known = dict(zip(shards.classes, HOSTILE, strict=True))
        shards.clips["label"] = shards.clips["label"].map(known)
        return shards

    def of_renamed(document: Any, verdict: Any, *others: Any) -> dict[str, bytes]:
        clips = verdict.clips.assign(clip=[HOSTILE[place % len(HOSTILE)] for place in range(len(verdict.clips))])
        titled = document.model_copy(update={"title": HOSTILE[0], "caveat": HOSTILE[5]})
        return write(titled, dataclasses.replace(verdict, clips=clips), *others)

    monkeypatch.setattr(pipeline_finished, "shards", renamed)
    monkeypatch.setattr(contents, "files", of_renamed)
    assert compare.main([]) == 0

    folder = workspace / "data/comparison"
    dialogs: list[str] = []
    with browsing.watched(browser, width=1280, height=900) as watched:
        page = watched.page
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto((folder / "report.html").as_uri())
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
        labels = page.locator("table.listing tbody :is(th, td)").all_inner_texts()
        assert {one_line(label) for label in HOSTILE} <= {label.strip() for label in labels}
        assert page.title() == page.get_by_role("heading", level=1).inner_text() == HOSTILE[0]
        assert page.locator("iframe, img[src=x], main b:text('bold')").count() == 0
        carried = page.locator(LINK.format("classes.csv")).get_attribute("href") or ""
        assert dialogs == []
        assert watched.complaints == []
        assert {url for url in watched.requests if not url.startswith("data:")} == {page.url}
    table = pd.read_csv(io.BytesIO(base64.b64decode(carried.partition(",")[2])))
    assert set(table["label"]) == {inert(label) for label in HOSTILE}
    text = (folder / "table.md").read_text()
    assert text.startswith("# \\<img src=x")
    assert "\\[link\\](javascript:alert(4))" in text


def test_tables_sort_by_their_figures_and_by_a_keyboard(opened: Page) -> None:
    table = opened.get_by_role("table", name="Every figure by mode")
    shown = "rows => rows.map(row => [row.cells[0].textContent.trim(), Number(row.cells[1].dataset.order)])"
    rows = table.locator("tbody tr")
    before = rows.evaluate_all(shown)
    accuracy = table.get_by_role("columnheader", name="accuracy (%)")
    accuracy.get_by_role("button").focus()
    opened.keyboard.press("Enter")
    assert rows.evaluate_all(shown) == sorted(before, key=lambda row: -row[1])
    assert accuracy.get_attribute("aria-sort") == "descending"
    opened.keyboard.press("Enter")
    assert rows.evaluate_all(shown) == sorted(before, key=lambda row: row[1])
    table.get_by_role("columnheader", name="mode").get_by_role("button").click()
    assert rows.evaluate_all(shown) == sorted(before)
    assert accuracy.get_attribute("aria-sort") is None


def test_what_is_absent_is_sorted_last_both_ways(opened: Page) -> None:
    opened.get_by_text("Every pair in numbers").click()
    table = opened.get_by_role("table", name="Every pair of modes")
    title = table.get_by_role("columnheader", name="p, adjusted").get_by_role("button")
    for _ in range(2):
        title.click()
        assert table.locator("tbody tr td:nth-child(4)").all_inner_texts()[-3:] == ["–"] * 3


def test_the_code_is_copied_or_selected_and_a_table_is_downloaded(opened: Page, finished: Path) -> None:
    code = opened.locator("#code").inner_text()
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.get_by_role("button", name="Copy").click()
    opened.get_by_text("Copied.").wait_for()
    assert opened.evaluate("navigator.clipboard.readText()") == code
    opened.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    opened.get_by_role("button", name="Copy").click()
    opened.get_by_text("Selected").wait_for()
    assert opened.evaluate("getSelection().toString()") == code
    with opened.expect_download() as download:
        opened.locator(LINK.format("summary.csv")).click()
    assert Path(download.value.path()).read_bytes() == (finished / "data/comparison/summary.csv").read_bytes()


def test_a_screen_reader_finds_pictures_tables_and_headings_by_name(opened: Page) -> None:
    opened.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    pictures, tables, headings = names_of(opened, "img"), names_of(opened, "table"), names_of(opened, "heading")
    assert len(pictures) >= 10
    assert len(tables) >= 8
    assert len(headings) >= 10
    assert all(name.strip() for name in (*pictures, *tables, *headings))
    assert opened.get_by_role("rowheader", name="global").count() > 0
    assert opened.get_by_role("main").count() == opened.get_by_role("navigation").count() == 1


def test_without_scripts_everything_can_be_read(finished: Path, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto((finished / "data/comparison/report.html").as_uri())
    assert page.get_by_role("table", name="Every figure by mode").is_visible()
    assert page.locator("#code").is_visible()
    assert page.get_by_role("button").count() == 0  # nothing that would do nothing
    page.get_by_text("Every pair in numbers").click()
    assert page.get_by_role("table", name="Every pair of modes").is_visible()
    context.close()
