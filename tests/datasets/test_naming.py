from __future__ import annotations

import pytest

from specnorm.datasets.naming import dataset_name
from specnorm.params.dataset import SyntheticParams
from tests.datasets.layouts import csv_params, esc_params, folder_params


def test_published_and_generated_sets_are_called_by_what_they_are() -> None:
    synthetic = SyntheticParams(
        kind="synthetic", name=None, sources=1, clips=1, folds=2, sample_rate=8000, clip_seconds=1.0, seed=0
    )
    assert dataset_name(esc_params(source=None, complete=False)) == "esc50"
    assert dataset_name(esc_params(source="/data/ESC-50-master.zip", complete=True)) == "esc50"
    assert dataset_name(esc_params(source="/data/cut.zip", complete=False)) == "cut"  # or one's own, in that layout
    assert dataset_name(esc_params(subset="esc10")) == "esc10"
    assert dataset_name(synthetic) == "synthetic"
    assert dataset_name(synthetic.model_copy(update={"name": "mine"})) == "mine"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("clips", "clips"),
        ("clips/", "clips"),
        ("/data/birds.zip", "birds"),
        ("~/Birds 2.1.ZIP", "Birds 2.1"),
        ("./a/../b.zip", "b"),
        ("Vögel 鳥", "Vögel 鳥"),
        ("V\u006f\u0308gel", "Vögel"),
        ("it's & more", "it-s - more"),
        (" .hidden", "hidden"),
        ("x" * 300, "x" * 100),
        ("x" * 99 + " y", "x" * 99),
    ],
)
def test_one_s_own_is_called_as_its_source_made_fit(source: str, name: str) -> None:
    for made in (folder_params(source=source), csv_params(source=source)):
        assert dataset_name(made) == name
        # A derived name is one that could have been given.
        assert dataset_name(type(made).model_validate(made.model_dump() | {"name": name})) == name


@pytest.mark.parametrize("source", [".", "..", "/", "???a", "!.zip"])
def test_a_source_whose_name_says_nothing_gives_the_kind(source: str) -> None:
    assert dataset_name(folder_params(source=source)) in ("folder", "a")
    assert dataset_name(csv_params(source="..")) == "csv"
