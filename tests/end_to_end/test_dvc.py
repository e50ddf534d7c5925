"""What DVC shows, shares and runs elsewhere."""

import shlex
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from pipeline.next import EXPERIMENTS
from tests.end_to_end.project import TINY_RUN, Project

pytestmark = pytest.mark.pipeline

CELL = " fold 1 seed 0"
TERMINAL = 120  # columns


def test_metrics_plots_and_artifacts_say_something(project: Project) -> None:
    comparison = project.root / "data/comparison"
    summary = pd.read_csv(comparison / "summary.csv").set_index("norm")
    names, values = project.dvc("metrics", "show").output.splitlines()
    assert len(names) <= TERMINAL
    shown = dict(zip(names.split()[1:], map(float, values.split()[1:]), strict=True))
    assert shown == pytest.approx(summary["accuracy_mean"].to_dict(), abs=5e-5)  # four digits
    project.dvc("plots", "show")
    page = (project.root / "dvc_plots/index.html").read_text()
    assert "http" not in page  # it needs no network
    pictures = {path.name.rpartition("_")[2] for path in (project.root / "dvc_plots/static").iterdir()}
    assert pictures >= {"accuracy.svg", "curves.svg"}
    assert all(name in page for name in pictures)
    assert "training-statistics" in (project.root / "dvc.yaml").read_text()


def test_the_graph_of_a_cell_is_readable(project: Project) -> None:
    graph = project.dvc("dag", "train@global-1-0").output
    for stage in ("download", "spectrograms", "statistics", "normalizers@global", "train@global-1-0"):
        assert stage in graph
    assert max(len(line) for line in graph.splitlines()) <= 100


def test_a_remote_gives_everything_to_a_fresh_clone(project: Project, tmp_path: Path) -> None:
    project.dvc("remote", "add", "--default", "--local", "store", str(tmp_path / "store"))
    project.dvc("push", "--all-branches")  # what is committed, wherever the workspace is by now
    project.dvc("push", "--run-cache")
    clone = Project(tmp_path / "clone")
    project.run("git", "clone", "-q", str(project.root), str(clone.root))
    clone.dvc("remote", "add", "--default", "--local", "store", str(tmp_path / "store"))
    clone.dvc("pull")
    assert clone.dvc("repro").stages <= {"track"}  # the clone's MLflow store is its own
    name = "data/statistics/fold-1/standardized.json"
    other = Project(tmp_path)
    other.dvc("get", str(clone.root), name, "-o", "statistics.json")
    assert (tmp_path / "statistics.json").read_bytes() == (clone.root / name).read_bytes()
    project.dvc("remote", "remove", "--local", "store")


def test_temporary_and_queued_experiments_share_the_cache_and_the_store(tracked: Project) -> None:
    before = (tracked.root / "params.yaml").read_text()
    known = tracked_runs(tracked)
    own = tracked.root.parent / "own clips"
    write_clips(own)
    source = ["-S", "dataset=csv", "-S", f"dataset.source='../{own.name}'", "-S", "dataset.folds=2"]
    # A relative source is relative to the repository, wherever the experiment runs.
    ran = tracked.dvc("exp", "run", "--temp", "-n", "own", "-S", "experiment=tiny", "-S", "norm=none", *source)
    assert {"download", "train@none-1-0", "track"} <= ran.stages
    tracked.dvc("exp", "run", "--queue", "-S", "norm=global,channel", *TINY_RUN)
    tracked.dvc("queue", "start", "-j", "2")
    for _ in range(40):
        time.sleep(8)  # asking takes seconds of a core that the experiments need
        states = tracked.dvc("queue", "status").output
        if states.count("Success") == 2 or "Failed" in states:
            break
    assert states.count("Success") == 2, tracked.dvc("exp", "show", "--md").output + states
    assert (tracked.root / "params.yaml").read_text() == before
    # The queued `global` is the workspace's own result from the cache, and so the same run: it is there once.
    new = tracked_runs(tracked) - known
    assert new == Counter([f"{mode}{cell}" for mode in ("none", "channel") for cell in ("", CELL)])


def write_clips(folder: Path) -> None:
    """A user's own folder: mixed formats, rates and lengths, a table without folds."""
    import numpy as np
    import soundfile

    folder.mkdir()
    generator = np.random.default_rng(0)
    rows = []
    for index in range(24):
        rate = (8000, 22050, 48000)[index % 3]
        seconds = (0.2, 0.5, 0.9)[index % 3]
        suffix = ("wav", "flac", "ogg")[index % 3]
        label = ("high", "low")[index % 2]
        wave = np.sin(2 * np.pi * (300, 2000)[index % 2] * np.arange(int(rate * seconds)) / rate)
        noise = 0.1 * generator.standard_normal(len(wave))
        soundfile.write(folder / f"a clip {index}.{suffix}", (0.3 * wave + noise).clip(-1, 1), rate)
        rows.append((f"a clip {index}.{suffix}", label))
    pd.DataFrame(rows, columns=["filename", "label"]).to_csv(folder / "metadata.csv", index=False)


def tracked_runs(project: Project) -> Counter[str]:
    """How often each name stands among the runs in the project's MLflow store."""
    import sqlite3

    with sqlite3.connect(project.root / "mlflow.db") as store:
        return Counter(name for (name,) in store.execute("select name from runs where lifecycle_stage = 'active'"))


def test_real_audio_as_ogg_runs_through_the_same_command(project: Project, shared_audio: Path, tmp_path: Path) -> None:
    import zipfile

    cut = tmp_path / "cut.zip"
    with zipfile.ZipFile(shared_audio / "esc10-ogg.zip") as full, zipfile.ZipFile(cut, "w") as kept:
        table = full.read("ESC-50-master/meta/esc50.csv").decode().splitlines(keepends=True)
        rows = [line for line in table[1:] if line[0] in "12" and line.split(",")[3] in ("dog", "rain", "helicopter")]
        kept.writestr("ESC-50-master/meta/esc50.csv", table[0] + "".join(rows))
        for line in rows:
            member = f"ESC-50-master/audio/{line.split(',')[0]}"
            kept.writestr(member, full.read(member))
    dataset = ["-S", "dataset=esc10", "-S", "dataset.complete=false", "-S", f"dataset.source={cut}"]
    ran = project.dvc("exp", "run", "--temp", "-n", "ogg", "-S", "experiment=tiny", "-S", "norm=global", *dataset)
    assert {"download", "spectrograms", "train@global-1-0", "compare"} <= ran.stages
    shown = project.run(*shlex.split(EXPERIMENTS)).output.splitlines()
    assert max(map(len, shown)) <= TERMINAL
    assert {"Experiment", "Created", "global", "none", "recipe"} <= set(shown[1].split())
    assert any("[ogg]" in line for line in shown)
