"""What the page lets one hear is the clip, what its own fold's modes make of it, and what its own cells say of it."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from pipeline import finished as stored
from specnorm.comparison import inputs, outcomes
from specnorm.comparison.inputs import TrainedMode
from specnorm.errors import IntegrityError
from specnorm.params import Params, load
from specnorm.report import embedded, gallery, hearing
from specnorm.report.hearing import Heard, Hearing
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from stages import compare
from tests import made_up


@dataclasses.dataclass(frozen=True)
class Compared:
    """What the stage hands over, of the finished workspace."""

    params: Params
    shards: Shards
    cells: list[StoredCell]

    def modes(self, fold: int) -> dict[str, TrainedMode]:
        first = {cell.key.norm: cell for cell in self.cells if cell.key.fold == fold}
        return {mode: inputs.trained(stored.normalizer(self.params, mode, fold), first[mode]) for mode in first}

    def hear(self, most: int, *, archive: Path = Path("data/raw"), cells: list[StoredCell] | None = None) -> Hearing:
        cells = self.cells if cells is None else cells
        found, clips = outcomes.gather(cells, self.shards), outcomes.held_out_clips(cells, self.shards)
        return hearing.hear(archive, found, clips, self.shards.classes, self.modes, self.params.spectrogram, most=most)  # type: ignore[return-value]

    def cell(self, mode: str, fold: int) -> StoredCell:
        return next(cell for cell in self.cells if (cell.key.norm, cell.key.fold) == (mode, fold))


@pytest.fixture(scope="module")
def compared(finished: Path) -> Iterator[Compared]:
    with made_up.working_in(finished):
        params = load(Path("params.yaml"))
        yield Compared(params, stored.shards(params), stored.cells(params))


@pytest.fixture(scope="module")
def heard(compared: Compared) -> Hearing:
    return compared.hear(5)


def row(compared: Compared, clip: Heard) -> int:
    return list(compared.shards.of_fold(clip.fold)["clip"]).index(clip.name)


def test_as_many_clips_as_wanted_of_those_there_are(compared: Compared, heard: Hearing) -> None:
    assert len(heard.clips) == 5 < heard.among
    assert len({clip.name for clip in heard.clips}) == 5
    assert len(compared.hear(100).clips) == heard.among
    assert [clip.name for clip in compared.hear(2).clips] == [clip.name for clip in heard.clips[:2]]


def test_no_sound_is_wanted_or_nobody_disagrees(compared: Compared) -> None:
    nowhere = Path("nowhere")  # nothing is read
    assert compared.hear(0, archive=nowhere) is None
    assert compared.hear(5, archive=nowhere, cells=[cell for cell in compared.cells if cell.key.norm == "none"]) is None
    with pytest.raises(IntegrityError, match="nowhere"):
        compared.hear(5, archive=nowhere)


def test_the_sound_is_the_clip_as_the_front_end_takes_it(heard: Hearing) -> None:
    assert (heard.sample_rate, heard.seconds, heard.played_s) == (8000, 0.25, 0.25)
    for clip in heard.clips:
        found, rate = soundfile.read(io.BytesIO(base64.b64decode(clip.sound.partition(",")[2])))
        assert (rate, len(found)) == (8000, 2000)
        assert clip.peak_db is not None
        assert -50 < clip.peak_db <= 0
        assert np.abs(found).max() == pytest.approx(10 ** (clip.peak_db / 20), rel=0.5)


def test_of_a_long_clip_the_beginning_can_be_heard(compared: Compared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "_LONGEST_S", 0.1)
    found = compared.hear(1)
    assert (found.seconds, found.played_s) == (0.25, 0.1)
    samples, _ = soundfile.read(io.BytesIO(base64.b64decode(found.clips[0].sound.partition(",")[2])))
    assert len(samples) == 800


def test_a_spectrogram_is_what_the_clips_own_fold_is_given(compared: Compared, heard: Hearing) -> None:
    """In a fold of its own a clip shaped no statistics of its mode; another fold's mode would tell so by its levels."""
    others = 0
    for clip in heard.clips:
        for fold in made_up.FOLDS:
            for view in clip.views:
                mode = compared.modes(fold)[view.mode]
                level = torch.from_numpy(compared.shards.rows(mode.waveform, clip.fold, [row(compared, clip)]))
                given = mode.normalizer(level)[0, 0].detach().numpy()
                low, high = np.percentile(given, (0.5, 99.5))
                same = np.allclose((view.low, view.high), (low, high), rtol=1e-4, atol=1e-4)
                if fold == clip.fold:
                    assert same
                    assert view.picture == embedded.picture(given, (view.low, view.high))
                    assert view.unit == ("dB" if view.mode in ("none", "waveform") else "normalised level")
                elif view.mode == "channel":
                    assert not same
                    others += 1
    assert others == 10


