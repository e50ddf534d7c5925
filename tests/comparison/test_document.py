"""The verdict's document: one type, made once, whose bytes and fields scripts rely on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ValidationError

from specnorm.comparison import document, draft, noop, verdict
from specnorm.comparison.document import Document, NoopCheck
from specnorm.comparison.metrics import METRICS
from specnorm.comparison.outcomes import Outcomes, gather, held_out_clips
from specnorm.comparison.verdict import Verdict
from specnorm.report import tables
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from specnorm.training.xresnet import xresnet18
from tests import made_up

MODES = list(made_up.MODES)
NOTHING = NoopCheck(clips=7, fold=1, border_share=None, effects=())


@pytest.fixture(scope="module")
def made(decided: Verdict, found: Outcomes, stored: list[StoredCell], shards: Shards) -> Document:
    return draft.make(
        decided,
        found,
        stored,
        shards,
        NOTHING,
        title="A title",
        params=made_up.compare_params(),
        groups="source recordings",
    )


def test_a_published_verdict_is_read_and_written_again_byte_for_byte() -> None:
    for name in ("esc10_small", "spoken_digits"):
        published = (made_up.ROOT / f"docs/results/{name}/verdict.json").read_text(encoding="utf-8")
        assert Document.model_validate_json(published).to_json() == published


def test_what_is_written_is_read(made: Document) -> None:
    assert Document.model_validate_json(made.to_json()) == made


def test_it_says_what_was_compared_and_how(made: Document, decided: Verdict) -> None:
    assert made.title == "A title"
    assert [mode.norm for mode in made.modes] == MODES
    assert made.mode("global") == made.modes[2]
    assert made.caveat is None
    assert (made.decision.state, made.recommended) == (decided.decision.state, None)
    assert made.sampling.declared_pairs == 3
    assert made.sampling.flips is None  # one seed does not tell
    assert made.answer()[0] == made.decision.sentence
    assert (made.decision.margin, made.decision.sure) == (0.01, 0.8)
    assert (made.design.draws, made.design.folds, made.design.seeds) == (500, (1, 2, 3), (0,))
    assert (made.dataset.clips, made.dataset.recordings, made.dataset.classes) == (21, 12, made_up.CLASSES)
    assert [(pair.one, pair.other) for pair in made.pairs] == list(
        zip(decided.pairs["one"], decided.pairs["other"], strict=True)
    )
    assert made.pairs[0].accuracy.difference == decided.pairs["accuracy_difference"][0]
    assert made.pairs[0].p_adjusted == decided.pairs["p_adjusted"][0]
    assert made.noop == NOTHING


def test_every_metric_has_a_place_in_modes_and_pairs() -> None:
    for part in (document.Mode, document.Pair):
        assert set(METRICS) <= set(part.model_fields)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _fields(inner)


def test_every_field_is_described_and_nothing_else_is() -> None:
    described = (made_up.ROOT / "docs/verdict.md").read_text(encoding="utf-8").partition("## verdict.json")[2]
    documented = set(re.findall(r"`([a-z0-9_]+)`", described)) - {"null"}
    assert set(_fields(Document)) == documented


def test_a_document_does_not_change(made: Document) -> None:
    with pytest.raises(ValidationError):
        made.title = "Another"  # type: ignore[misc]


def test_a_figure_that_does_not_exist_is_null() -> None:
    estimate = document.Estimate(mean=0.5, low=math.nan, high=math.inf, deviation=None)
    assert json.loads(estimate.model_dump_json()) == {"mean": 0.5, "low": None, "high": None, "deviation": None}


def test_one_mode_and_one_cell_have_no_pairs_and_no_deviation(tmp_path: Path, shards: Shards) -> None:
    cells = [made_up.write_cell(tmp_path, shards, "global", 1)]
    outcomes = gather(cells, shards)
    clips = held_out_clips(cells, shards)
    alone = verdict.compare(outcomes, clips, traits=made_up.TRAITS, params=made_up.compare_params(), draws=100)
    made = draft.make(
        alone,
        outcomes,
        cells,
        shards,
        NOTHING,
        title="One",
        params=made_up.compare_params(),
        groups="source recordings",
    )
    assert made.pairs == ()
    assert made.modes[0].accuracy.deviation is None
    assert len(alone.classes) == len(alone.clips) == 0
    summary = tables.summary(made)
    assert math.isnan(summary["accuracy_sd"][0])
    assert tables.flat(summary) == {"global": round(cells[0].metrics["accuracy"], 4)}
    assert "nan" not in tables.summary_markdown(made).lower()


def test_a_cell_of_another_content_changes_the_modes_digest(stored: list[StoredCell]) -> None:
    own = stored[:3]
    changed = StoredCell(own[1].folder, own[1].history, own[1].predictions, {**own[1].metrics, "loss": 0.1}, own[1].run)
    assert document.cells_digest(own) == document.cells_digest(list(own))
    assert document.cells_digest([own[0], changed, own[2]]) != document.cells_digest(own)


def test_a_picture_that_is_all_border() -> None:
    """Two mel bands: every position of the first layer sees padding, and there is no inside."""
    network = xresnet18(2, generator=torch.Generator())
    rows = noop.table(network, {"a against b": (torch.rand(2, 1, 2, 9),) * 2})
    check = draft.noop_check(rows, clips=2, fold=1)
    (effect,) = check.effects
    assert effect.effect_inside is None
    assert effect.effect_border == 0
    assert "inside" not in effect.sentence
    assert check.border_share == 1
    assert "NaN" not in check.model_dump_json()


def test_tables_say_what_the_verdict_says(made: Document) -> None:
    summary = tables.summary(made)
    assert list(summary["norm"]) == MODES
    assert summary["accuracy_mean"][0] == pytest.approx(4 / 7, rel=1e-12)
    flat = tables.flat(summary)
    assert list(flat) == MODES
    assert flat["none"] == 0.5714  # `dvc exp show` makes a column of each
    lines = tables.summary_markdown(made).splitlines()
    assert len(lines) == 2 + len(MODES)
    assert {line.count("|") for line in lines} == {9}
    row = summary.iloc[0]
    shown = f"57.1 ({100 * row['accuracy_low']:.1f} to {100 * row['accuracy_high']:.1f})"
    assert shown in lines[2]
    text = tables.verdict_markdown(made)
    assert text.startswith(f"**{made.decision.sentence}.**")
    assert text.count("\n- ") == 6


def test_numpys_numbers_are_written_as_numbers() -> None:
    estimate = document.Estimate(mean=np.float64(0.1), low=np.float64(math.nan), high=0.5, deviation=0.0)
    expected = {"mean": 0.1, "low": None, "high": 0.5, "deviation": 0.0}
    assert json.loads(json.dumps(estimate.model_dump(mode="json"))) == expected
