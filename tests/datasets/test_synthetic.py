"""The generated data set: same bytes, honest structure, and sounds that are what their labels say."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import find_peaks, hilbert, stft
from scipy.stats import binom, kurtosis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from specnorm.datasets.synthetic import CLASSES, write_archive
from specnorm.errors import ResourceError
from specnorm.params.dataset import SyntheticParams

RATE = 16000
SOURCES = range(25)


def settings(**changes: object) -> SyntheticParams:
    values = {"sources": 2, "clips": 2, "folds": 2, "sample_rate": 8000, "clip_seconds": 0.5, "seed": 0}
    return SyntheticParams.model_validate({"kind": "synthetic", "name": None, **values, **changes})


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(tmp_path: Path, **changes: object) -> dict[str, bytes]:
    write_archive(settings(**changes), tmp_path / "some.zip")
    return members(tmp_path / "some.zip")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, NDArray[np.int16]]:
    """The demo's 300 clips: the table and the samples [300, 16000]."""
    path = tmp_path_factory.mktemp("demo") / "synthetic.zip"
    table = write_archive(settings(sources=10, clips=1, folds=3, sample_rate=RATE, clip_seconds=1.0), path)
    stored = members(path)
    return table, np.stack([soundfile.read(io.BytesIO(stored[m]), dtype="int16")[0] for m in table["member"]])


class TestArchive:
    def test_same_parameters_give_the_same_bytes(self, tmp_path: Path) -> None:
        first = write_archive(settings(), tmp_path / "a.zip")
        second = write_archive(settings(), tmp_path / "b.zip")
        assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
        pd.testing.assert_frame_equal(first, second)

    def test_another_seed_changes_every_clip_and_no_name(self, tmp_path: Path) -> None:
        first, second = written(tmp_path), written(tmp_path, seed=1)
        assert first.keys() == second.keys()
        assert [name for name in first if first[name] == second[name]] == ["metadata.csv"]

    @pytest.mark.parametrize("more", [{"sources": 3}, {"folds": 3}, {"clips": 3}])
    def test_a_source_does_not_depend_on_how_many_others_exist(self, tmp_path: Path, more: dict[str, int]) -> None:
        few, many = written(tmp_path), written(tmp_path, **more)
        assert len(many) > len(few)
        few.pop("metadata.csv")
        assert {name: many[name] for name in few} == few

    def test_no_two_clips_are_alike(self, tmp_path: Path) -> None:
        audio = [data for name, data in written(tmp_path).items() if name.endswith(".wav")]
        assert len(set(audio)) == len(audio) == 10 * 2 * 2 * 2

    def test_entries_are_sorted_and_carry_no_date(self, tmp_path: Path) -> None:
        # 12 folds: a name that was not padded would put fold 10 before fold 2.
        table = write_archive(settings(folds=12, clip_seconds=0.25), tmp_path / "some.zip")
        with zipfile.ZipFile(tmp_path / "some.zip") as archive:
            assert archive.testzip() is None
            assert archive.namelist() == sorted(archive.namelist()) == [*table["member"], "metadata.csv"]
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}

    @pytest.mark.parametrize(("sample_rate", "clip_seconds"), [(8000, 0.25), (44100, 0.37)])
    def test_every_clip_decodes_to_its_length_and_rate(
        self, tmp_path: Path, sample_rate: int, clip_seconds: float
    ) -> None:
        stored = written(tmp_path, sample_rate=sample_rate, clip_seconds=clip_seconds)
        infos = [soundfile.info(io.BytesIO(data)) for name, data in stored.items() if name.endswith(".wav")]
        found = {(i.samplerate, i.frames, i.channels, i.format, i.subtype) for i in infos}
        assert found == {(sample_rate, round(sample_rate * clip_seconds), 1, "WAV", "PCM_16")}

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        (tmp_path / "some.zip").write_bytes(b"old")
        monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(ResourceError, match="No space left"):
            write_archive(settings(), tmp_path / "some.zip")
        assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"some.zip": b"old"}

    def test_progress_is_shown_on_a_terminal_alone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = settings(sources=1, clips=1, clip_seconds=0.25)
        write_archive(small, tmp_path / "some.zip")
        write_archive(small, tmp_path / "some.zip", progress=True)
        assert capsys.readouterr() == ("", "")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        write_archive(small, tmp_path / "some.zip", progress=True)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "20/20" in shown.err


