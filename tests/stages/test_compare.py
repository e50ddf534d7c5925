"""The comparison's stage and its reader: what they write, that it is whole, and what they refuse."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import f1_score

from pipeline import finished as pipeline_finished
from specnorm.comparison.metrics import points
from specnorm.params import Params, load
from specnorm.report import results
from specnorm.shards.store import Shards, open_shards
from specnorm.training.cells import read
from stages import compare
from tests import made_up
from tests.builders import edit


@pytest.fixture
def page(finished: Path) -> str:
    return (finished / "data/comparison/report.html").read_text(encoding="utf-8")


def test_everything_is_there(finished: Path) -> None:
    found = results.read(finished / "data/comparison")
    pictures = [
        "accuracy",
        "classes",
        "clip",
        "curves",
        "differences",
        "histograms",
        "noop",
        "statistics-raw",
        "statistics-standardized",
        "time",
    ]
    squares = ["confusions", *(f"confusion-{mode}" for mode in made_up.MODES)]  # as narrow as a phone
    figures = [*pictures, *(f"{name}-narrow" for name in pictures), *squares]
    tables = ["cells", "classes", "confusion", "curves", "differences", "disagreements", "summary"]
    assert set(found.files) == {
        *(f"figures/{name}.svg" for name in figures),
        *(f"{name}.csv" for name in tables),
        "table.md",
        "accuracy.json",
        "verdict.json",
        "report.html",
    }


def test_the_files_agree(finished: Path) -> None:
    folder = finished / "data/comparison"
    cells = pd.read_csv(io.BytesIO((folder / "cells.csv").read_bytes()))
    assert len(cells) == 12
    assert not cells.isna().any(axis=None)
    assert b"\r" not in (folder / "cells.csv").read_bytes()
    table = pd.read_csv(folder / "summary.csv").set_index("norm")
    verdict = json.loads((folder / "verdict.json").read_text())
    metrics = json.loads((folder / "accuracy.json").read_text())
    for mode in verdict["modes"]:
        mean = cells.loc[cells["norm"] == mode["norm"], "accuracy"].mean()
        assert mode["accuracy"]["mean"] == pytest.approx(mean, rel=1e-12)
        assert table.loc[mode["norm"], "accuracy_mean"] == pytest.approx(mean, rel=1e-12)
        assert metrics[mode["norm"]] == pytest.approx(mean, abs=5e-5)  # four decimals
    pairs = pd.read_csv(folder / "differences.csv")
    assert list(pairs["sentence"]) == [pair["sentence"] for pair in verdict["pairs"]]
    text = (folder / "table.md").read_text()
    assert verdict["decision"]["sentence"] in text
    assert all(pair["sentence"] in text for pair in verdict["pairs"])
    assert all(effect["sentence"] in text for effect in verdict["noop"]["effects"])


def test_the_no_op_check_finds_that_global_normalisation_cancels(finished: Path) -> None:
    effects = results.read(finished / "data/comparison").verdict.noop.effects
    by_name = {effect.name: effect for effect in effects}
    assert set(by_name) == {"waveform against none", "global against waveform", "channel against waveform"}
    assert "a no-op but for the padding" in by_name["global against waveform"].sentence
    assert "the effect survives" in by_name["channel against waveform"].sentence


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if "href" in found else []
        self.sources += [found["src"] or ""] if "src" in found else []

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_no_network_and_is_small(finished: Path, page: str) -> None:
    read = _Page()
    read.feed(page)
    assert all(source.startswith("data:") for source in read.sources)
    pictures = [name for name in results.read(finished / "data/comparison").files if name.endswith(".svg")]
    assert page.count("<svg ") >= len(pictures)
    assert all(link.startswith(("#", "data:")) for link in read.links)
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(page) < 10e6


def test_the_page_says_what_the_verdict_says(finished: Path, page: str) -> None:
    read = _Page()
    read.feed(page)
    verdict = results.read(finished / "data/comparison").verdict
    words = " ".join(read.words.split())
    assert all(sentence in words for sentence in verdict.answer())
    assert verdict.title in words
    for mode in verdict.modes:
        mean, low, high = (points(getattr(mode.accuracy, name)) for name in ("mean", "low", "high"))
        assert f"{mean:.1f} {low:.1f} to {high:.1f}" in words
    assert all(pair.sentence in words for pair in verdict.pairs)
    assert all(effect.sentence in words for effect in verdict.noop.effects)
    assert not re.search(r"\bnan\b|None\b|undefined", words)


def test_the_title_names_the_data_set_and_the_page_tells_what_was_cut_and_padded(workspace: Path, page: str) -> None:
    read = _Page()
    read.feed(page)
    words = " ".join(read.words.split())
    assert "none of 120 clips was cut or padded: all are 0.25 s long" in words
    assert " on synthetic: " in results.read(workspace / "data/comparison").verdict.title
    made_up.change_params(workspace, dataset={"name": "my set"})
    assert compare.main([]) == 0
    assert " on my set: " in results.read(workspace / "data/comparison").verdict.title


def test_the_same_cells_give_the_same_bytes(workspace: Path) -> None:
    folder = workspace / "data/comparison"
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert compare.main([]) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first


def test_only_the_named_modes_folds_and_seeds_are_compared(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stale cell of an earlier experiment may lie there; even one of other data does no harm."""
    shards = open_shards(workspace / "data/spectrograms")
    made_up.write_cell(workspace / "data/cells", shards, "left_over", 1, dataset="others")
    made_up.write_cell(workspace / "data/cells", shards, "none", 1, 9)
    norm = yaml.safe_load((workspace / "params.yaml").read_text())["norm"]
    made_up.change_params(
        workspace, norm={name: norm[name] for name in ("global", "waveform")}, protocol={"folds": [3, 1]}
    )
    assert compare.main([]) == 0
    cells = pd.read_csv(workspace / "data/comparison/cells.csv")
    places = list(zip(cells["norm"], cells["fold"], cells["seed"], strict=True))
    assert places == [("global", 3, 0), ("global", 1, 0), ("waveform", 3, 0), ("waveform", 1, 0)]
    assert not (workspace / "data/comparison/figures/confusion-none.svg").exists()
    # The baseline is not among them.
    assert "baseline none is not among the modes: waveform stands in for it" in capsys.readouterr().out
    assert results.read(workspace / "data/comparison").verdict.baseline == "waveform"


