"""Tables for people: a formula is text in them, a number a number, and nothing in them is a script of DVC's page."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.cli import main as dvc
from dvc.repo import Repo
from hypothesis import given
from hypothesis import strategies as st

from specnorm.report import contents, spreadsheet
from specnorm.report.spreadsheet import inert

SCRIPTS = [
    "</script><script>alert(1)</script>",
    "</ScRiPt ><img src=x onerror=alert(1)>",
    "<!--<script>",
    "--></script>",
    "{plot_divs}",
    "{scripts}</script>",
    "a < b",
]
FORMULAS = {
    '=HYPERLINK("http://example.invalid","a")': '\'=HYPERLINK("http://example.invalid","a")',
    "+1": "'+1",
    "-1+cmd|' /C calc'!A0": "'-1+cmd|' /C calc'!A0",
    "@SUM(1)": "'@SUM(1)",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
    "＝1": "'＝1",
    "a;=1": "a;'=1",
    "a;;=1": "a;;'=1",
    "'=1": "''=1",  # a label of its own, and not the one above
    "": "",
    "rain": "rain",
    "a-b": "a-b",
    "'t is": "'t is",
    "1 + 1 = 2": "1 + 1 = 2",
}


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_formula_is_text(text: str) -> None:
    assert inert(text) == FORMULAS[text]


@given(st.text(st.sampled_from("'=+-@\t\r\n;a＝"), max_size=8))
def test_no_text_begins_as_a_formula_and_none_becomes_another_s(text: str) -> None:
    cell = inert(text)
    for part in cell.split(";"):
        assert part[:1] not in tuple("=+-@\t\r\n＝＋－＠")
    assert re.sub(r"(^|[;\t\r\n])'(?='*[=+\-@\t\r\n＝＋－＠])", r"\1", cell) == text


def test_numbers_stay_numbers_and_texts_are_quoted_where_they_must_be() -> None:
    table = pd.DataFrame(
        {
            "label": ["=1", 'a,"b"', "two\nlines"],
            "difference": [-0.5, np.nan, 1e-17],
            "clips": [-1, 2, 3],
            "right": [True, False, True],
            "one": pd.Series(["-a", None, "b"]),
        }
    )
    text = spreadsheet.csv(table)
    assert text.splitlines()[:2] == ["label,difference,clips,right,one", "'=1,-0.5,-1,True,'-a"]
    back = pd.read_csv(io.StringIO(text))
    pd.testing.assert_frame_equal(back[["difference", "clips", "right"]], table[["difference", "clips", "right"]])
    assert list(back["label"]) == ["'=1", 'a,"b"', "two\nlines"]
    assert table.loc[0, "label"] == "=1"  # the caller's is as it was


class Page(HTMLParser):
    """The tags of a page, and what stands in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def page(folder: Path, labels: list[str], *, raw: bool = False) -> Page:
    """What `dvc plots show` makes of the confusions of classes of these names, for whoever asks it for that table."""
    axes = {"x": "predicted", "y": {"data/comparison/confusion.csv": "actual"}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": [{"confusion": {"template": "confusion", **axes}}]}))
    rows = [
        {"norm": "none", "actual": actual, "predicted": predicted, "clips": 1, "share": 0.5}
        for actual in labels
        for predicted in labels
    ]
    table = pd.DataFrame(rows)
    comparison = folder / "data/comparison"
    comparison.mkdir(parents=True)
    (comparison / "confusion.csv").write_text(table.to_csv(index=False) if raw else spreadsheet.csv(table))
    Repo.init(no_scm=True).close()
    assert dvc(["plots", "show", "--quiet"]) == 0
    return Page((folder / "dvc_plots/index.html").read_text())


def test_no_label_is_a_script_of_dvcs_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    harmless, hostile = tmp_path / "harmless", tmp_path / "hostile"
    pages = []
    for folder, labels in ((harmless, ["cat"] * len(SCRIPTS)), (hostile, SCRIPTS)):
        folder.mkdir()
        monkeypatch.chdir(folder)
        pages.append(page(folder, labels))
    assert pages[0].tags == pages[1].tags
    assert pages[0].tags.count("script") == 4  # Vega's three, and the plot
    assert "alert(1)" in pages[1].scripts[-1]  # as a name in its data
    assert pages[1].scripts[-1].rstrip().endswith(");")


def test_that_has_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regression: the table as pandas writes it does run."""
    monkeypatch.chdir(tmp_path)
    assert "alert(1)" in page(tmp_path, SCRIPTS, raw=True).scripts


def test_every_table_of_a_comparison_is_written_so() -> None:
    source = Path(contents.__file__).read_text()
    assert "to_csv" not in source
    assert source.count("spreadsheet.csv(") == 1