def test_the_likeliest_classes_are_those_of_the_clips_own_cells(compared: Compared, heard: Hearing) -> None:
    labels = compared.shards.classes
    for clip in heard.clips:
        assert [view.mode for view in clip.views] == list(made_up.MODES)
        assert {view.right for view in clip.views} == {0, 1}
        for view in clip.views:
            own = compared.cell(view.mode, clip.fold).probabilities[row(compared, clip)]
            expected = sorted(zip(own.tolist(), labels, strict=True), reverse=True)[:3]
            assert [(guess.probability, guess.label) for guess in view.guesses] == expected
            assert [guess.actual for guess in view.guesses] == [label == clip.label for _, label in expected]
            assert view.right == view.guesses[0].actual


def test_seeds_are_counted_and_averaged(compared: Compared, tmp_path: Path) -> None:
    """Two seeds of two modes: the second seed of `channel` gets fewer clips right."""
    cells = [
        made_up.write_cell(tmp_path, compared.shards, mode, 1, seed, right=right, normalizer="")
        for mode, seed, right in (("none", 0, 30), ("none", 1, 30), ("channel", 0, 10), ("channel", 1, 20))
    ]
    found = compared.hear(100, cells=cells)
    assert found.seeds == 2
    names = list(compared.shards.of_fold(1)["clip"])
    assert {names.index(clip.name) for clip in found.clips} <= set(range(20, 30))
    assert {(view.mode, view.right) for clip in found.clips for view in clip.views} == {("none", 2), ("channel", 0)}


def test_labels_and_names_are_on_one_line_and_visible(compared: Compared) -> None:
    hostile = dataclasses.replace(
        compared.shards, clips=compared.shards.clips.assign(label=compared.shards.clips["label"] + "\n\x1b[31m\u202e")
    )
    found = dataclasses.replace(compared, shards=hostile).hear(1)
    assert found.clips[0].label.endswith(r" \x1b[31m\u202e")
    assert all(guess.label.endswith(r" \x1b[31m\u202e") for view in found.clips[0].views for guess in view.guesses)


def test_the_page_has_them_and_is_the_same_each_time(compared: Compared, finished: Path) -> None:
    page = (finished / "data/comparison/report.html").read_text(encoding="utf-8")
    wanted = compared.hear(12)
    assert re.findall(r'<audio [^>]*src="([^"]*)"', page) == [clip.sound for clip in wanted.clips]
    assert wanted == compared.hear(12)
    assert "This page holds the sound of these 12 clips:" in page
    assert "<code>compare.sounds=0</code>" in page


def test_without_sounds_the_page_holds_none(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up.change_params(workspace, compare={"sounds": 0})
    monkeypatch.setattr(gallery, "figures", lambda *_: {})  # they take most of the time
    assert compare.main([]) == 0
    page = (workspace / "data/comparison/report.html").read_text(encoding="utf-8")
    assert not re.search(r'<audio|audio/mpeg|id="hear"|compare\.sounds', page)
