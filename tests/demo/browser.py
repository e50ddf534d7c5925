"""Chromium, the MLflow UI that is looked at in it, and the way from the link of `make ui` through its pages.

The tests and the README's screenshot go this one way, so a release of MLflow that moves a button breaks a test.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.end_to_end.project import REPOSITORY, Project

# No sandbox: a container's root has none. The rest keeps the browser from the network and from a first run's questions.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60  # for one element of a page: the UI takes a few seconds, and a busy machine ten times that
START_S = 180  # for the server, which imports all of MLflow in three processes
END_S = 20

# The browser's first visit opens a panel over a third of the window; it is told that the visit is not the first.
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"

METRIC_COLUMNS = "[role=columnheader][col-id^='metrics.']"
# The name and the metrics of each row of the list. A row is in three parts: what is pinned left, the middle, the right.
CELLS_BY_ROW = """
() => {
  const rows = {};
  for (const row of document.querySelectorAll('[role=row][row-id]')) {
    const found = rows[row.getAttribute('row-id')] ??= {metrics: []};
    found.name ??= row.querySelector('a')?.textContent.trim();
    for (const cell of row.querySelectorAll('[role=gridcell][col-id^="metrics."]')) {
      found.metrics.push({left: cell.getBoundingClientRect().left, text: cell.textContent.trim()});
    }
  }
  return Object.values(rows).map(({name, metrics}) =>
    [name, ...metrics.sort((one, other) => one.left - other.left).map(({text}) => text)]);
}
"""

# The texts right of a metric's name, from left to right. The table is drawn, not a <table>: a row is what is level.
TEXTS_BESIDE = """
name => {
  const row = name.getBoundingClientRect(), middle = (row.top + row.bottom) / 2;
  for (let around = name; around; around = around.parentElement) {
    const beside = [...around.querySelectorAll('*')]
      .filter(element => !element.children.length && element.textContent.trim())
      .map(element => ({box: element.getBoundingClientRect(), text: element.textContent.trim()}))
      .filter(({box}) => box.left > row.right && box.top <= middle && middle <= box.bottom);
    if (beside.length) return beside.sort((one, other) => one.box.left - other.box.left).map(({text}) => text);
  }
  return [];
}
"""


def installed() -> str | None:
    """The first Chromium on the PATH, or None. Playwright's own build is never downloaded."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched(executable: str) -> Iterator[Browser]:
    """A running browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class Watched:
    """A page, what it asked for and what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextmanager
def watched(browser: Browser, *, width: int, height: int) -> Iterator[Watched]:
    """An empty page in a profile of its own, from which nothing but this machine can be reached."""
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(1000 * PATIENCE_S)
    context.route(re.compile(r"^https?://(?!127\.0\.0\.1[:/])"), lambda route: route.abort())
    page = context.new_page()
    watching = Watched(page)
    page.on("request", lambda request: watching.requests.append(request.url))
    page.on("pageerror", lambda error: watching.complaints.append(str(error)))
    page.on("console", lambda said: watching.complaints.append(said.text) if said.type == "error" else None)
    try:
        yield watching
    finally:
        context.close()


@dataclass(frozen=True)
class Served:
    """A server: the link that it prints, and the number of the process group that it and all its helpers are."""

    link: str
    group: int


@contextmanager
def mlflow_ui(project: Project) -> Iterator[Served]:
    """Run `make ui` on the project's store, on a free port; end all that it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "make",
        f"--makefile={REPOSITORY / 'Makefile'}",
        f"--assume-old={sys.prefix}/.ready",
        f"VENV={sys.prefix}",
        "ui",
        f"PORT={port}",
    ]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            command,
            cwd=project.root,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            answers = _answers(server, port)
            log.seek(0)
            said = log.read()
            link = re.search(rf"http://127\.0\.0\.1:{port}/#\S+", said)
            if not answers or link is None:
                raise RuntimeError(f"no answer or no link from {' '.join(command)}:\n{said}")
            yield Served(link.group(), server.pid)
        finally:
            _end(server)


def alive(group: int) -> list[str]:
    """Command lines of the processes in a group; one that only waits to be noticed as dead is not alive."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (ProcessLookupError, psutil.NoSuchProcess):  # gone since it was listed
            continue
    return found


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    return False


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server's whole group, politely at first; its leader is ours, so the number means nobody else."""
    until = time.monotonic() + END_S
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        if alive(server.pid):
            os.killpg(server.pid, wanted)
        while alive(server.pid) and time.monotonic() < until:
            server.poll()
            time.sleep(0.1)
        until += END_S
    server.wait(END_S)


