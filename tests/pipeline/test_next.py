"""What `make demo` ends with: files that are there, and commands that are useful now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import next as next_steps
from specnorm import params, strict_yaml
from specnorm.comparison.document import Document
from specnorm.report import results
from tests import made_up

RUN = "dvc exp run -S experiment=default"


def suggested(folder: Path, state: str = "decided", **sections: dict[str, Any]) -> list[str]:
    made_up.change_params(folder, **sections)
    said = results.read(folder / "data/comparison").verdict
    decided = said.model_copy(update={"decision": said.decision.model_copy(update={"state": state, "mode": "global"})})
    assert isinstance(decided, Document)
    return [line for line, _ in next_steps.suggestions(params.load(folder / "params.yaml"), decided)]


def test_it_tells_what_there_is_and_leaves_the_verdict_to_the_comparison(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert next_steps.main([]) == 0
    out = capsys.readouterr().out
    made, _, rest = out.partition("params.yaml now holds")
    places = [line.split()[0] for line in made.splitlines() if line.startswith("  ")]
    assert all(Path(place).exists() for place in places if place != "mlflow.db")
    assert len(places) == 5
    assert "## Verdict" not in out
    assert max(map(len, rest.splitlines())) <= 120


def test_the_first_step_is_what_the_verdict_asks_for(workspace: Path) -> None:
    grid, sure = f"{RUN} -S norm=factorial", f"{RUN} -S protocol=sure"
    assert suggested(workspace)[:2] == [grid, sure]
    assert suggested(workspace, "undecided")[:2] == [sure, grid]
    assert suggested(workspace, "nothing learned")[0] == f"{RUN} -S train.epochs=4"


def test_what_was_done_is_not_suggested(workspace: Path) -> None:
    lines = suggested(workspace, protocol={"seeds": [0, 1, 2]})
    assert not any("protocol=sure" in line for line in lines)
    norm = {mode: {"kind": "identity", "waveform": "raw"} for mode in next_steps._GRID}
    assert not any("norm=factorial" in line for line in suggested(workspace, norm=norm))


def test_no_step_takes_the_comparison_from_the_workspace(workspace: Path) -> None:
    (alone,) = [line for line in suggested(workspace) if "norm=global" in line]
    assert alone == "dvc exp run --temp -S experiment=default -S norm=global"


def test_grid_and_seeds_are_those_of_the_options() -> None:
    conf = made_up.ROOT / "conf"
    assert set(strict_yaml.read(conf / "norm/factorial.yaml")["defaults"]) == next_steps._GRID
    assert len(strict_yaml.read(conf / "protocol/sure.yaml")["seeds"]) == next_steps._SURE
