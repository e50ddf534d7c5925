"""Shards of any shape come back bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from specnorm.params import WAVEFORMS
from tests.builders import tree, write_shards

shapes = st.tuples(st.integers(1, 5), st.just(1), st.integers(1, 6), st.integers(1, 7))


@pytest.mark.case("F14")
@settings(max_examples=30)
@given(st.data(), st.lists(st.integers(1, 100), min_size=1, max_size=3, unique=True))
def test_round_trip(data: st.DataObject, folds: list[int]) -> None:
    values = arrays.arrays(np.float32, shapes, elements=st.floats(width=32))  # any bits: not a number, too
    raw = {fold: data.draw(values) for fold in folds}
    standardized = {fold: raw[fold][::-1] for fold in folds}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        found = write_shards(Path(one), raw, standardized)
        assert found.folds == sorted(folds)
        for fold in folds:
            for waveform, written in zip(WAVEFORMS, (raw, standardized), strict=True):
                assert found.parts(waveform, fold)[0].shape == written[fold].shape
                assert found.parts(waveform, fold)[0].tobytes() == written[fold].tobytes()
        write_shards(Path(other), raw, standardized)
        assert tree(Path(one)) == tree(Path(other))