class TestTable:
    def test_columns_types_and_order(self, tmp_path: Path) -> None:
        table = write_archive(settings(), tmp_path / "some.zip")
        assert list(table.columns) == ["clip", "member", "fold", "target", "label", "source"]
        assert table["fold"].dtype == table["target"].dtype == np.int64
        pd.testing.assert_frame_equal(table, table.sort_values(["fold", "clip"], ignore_index=True))

    def test_labels_are_numbered_in_alphabetical_order(self, tmp_path: Path) -> None:
        table = write_archive(settings(), tmp_path / "some.zip")
        assert sorted(table["label"].unique()) == list(CLASSES)
        assert (table["label"] == table["target"].map(dict(enumerate(CLASSES)))).all()

    def test_metadata_agrees(self, tmp_path: Path) -> None:
        table = write_archive(settings(), tmp_path / "some.zip")
        metadata = pd.read_csv(io.BytesIO(members(tmp_path / "some.zip")["metadata.csv"]))
        expected = table[["clip", "label", "fold", "source"]].rename(columns={"clip": "filename"})
        pd.testing.assert_frame_equal(metadata, expected, check_dtype=False)

    def test_folds_are_balanced_and_share_no_source(self, tmp_path: Path) -> None:
        table = write_archive(settings(folds=3, clips=2), tmp_path / "some.zip")
        assert (table.groupby(["fold", "label"]).size() == 2 * 2).all()
        assert (table.groupby("source")["fold"].nunique() == 1).all()
        assert (table.groupby("source").size() == 2).all()
        assert sorted(table["fold"].unique()) == [1, 2, 3]


