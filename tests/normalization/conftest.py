"""What the tests of the normalisers share."""

from __future__ import annotations

import pytest

from specnorm.normalization.base import Normalizer
from specnorm.shards.store import Shards
from tests.builders import levels, write_shards


@pytest.fixture(autouse=True)
def own_kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Normalizer]]:
    """Kinds that a test registers are forgotten after it."""
    kinds = dict(Normalizer._kinds)
    monkeypatch.setattr(Normalizer, "_kinds", kinds)
    return kinds


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """Three folds that differ in level."""
    return write_shards(tmp_path_factory.mktemp("shards"), levels())
