"""Made-up cells on their way to a verdict."""

from __future__ import annotations

import pytest

from specnorm.comparison import verdict
from specnorm.comparison.outcomes import Outcomes, gather, held_out_clips
from specnorm.comparison.verdict import Verdict
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from tests import made_up


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return made_up.write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, shards: Shards) -> list[StoredCell]:
    return made_up.write_cells(tmp_path_factory.mktemp("cells"), shards)


@pytest.fixture(scope="module")
def found(stored: list[StoredCell], shards: Shards) -> Outcomes:
    return gather(stored, shards)


@pytest.fixture(scope="module")
def decided(found: Outcomes, stored: list[StoredCell], shards: Shards) -> Verdict:
    clips = held_out_clips(stored, shards)
    return verdict.compare(found, clips, traits=made_up.TRAITS, params=made_up.compare_params(), draws=500)
