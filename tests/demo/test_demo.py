"""The demo, as a newcomer runs it. The last test changes its workspace: whoever wants its results comes before."""

from pathlib import Path

import pandas as pd
import pytest

from specnorm.comparison.metrics import points
from tests.end_to_end.project import Project

# The first test that asks for the demo is charged its minutes.
pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

DEMO = ["-S", "experiment=demo"]
FAR_ABOVE_CHANCE = 0.35  # chance is 0.1 of 300 clips: 15 standard errors away


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
    assert "dvc exp run -S experiment=demo -S norm=global" in end
    for line in end.partition("What was made")[2].partition("params.yaml")[0].splitlines():
        if line.strip():
            assert Path(project.root, line.split()[0]).exists(), line


def test_the_workspace_is_ready_for_one_mode_and_trains_nothing_for_it(demo: tuple[Project, str]) -> None:
    project, _ = demo
    assert project.dvc("repro").stages == set()
    assert project.dvc("exp", "run", *DEMO, "-S", "norm=global").stages == {"compare", "track"}
    assert list(pd.read_csv(project.root / "data/comparison/summary.csv")["norm"]) == ["global"]