@dataclass(frozen=True)
class RunsPage:
    """MLflow's list of the experiment's runs."""

    page: Page

    @classmethod
    def reached(cls, page: Page, link: str) -> RunsPage:
        """Go there by the link, and by nothing else."""
        page.add_init_script(NO_ASSISTANT)
        page.goto(link)
        page.locator(METRIC_COLUMNS).first.wait_for()
        return cls(page)

    def metrics(self) -> list[str]:
        """Names of the columns with metrics, from left to right."""
        columns = self.page.locator("[role=columnheader][col-id^='metrics.']")
        return [name.strip() for name in columns.all_inner_texts()]

    def values(self, runs: list[str]) -> dict[str, list[float]]:
        """The metrics of some runs, from left to right."""
        self.page.get_by_role("link", name=runs[0], exact=True).wait_for()
        rows = {name: texts for name, *texts in self.page.evaluate(CELLS_BY_ROW)}
        return {run: [float(text) for text in rows[run]] for run in runs}

    def charts(self, last: str) -> list[str]:
        """Titles of the charts in the page's other mode, in order, once one of them is there; the list comes back."""
        listed = self.page.url
        self.page.goto(f"{listed}&compareRunsMode=CHART")
        titles = self.page.get_by_test_id("experiment-view-compare-runs-card").get_by_role("heading")
        titles.filter(has_text=last).wait_for()
        found = titles.all_inner_texts()
        self.page.goto(listed)
        return found

    def run(self, name: str) -> RunPage:
        """Open a run."""
        self.page.get_by_role("link", name=name, exact=True).click()
        self.page.get_by_role("heading", name=name, exact=True).wait_for()
        return RunPage(self.page)

    def compared(self, runs: list[str]) -> ComparePage:
        """Tick runs and press Compare."""
        for run in runs:
            row = self.page.get_by_role("row").filter(has=self.page.get_by_role("link", name=run, exact=True))
            row.get_by_role("checkbox", name="toggle row selection").check()
        self.page.get_by_role("button", name="Compare", exact=True).click()
        self.page.get_by_role("heading", name=f"Comparing {len(runs)} Runs").wait_for()
        return ComparePage(self.page)


@dataclass(frozen=True)
class RunPage:
    """MLflow's page of one run."""

    page: Page

    def metrics(self) -> list[str]:
        """Names of the metrics, from top to bottom."""
        metrics = self.page.get_by_role("main").locator("a[href*='metric']")
        metrics.first.wait_for()
        return metrics.all_inner_texts()

    def artifacts(self) -> list[str]:
        """Names of its files and folders."""
        self.page.get_by_role("tab", name="Artifacts").click()
        names = self.page.get_by_test_id("artifact-tree-node")
        names.first.wait_for()
        return [name.strip() for name in names.all_inner_texts()]

    def report(self) -> str:
        """The text of the report among its files, as the page shows it."""
        self.page.get_by_text("report.html", exact=True).click()
        body = self.page.frame_locator("main iframe").locator("body")
        body.get_by_role("heading").first.wait_for()
        return body.inner_text()


@dataclass(frozen=True)
class ComparePage:
    """MLflow's page that shows runs side by side."""

    page: Page

    def names(self) -> list[str]:
        """Names of the runs, from left to right."""
        row = self.page.get_by_role("row").filter(has=self.page.get_by_role("rowheader", name="Run Name:"))
        return [name.strip() for name in row.get_by_role("cell").all_inner_texts()]

    def values(self, metric: str) -> list[float]:
        """A metric of the runs, from left to right, as rounded as the page shows it."""
        return [float(text) for text in self._metric(metric).evaluate(TEXTS_BESIDE)]

    def save(self, picture: Path, metric: str) -> None:
        """Save the part that says most: the chart, the parameters that differ, and the metrics with this one."""
        self.page.get_by_role("button", name="Toggle sidebar").click()  # six columns need its place
        self.page.get_by_role("button", name="Run details").click()
        self.page.get_by_role("switch", name="Parameters - Show diff only").click()
        self.page.get_by_role("tablist").evaluate("tabs => tabs.scrollIntoView()")
        self._metric(metric).scroll_into_view_if_needed()
        self.page.mouse.move(0, 0)  # a button under the pointer looks pressed
        self.page.wait_for_timeout(1000)  # the sections close and open with an animation
        self.page.screenshot(path=picture)

    def draws(self, metric: str) -> bool:
        """Whether the chart that the page starts with has an axis of this metric."""
        chart = self.page.get_by_role("tabpanel").locator("svg")
        chart.first.wait_for()
        return chart.get_by_text(metric, exact=True).count() > 0

    def _metric(self, name: str) -> Locator:
        return self.page.get_by_role("main").get_by_role("link", name=name, exact=True)