class TestLevels:
    def test_peaks_span_the_range_and_never_clip(self, demo: tuple[pd.DataFrame, NDArray[np.int16]]) -> None:
        peak_dbfs = 20 * np.log10(np.abs(demo[1].astype(np.int64)).max(axis=1) / 32767)
        low, high = -43, -3
        # 300 uniform draws: the extremes lie within 2 dB of the ends but for a chance of 4e-7; 0.02 dB is the rounding.
        assert low - 0.02 <= peak_dbfs.min() < low + 2
        assert high - 2 < peak_dbfs.max() <= high + 0.02

    def test_level_belongs_to_the_source_and_not_to_the_class(self, tmp_path: Path) -> None:
        table = write_archive(settings(sources=6, clips=2), tmp_path / "some.zip")
        stored = members(tmp_path / "some.zip")
        peaks = [np.abs(soundfile.read(io.BytesIO(stored[member]))[0]).max() for member in table["member"]]
        level = pd.Series(20 * np.log10(peaks), index=table.index)
        assert level.groupby(table["source"]).agg(np.ptp).max() < 0.05  # takes differ by rounding to 16 bits alone
        assert (level.groupby(table["label"]).agg(np.ptp) > 15).all()  # 12 sources over 40 dB
        # Seeds that left the label out would give the classes with equally many properties the same levels.
        by_class = level.groupby([table["fold"], table["source"].str[-3:], table["label"]]).mean().unstack()
        assert (by_class.corr().to_numpy() - np.eye(10)).max() < 0.95

    def test_each_source_has_a_background_of_its_own_level_and_colour(self, tmp_path: Path) -> None:
        table = write_archive(settings(sources=8, sample_rate=RATE, clip_seconds=1.0), tmp_path / "some.zip")
        tones = table[table["label"] == "tone"]
        stored = members(tmp_path / "some.zip")
        slopes, depths = [], []
        for member in tones["member"]:
            clip = soundfile.read(io.BytesIO(stored[member]))[0]
            power = (np.abs(stft(clip, RATE, nperseg=512)[2]) ** 2 + 1e-14).max(axis=1)  # the loudest frame a bin
            # Medians over half octaves from 200 Hz to 6.4 kHz pass over the tone's own peak.
            edges = (200 * 2 ** np.arange(0, 5.1, 0.5) * 512 / RATE).astype(int)
            floor_db = [10 * np.log10(np.median(power[a:b])) for a, b in pairwise(edges)]
            slopes.append(np.polyfit(np.arange(10) / 2, floor_db, 1)[0])
            depths.append(10 * np.log10(power.max()) - np.median(floor_db))
        # The noise's colour alone has a deviation of 1.7 dB an octave, with the tilt 3.9.
        for values, spread in ((np.array(slopes), 2.7), (np.array(depths), 4.0)):
            by_source = pd.Series(values).groupby(tones["source"].to_numpy())
            assert by_source.mean().std() > spread
            assert by_source.agg(np.ptp).median() < spread / 2  # two takes of one source

    def test_the_quietest_clip_is_more_than_quantisation_noise(
        self, demo: tuple[pd.DataFrame, NDArray[np.int16]]
    ) -> None:
        sounding_rms = [np.sqrt(np.mean(clip[clip != 0].astype(float) ** 2)) for clip in demo[1]]
        # Rounding has a deviation of 0.29 steps; 10 steps are 31 dB above it.
        assert min(sounding_rms) > 10

    def test_share_of_clips_with_digital_silence(self, tmp_path: Path) -> None:
        table = write_archive(settings(sources=50, clips=1), tmp_path / "some.zip")
        stored = members(tmp_path / "some.zip")
        clips = np.stack([soundfile.read(io.BytesIO(stored[m]), dtype="int16")[0] for m in table["member"]])
        silent = (clips == 0).mean(axis=1) > 0.25
        # 1000 clips; quiet clicks add at most a few whose background rounds to zero (measured: 4 of 4000).
        low, high = binom.ppf([1e-4, 1 - 1e-4], len(clips), 0.18)
        assert low <= silent.sum() <= high + 5
        runs = clips[silent] == 0
        leading, trailing = runs[:, : clips.shape[1] // 4].all(axis=1), runs[:, -clips.shape[1] // 4 :].all(axis=1)
        assert (leading | trailing).mean() > 0.95
        assert leading.sum() > 20
        assert trailing.sum() > leading.sum()


def sound(label: str, number: int, duration_s: float = 2.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A clean foreground and its times in seconds."""
    seconds = np.arange(round(duration_s * RATE)) / RATE + 0.123
    return CLASSES[label](np.random.default_rng([7, number]))(seconds, np.random.default_rng([8, number])), seconds


def dominance(samples: NDArray[np.float64]) -> float:
    """Share of the energy within 3 Hz of the strongest frequency."""
    power = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    reach = round(3 * samples.size / RATE)
    peak = int(power.argmax())
    return float(power[max(0, peak - reach) : peak + reach + 1].sum() / power.sum())


def envelope_variation(samples: NDArray[np.float64]) -> float:
    """Deviation over mean of the amplitude; 0.1 s at each end are left out, where the transform wraps."""
    envelope = np.abs(hilbert(samples))[RATE // 10 : -RATE // 10]
    return float(envelope.std() / envelope.mean())


def instantaneous_octaves(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequency in octaves every 2 ms, from the phase of the analytic signal."""
    phase = np.unwrap(np.angle(hilbert(samples)))[RATE // 10 : -RATE // 10 : 32]
    return np.log2(np.maximum(np.diff(phase), 1e-6))


def click_periodicity(samples: NDArray[np.float64]) -> float:
    """The best autocorrelation of the 4 ms energy at lags of 36 to 160 ms."""
    energy = np.sqrt(np.square(samples[: samples.size // 64 * 64]).reshape(-1, 64).sum(axis=1))
    energy -= energy.mean()
    lags = range(9, 40)
    return max(float(np.corrcoef(energy[:-lag], energy[lag:])[0, 1]) for lag in lags)


def spectral_peaks(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequencies in Hz of the peaks within 30 dB of the strongest and 15 dB above the valleys beside them."""
    level_db = 20 * np.log10(np.abs(np.fft.rfft(samples * np.blackman(samples.size))) + 1e-9)
    places = find_peaks(level_db, height=level_db.max() - 30, prominence=15, distance=20)[0]
    return places * RATE / samples.size


def over_sources(label: str, measure: Callable[[NDArray[np.float64]], float]) -> NDArray[np.float64]:
    return np.array([measure(sound(label, number)[0]) for number in SOURCES])


class TestPhysics:
    @pytest.mark.parametrize("label", CLASSES)
    def test_takes_are_finite_and_stay_below_4_khz(self, label: str) -> None:
        # The lowest sample rate is 8 kHz: what lay above 4 kHz would fold back.
        for number in SOURCES:
            samples, _ = sound(label, number)
            assert np.isfinite(samples).all()
            power = np.abs(np.fft.rfft(samples)) ** 2
            assert power[samples.size * 4000 // RATE :].sum() < 0.1 * power.sum()

    def test_only_a_tone_has_one_dominant_steady_peak(self) -> None:
        assert over_sources("tone", dominance).min() > 0.999
        for label in CLASSES.keys() - {"tone"}:
            assert over_sources(label, dominance).max() < 0.97, label

    def test_amplitude_modulation_moves_the_envelope_and_not_the_frequency(self) -> None:
        # The deviation of 1 + d sin is d / sqrt(2), and d is at least 0.8.
        assert over_sources("amplitude_modulated", envelope_variation).min() > 0.5
        assert over_sources("amplitude_modulated", lambda x: float(np.std(instantaneous_octaves(x)))).max() < 0.05

    def test_frequency_modulation_moves_the_frequency_and_not_the_envelope(self) -> None:
        assert over_sources("frequency_modulated", envelope_variation).max() < 0.1
        # The deviation of log2(1 + d cos) is about d / (sqrt(2) ln 2), and d is at least 0.1.
        assert over_sources("frequency_modulated", lambda x: float(np.std(instantaneous_octaves(x)))).min() > 0.09

    def test_a_chirp_glides_one_way_and_a_modulated_tone_both_ways(self) -> None:
        def one_way(samples: NDArray[np.float64]) -> float:
            return abs(float(np.mean(np.sign(np.diff(instantaneous_octaves(samples))))))

        # The wrap of the analytic signal ripples at each restart; a steady majority of one sign remains.
        assert over_sources("chirp", lambda x: float(np.ptp(instantaneous_octaves(x)))).min() > 0.5
        assert over_sources("chirp", one_way).min() > 0.6
        assert over_sources("frequency_modulated", one_way).max() < 0.3

    def test_chirps_go_up_and_down(self) -> None:
        glide = [np.median(np.diff(instantaneous_octaves(sound("chirp", number)[0]))) for number in SOURCES]
        assert 5 <= np.sum(np.array(glide) > 0) <= 20

    def test_a_harmonic_stack_has_its_peaks_at_multiples(self) -> None:
        for number in SOURCES:
            peaks = spectral_peaks(sound("harmonic_stack", number)[0])
            multiples = peaks / peaks[0]
            assert peaks.size >= 3
            assert np.abs(multiples - np.round(multiples)).max() < 0.05

    def test_struck_modes_are_not_multiples(self) -> None:
        # A long ring of one strike would show every mode; the spectrum of many strikes is combed by their rate.
        ratios = [peaks / peaks[0] for peaks in (spectral_peaks(strike(number)) for number in SOURCES)]
        several = [ratio for ratio in ratios if ratio.size >= 2]
        assert len(several) > len(ratios) / 2
        assert np.mean([np.abs(ratio - np.round(ratio)).max() > 0.05 for ratio in several]) > 0.8

    def test_struck_modes_rise_at_once_and_fall_slowly(self) -> None:
        def asymmetry(samples: NDArray[np.float64]) -> float:
            energy = np.square(samples).reshape(-1, 160).sum(axis=1)
            steps_db = np.diff(10 * np.log10(energy + 1e-6 * energy.max()))
            return float(steps_db.max() + steps_db.min())

        assert over_sources("decaying_resonances", asymmetry).min() > 0
        assert over_sources("decaying_resonances", lambda x: asymmetry(x[::-1])).max() < 0
        assert over_sources("decaying_resonances", kurtosis).mean() > over_sources("filtered_noise", kurtosis).mean()

    def test_an_impulse_train_is_periodic_and_crackle_is_not(self) -> None:
        periodic, random = over_sources("impulse_train", click_periodicity), over_sources("crackle", click_periodicity)
        assert np.median(periodic) > 0.7
        assert np.median(random) < 0.4
        assert np.mean(periodic[:, None] > random) > 0.97  # pairs in the right order

    def test_clicks_are_sparse(self) -> None:
        for label in ("impulse_train", "crackle"):
            assert np.median(over_sources(label, kurtosis)) > 10, label

    def test_filtered_noise_is_steady_and_bursts_are_gated(self) -> None:
        def quiet_share(samples: NDArray[np.float64]) -> float:
            energy = np.square(samples).reshape(-1, 320).sum(axis=1)
            return float(np.mean(energy < 1e-6 * energy.max()))

        assert over_sources("filtered_noise", quiet_share).max() == 0
        assert np.abs(over_sources("filtered_noise", kurtosis)).max() < 1  # Gaussian
        bursts = over_sources("noise_bursts", quiet_share)
        assert bursts.min() > 0.1
        assert bursts.max() < 0.85

    def test_pitch_ranges_overlap(self) -> None:
        # The place of the spectrum alone must not give the label away: every two classes share half an octave.
        def centroid_octaves(samples: NDArray[np.float64]) -> float:
            power = np.abs(np.fft.rfft(samples)) ** 2
            return float(np.log2((power * np.fft.rfftfreq(samples.size, 1 / RATE)).sum() / power.sum()))

        ranges = {label: np.quantile(over_sources(label, centroid_octaves), [0.1, 0.9]) for label in CLASSES}
        assert min(high for _, high in ranges.values()) - max(low for low, _ in ranges.values()) > 0.5


def strike(number: int) -> NDArray[np.float64]:
    """The loudest 0.15 s of a struck body, padded to 2 s so that its spectrum is finely sampled."""
    samples, _ = sound("decaying_resonances", number)
    start = min(int(np.abs(samples).argmax()), samples.size - 2400)
    return np.pad(samples[start : start + 2400] * np.hanning(2400), (0, samples.size - 2400))


def test_a_cheap_baseline_lands_between_chance_and_ceiling(demo: tuple[pd.DataFrame, NDArray[np.int16]]) -> None:
    """A linear model on three summaries a band: 0.5 measured, chance 0.1; fails if the set becomes noise or a toy."""
    table, clips = demo
    waveforms = (clips - clips.mean(axis=1, keepdims=True)) / clips.std(axis=1, keepdims=True)
    spectra = np.abs(stft(waveforms, RATE, nperseg=512)[2][:, 1:]) ** 2  # [clips, 256, frames]
    bands = np.add.reduceat(spectra, np.unique(np.geomspace(1, 255, 40).astype(int)), axis=1)
    level_db = 10 * np.log10(np.maximum(bands, 1e-8))
    summaries = (level_db.mean(axis=2), level_db.std(axis=2), np.abs(np.diff(level_db, axis=2)).mean(axis=2))
    features, targets, folds = np.concatenate(summaries, axis=1), table["target"].to_numpy(), table["fold"].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    hits = [
        model.fit(features[folds != k], targets[folds != k]).score(features[folds == k], targets[folds == k])
        for k in (1, 2, 3)
    ]
    assert 0.3 < np.mean(hits) < 0.85
