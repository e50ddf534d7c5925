"""For whom an answer speaks."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from specnorm.comparison import population
from specnorm.comparison.outcomes import Outcomes
from specnorm.params.dataset import DatasetParams
from tests import made_up


def outcomes(groups: int, folds: int = 5) -> Outcomes:
    """Four clips a group, the groups dealt to the folds."""
    recordings = np.repeat(np.arange(groups), 4)
    probabilities = np.full((1, len(recordings), 2), 0.5)
    return Outcomes(recordings % 2, recordings % folds + 1, recordings, {"none": probabilities}, len(recordings))


def dataset(kind: str, **changes: object) -> DatasetParams:
    values = yaml.safe_load((made_up.ROOT / f"conf/dataset/{kind}.yaml").read_text(encoding="utf-8"))
    source = {"source": "clips.zip"} if values.get("source") == "???" else {}
    found: DatasetParams = TypeAdapter(DatasetParams).validate_python(values | source | changes)
    return found


def test_a_column_names_its_groups_and_a_pattern_has_no_name_for_them() -> None:
    assert population.told_by(dataset("csv", group_column="speaker")) == "speaker"
    assert population.told_by(dataset("csv", group_column=None)) is None
    assert population.told_by(dataset("folder", group_pattern="^(.)_")) == "groups"
    assert population.told_by(dataset("folder", group_pattern=None)) is None
    for kind in ("esc50", "synthetic"):
        assert population.told_by(dataset(kind)) == "source recordings"


def test_few_groups_are_named_as_what_the_answer_is_about() -> None:
    said = population.sentence(outcomes(6, folds=6), "speaker")
    assert said is not None
    assert said.startswith("The held-out folds hold few groups (6 by speaker, at most 1 a fold)")
    assert "for new ones (speaker)" in said
    assert population.sentence(outcomes(200), "speaker") is None


def test_what_was_not_told_is_said() -> None:
    said = population.sentence(outcomes(200), None)
    assert said is not None
    assert "was not told (dataset.group_column or dataset.group_pattern)" in said


@pytest.mark.parametrize("groups", [4, 200])
def test_a_data_set_that_knows_its_recordings_needs_no_words(groups: int) -> None:
    assert population.sentence(outcomes(groups), "source recordings") is None