def test_one_mode_alone_makes_a_page_too(workspace: Path) -> None:
    norm = yaml.safe_load((workspace / "params.yaml").read_text())["norm"]
    made_up.change_params(workspace, norm={"none": norm["none"]}, protocol={"folds": [2]})
    assert compare.main([]) == 0
    found = results.read(workspace / "data/comparison")
    assert found.verdict.decision.state == "not compared"
    assert found.verdict.answer()[0] == "none is the only mode here: nothing was compared"
    assert "figures/differences.svg" not in found.files
    assert "figures/noop.svg" not in found.files


# What it refuses


def test_an_edited_history_of_a_cell_is_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = workspace / "data/cells/global/fold-2/seed-0/history.csv"
    path.write_text(path.read_text().replace("1,", "1,0", 1))
    assert compare.main([]) == 4
    assert "data/cells/global/fold-2/seed-0/history.csv" in capsys.readouterr().err


@pytest.fixture
def incomplete(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fold without a class, and cells that were scored on it."""
    opened = pipeline_finished.shards

    def lacking(params: Params) -> Shards:
        shards = opened(params)
        own = (shards.clips["fold"] == 2) & (shards.clips["label"] == "tone")
        shards.clips.loc[own, ["label", "target"]] = shards.clips.loc[~own, ["label", "target"]].iloc[0].tolist()
        return shards

    monkeypatch.setattr(pipeline_finished, "shards", lacking)
    shards = lacking(load(workspace / "params.yaml"))
    for norm in made_up.MODES:
        made_up.write_fitting_cell(workspace, shards, norm, 2, right=20)
    return workspace


def test_a_fold_that_lacks_a_class_is_refused(incomplete: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `download` refuses it, before anything is trained: a protocol may have grown since."""
    assert compare.main([]) == 3
    error = capsys.readouterr().err
    assert "fold 2 has no clip of class 'tone' in data/spectrograms/clips.parquet" in error
    assert error.rstrip().endswith("Hold out other folds, add clips, or set compare.incomplete_folds=accept")


def test_a_fold_that_lacks_a_class_is_compared_where_it_may_and_everything_says_so(incomplete: Path) -> None:
    made_up.change_params(incomplete, compare={"incomplete_folds": "accept"})
    assert compare.main([]) == 0
    found = results.read(incomplete / "data/comparison")
    said = (
        "Fold 2 has no clip of 'tone': its macro F1 is the mean over the classes that it has, "
        "and none of its figures says anything of that class"
    )
    folder = incomplete / "data/comparison"
    for name in ("report.html", "table.md", "verdict.json"):
        assert said in html.unescape((folder / name).read_text(encoding="utf-8"))
    cells = pd.read_csv(folder / "cells.csv")
    assert not cells.isna().any(axis=None)
    stored = read(Path("data/cells/global/fold-2/seed-0"))
    there = sorted(set(stored.predictions["target"]))
    predicted = stored.probabilities.argmax(axis=1)
    f1 = f1_score(stored.predictions["target"], predicted, labels=there, average="macro", zero_division=0)
    (own,) = cells.loc[(cells["norm"] == "global") & (cells["fold"] == 2), "f1_macro"]
    assert own == pytest.approx(f1, rel=1e-12)
    assert len(there) == len(found.verdict.dataset.classes) - 1


def test_a_class_that_no_held_out_fold_has_is_left_out_of_what_is_by_class(incomplete: Path) -> None:
    made_up.change_params(incomplete, compare={"incomplete_folds": "accept"}, protocol={"folds": [2]})
    assert compare.main([]) == 0
    found = results.read(incomplete / "data/comparison")
    classes = pd.read_csv(found.folder / "classes.csv")
    assert set(classes["label"]) == {*found.verdict.dataset.classes} - {"tone"}
    assert not classes.isna().any(axis=None)
    confusion = pd.read_csv(found.folder / "confusion.csv")
    assert set(confusion["actual"]) == {*found.verdict.dataset.classes}
    assert set(confusion.loc[confusion["share"].isna(), "actual"]) == {"tone"}
    assert not confusion.loc[confusion["actual"] != "tone"].isna().any(axis=None)


def test_an_edited_score_of_a_cell_is_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = workspace / "data/cells/none/fold-3/seed-0/metrics.json"
    edit(path, lambda metrics: metrics.update(loss=0.01), sealed=False)
    assert compare.main([]) == 4
    assert "changed file in data/cells/none/fold-3/seed-0/metrics.json" in capsys.readouterr().err
    edit(path, lambda metrics: metrics.update(loss=0.01))
    assert compare.main([]) == 4
    error = capsys.readouterr().err
    assert "metrics of other predictions in data/cells/none/fold-3/seed-0/metrics.json: expected loss" in error


def test_statistics_that_are_gone_are_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "data/statistics/fold-1/raw.json").unlink()
    assert compare.main([]) == 4
    assert "data/statistics/fold-1/raw.json" in capsys.readouterr().err


def test_a_failure_leaves_the_results_of_before(workspace: Path) -> None:
    folder = workspace / "data/comparison"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(workspace / "data/cells/channel/fold-3")
    assert compare.main([]) == 4
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert np.isfinite(results.read(folder).verdict.modes[0].accuracy.mean)
