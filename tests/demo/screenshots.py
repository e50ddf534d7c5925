"""Take the README's picture of MLflow's comparison. Run it with `python -m tests.demo.screenshots FOLDER OUT`.

FOLDER holds the `mlflow.db` of a finished run, OUT is where `compare.png` goes.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tests.demo import browser
from tests.end_to_end.project import Project

# As high as chart, parameters and metrics are together. Zooming out to fit a lower window dots the chart's lines.
WIDTH, HEIGHT = 1440, 1125
MODES = """
select runs.name from runs join tags on tags.run_uuid = runs.run_uuid
where tags.key = 'kind' and tags.value = 'mode' and runs.lifecycle_stage = 'active' order by runs.start_time
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args(argv)
    executable = browser.installed()
    if executable is None:
        parser.error(f"expected one of {', '.join(browser.NAMES)} on the PATH")
    with closing(sqlite3.connect(f"file:{arguments.folder / 'mlflow.db'}?mode=ro", uri=True)) as store:
        modes = [name for (name,) in store.execute(MODES)]

    arguments.out.mkdir(parents=True, exist_ok=True)
    picture = arguments.out / "compare.png"
    with (
        browser.mlflow_ui(Project(arguments.folder.resolve())) as served,
        browser.launched(executable) as chromium,
        browser.watched(chromium, width=WIDTH, height=HEIGHT) as watched,
    ):
        watched.page.add_init_script("localStorage.setItem('databricks-dark-mode-pref', 'light')")
        browser.RunsPage.reached(watched.page, served.link).compared(modes).save(picture, "cv/accuracy_mean")
    print(f"{picture}: {len(modes)} modes, {picture.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
