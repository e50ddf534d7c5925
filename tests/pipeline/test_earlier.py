"""One mode alone names the comparison in whose place its results are."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
import yaml

from pipeline import earlier, places
from specnorm.report import results
from stages import compare
from tests import made_up
from tests.builders import tree

LAST = "The last comparison of these clips, of none, waveform, global and channel, "


def compared(*modes: str) -> results.Results:
    """Compare these of the workspace's modes; returns what was written."""
    norm = {mode: yaml.safe_load((made_up.ROOT / f"conf/norm/{mode}.yaml").read_text()) for mode in modes}
    made_up.change_params(Path(), norm=norm)
    assert compare.main([]) == 0
    return results.read(places.COMPARISON)


def test_one_mode_names_the_last_comparison_and_the_way_back(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "dusky-worm")
    first = compared(*made_up.MODES)
    assert first.verdict.caveat is None
    monkeypatch.setenv("DVC_EXP_NAME", "later-one")
    outcome = f"said to use {first.verdict.recommended}" if first.verdict.recommended else "was undecided"
    said = f"{LAST}{outcome}: dvc exp apply dusky-worm brings it back"
    capsys.readouterr()
    for _ in range(2):  # one mode is no comparison, and is not remembered
        alone = compared("global")
        assert alone.verdict.caveat == said
        page = html.unescape((places.COMPARISON / "report.html").read_text(encoding="utf-8"))
        assert said in page
        assert said in capsys.readouterr().out
        assert [mode.norm for mode in alone.verdict.modes] == ["global"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, where nothing was compared yet and no experiment runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)


def said_of(*modes: str) -> str | None:
    """What is said beside the verdict once these have been compared."""
    return earlier.remembered(made_up.document({mode: {} for mode in modes})).caveat


@pytest.mark.usefixtures("elsewhere")
def test_what_was_no_experiment_is_run_again() -> None:
    assert said_of("none", "channel") is None
    said = said_of("none")
    assert said is not None
    assert said.startswith("The last comparison of these clips, of none and channel, ")
    assert said.endswith(": the same run brings it back and trains nothing")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("damage", ["", "{}", '{"format": 1}'])
def test_a_note_that_is_gone_or_damaged_is_a_sentence_less(damage: str) -> None:
    said_of(*made_up.MODES)
    assert said_of("none") is not None
    (note,) = (places.cache() / "comparisons").iterdir()
    if damage:
        note.write_text(damage)
    else:
        note.unlink()
    assert said_of("none") is None


@pytest.mark.usefixtures("elsewhere")
def test_comparisons_of_other_clips_are_not_named() -> None:
    said = made_up.document({"none": {}, "channel": {}})
    earlier.remembered(said.model_copy(update={"dataset": said.dataset.model_copy(update={"digest": "0" * 64})}))
    assert said_of("none") is None
    earlier.remembered(said)
    assert said_of("none") is not None


def test_a_comparison_is_written_as_it_ever_was(workspace: Path) -> None:
    """The note lies beside the outputs, not in them."""
    before = tree(places.COMPARISON)
    compared(*made_up.MODES)
    assert tree(places.COMPARISON) == before
