"""The demo, as a newcomer runs it; its report and its runs in the MLflow UI, as a reader's browser shows them.

One file, so that one worker runs the demo once. The last test changes its workspace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from specnorm.comparison.metrics import points
from tests.demo import browser as browsing
from tests.demo.browser import RunsPage, Watched
from tests.end_to_end.project import Project

# The first test that asks for the demo is charged its minutes.
pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

DEMO = ["-S", "experiment=demo"]
FAR_ABOVE_CHANCE = 0.35  # chance is 0.1 of 300 clips: 15 standard errors away
PHONE, DESKTOP = 390, 1280
READABLE = 4.5  # WCAG 2.2, 1.4.3, level AA, for text of ordinary size

# The text with the least contrast, and its contrast by WCAG's formula. A canvas does the reading and the mixing of
# colours: it takes every notation, and what is painted over a thing is what is seen.
LEAST_CONTRAST = """
() => {
  const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1})
    .getContext('2d', {willReadFrequently: true});
  const luminance = colours => {
    for (pen.fillStyle of colours) pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...pen.getImageData(0, 0, 1, 1).data]
      .map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = {contrast: Infinity, text: ''}, count = 0;
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
    if (!text || !element.checkVisibility()) continue;
    count += 1;
    const layers = [getComputedStyle(element).color];
    for (let below = element; below; below = below.parentElement) {
      layers.unshift(getComputedStyle(below).backgroundColor);
    }
    const [paper, ink] = [luminance(layers.slice(0, -1)), luminance(layers)];
    const contrast = (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05);
    if (contrast < least.contrast) least = {contrast, text};
  }
  return {...least, count};
}
"""

SIZES_OF_PICTURES = "all => all.map(one => [one.getBoundingClientRect().width, one.getBoundingClientRect().height])"


@pytest.fixture(scope="module")
def comparison(demo: tuple[Project, str]) -> Path:
    return demo[0].root / "data/comparison"


@pytest.fixture(scope="module")
def accuracy(comparison: Path) -> dict[str, float]:
    """Mean accuracy by mode, in the order of the table."""
    summary = pd.read_csv(comparison / "summary.csv")
    return dict(zip(summary["norm"], summary["accuracy_mean"], strict=True))


@pytest.fixture(scope="module")
def report(browser: Browser, comparison: Path) -> Iterator[Watched]:
    with browsing.watched(browser, width=DESKTOP, height=900) as watched:
        watched.page.goto((comparison / "report.html").as_uri())
        yield watched


@pytest.fixture
def page(report: Watched) -> Page:
    """The report as it is when it has just been opened on a desktop."""
    report.page.set_viewport_size({"width": DESKTOP, "height": 900})
    report.page.emulate_media(color_scheme="light")
    report.page.reload()
    return report.page


def test_every_mode_is_far_above_chance(demo: tuple[Project, str]) -> None:
    summary = pd.read_csv(demo[0].root / "data/comparison/summary.csv")
    assert list(summary["norm"]) == ["none", "waveform", "global", "channel"]
    assert (summary["cells"] == 3).all()
    assert (summary["accuracy_mean"] > FAR_ABOVE_CHANCE).all(), summary


def test_it_ends_with_its_table_and_what_to_type_next(demo: tuple[Project, str]) -> None:
    project, output = demo
    end = output[output.rindex("# Recipe demo") :]
    summary = pd.read_csv(project.root / "data/comparison/summary.csv")
    for row in summary.itertuples():
        assert f"{points(row.accuracy_mean):.1f} ({points(row.accuracy_low):.1f} to" in end
    assert output.count("## Verdict") == 1
    assert "dvc exp run --temp -S experiment=demo -S norm=" in end
    assert "No file hash info" not in output
    assert "\ncell 12 of 12 (" in output
    for line in end.partition("What was made")[2].partition("params.yaml")[0].splitlines():
        if line.strip():
            assert Path(project.root, line.split()[0]).exists(), line


def test_the_report_says_what_the_comparison_found(page: Page, comparison: Path, accuracy: dict[str, float]) -> None:
    text = page.locator("body").inner_text()
    assert json.loads((comparison / "verdict.json").read_text())["decision"]["sentence"] in text
    for mode, mean in accuracy.items():
        table = page.get_by_role("table", name="Every figure by mode")
        row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=mode, exact=True)).inner_text()
        assert f"{points(mean):.1f}" in row, row


def test_every_picture_of_the_report_is_drawn(page: Page) -> None:
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    sizes = page.locator("figure svg:visible").evaluate_all(SIZES_OF_PICTURES)
    assert len(sizes) >= 10
    assert min(min(size) for size in sizes) > 100, sizes


def test_every_link_within_the_report_has_its_target(page: Page) -> None:
    targets = page.locator("a[href^='#']").evaluate_all("links => links.map(link => link.hash.slice(1))")
    assert len(targets) > 0
    assert [name for name in targets if page.locator(f"[id='{name}']").count() != 1] == []


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_report_is_no_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for opened in (False, True):
        page.locator("details").evaluate_all(f"all => all.forEach(one => {{ one.open = {str(opened).lower()} }})")
        needed, given = page.evaluate(
            "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.scrollingElement)"
        )
        assert needed <= given


def test_the_report_is_readable_by_day_and_by_night(page: Page) -> None:
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    papers = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        least = page.evaluate(LEAST_CONTRAST)
        assert least["count"] > 100
        assert least["contrast"] >= READABLE, (scheme, least)
    assert len(papers) == 2


def test_the_report_needs_nothing_but_itself_and_complains_of_nothing(report: Watched) -> None:
    report.page.reload(wait_until="load")
    assert {url for url in report.requests if not url.startswith("data:")} == {report.page.url}
    assert report.complaints == []


def test_modes_are_compared_in_the_mlflow_ui(
    browser: Browser, demo: tuple[Project, str], accuracy: dict[str, float]
) -> None:
    modes, scores = list(accuracy), [f"cv/accuracy_mean{part}" for part in ("", "_from", "_to")]
    summary = pd.read_csv(demo[0].root / "data/comparison/summary.csv").set_index("norm")
    with browsing.mlflow_ui(demo[0]) as served:
        assert len(browsing.alive(served.group)) > 1  # so an empty list says something below
        with browsing.watched(browser, width=1440, height=900) as watched:
            listed = RunsPage.reached(watched.page, served.link)
            assert listed.metrics() == scores
            for mode, values in listed.values(modes).items():
                parts = summary.loc[mode, ["accuracy_mean", "accuracy_low", "accuracy_high"]]
                assert values == pytest.approx(list(parts), abs=1.1e-6)
            assert listed.charts("valid/accuracy") == ["cv/accuracy_mean", "train/loss", "valid/loss", "valid/accuracy"]
            run = listed.run(modes[-1])
            assert run.metrics()[:3] == scores
            assert {"figures", "report.html"} <= set(run.artifacts())
            assert json.loads((demo[0].root / "data/comparison/verdict.json").read_text())["title"] in run.report()
            shown = RunsPage.reached(watched.page, served.link).compared(modes)
            assert sorted(shown.names()) == sorted(modes)
            assert dict(zip(shown.names(), shown.values(scores[0]), strict=True)) == pytest.approx(
                accuracy, abs=0.00051
            )
            assert shown.draws(scores[0])
    assert browsing.alive(served.group) == []


def test_the_workspace_is_ready_for_one_mode_and_trains_nothing_for_it(demo: tuple[Project, str]) -> None:
    project, _ = demo
    assert project.dvc("repro").stages == {"track"}  # which finds its mark
    ran = project.dvc("exp", "run", *DEMO, "-S", "norm=global")
    assert ran.stages == {"compare", "track"}
    assert "0 runs added, 4 there before" in ran.output
    compared = project.root / "data/comparison"
    for table in ("cells", "summary"):
        assert set(pd.read_csv(compared / f"{table}.csv")["norm"]) == {"global"}
    # One mode alone takes nothing away: its page names the comparison, and how to have it back.
    (name,) = set(re.findall(r"dvc exp apply ([\w-]+)", (compared / "report.html").read_text()))
    project.dvc("exp", "apply", name)
    assert len(pd.read_csv(compared / "summary.csv")) == 4
