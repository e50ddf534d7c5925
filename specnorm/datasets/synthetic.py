"""A generated data set: ten sound classes that differ in physical make-up, not in level or pitch.

Every source recording has a level, a spectral tilt and a background of its own, drawn from ranges that all classes
share, and some clips are part digital silence as in ESC-50: what a normalisation of the input may help with.
"""

from __future__ import annotations

import io
import wave
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from specnorm.files import atomic_path
from specnorm.params.dataset import SyntheticParams

Samples = NDArray[np.float64]
Take = Callable[[Samples, np.random.Generator], Samples]  # times in seconds [samples], generator -> waveform [samples]

LEVEL_DBFS = (-43.0, -3.0)  # peak of a source; at the bottom it is still 230 steps of a 16-bit sample
TILT_DB_PER_OCTAVE = (-6.0, 6.0)
NOISE_SLOPE_DB_PER_OCTAVE = (-6.0, 0.0)  # brown to white
SNR_DB = (5.0, 25.0)  # of the whole recording, before the tilt
SILENT_SHARE = 0.18  # of the clips; ESC-10 has 18 % with more than a quarter exact zeros
SILENCE = (0.3, 0.7)  # share of such a clip that is exact zeros
TAPE_SPEED = (0.97, 1.03)  # of a take: shifts its pitches and rates together
MARGIN_S = 0.5  # rendered before and after a clip: earlier events ring into it, and filters wrap around outside it


def write_archive(params: SyntheticParams, path: Path, *, progress: bool = False) -> pd.DataFrame:
    """Generate the data set, write it to ``path`` as a zip, and return its table.

    The zip holds ``audio/<clip>``, 16-bit PCM mono WAV files, and ``metadata.csv`` (filename, label, fold, source).
    Equal parameters give equal bytes on one machine, and a source's bytes depend on its seed, label, fold and number
    alone: more sources, folds or takes leave the earlier ones as they are.

    Args:
        params: what to generate.
        path: the zip to write; whole or absent.
        progress: show a bar.

    Returns:
        A row a clip, sorted by (fold, clip): ``clip`` (file name), ``member`` (path in the zip), ``fold`` (int64, from
        1), ``target`` (int64, the label's place in alphabetical order), ``label``, ``source``.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    rows = []
    total = params.folds * len(CLASSES) * params.sources
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for source in tqdm(_sources(params), total=total, unit="source", disable=None if progress else True):
            for number, samples in enumerate(_takes(source, params)):
                clip = f"{source.name}-{number:02d}.wav"
                rows.append((clip, f"audio/{clip}", source.fold, source.target, source.label, source.name))
                _add(archive, f"audio/{clip}", _wav(samples, params.sample_rate))
        table = pd.DataFrame(rows, columns=["clip", "member", "fold", "target", "label", "source"])
        metadata = table[["clip", "label", "fold", "source"]].rename(columns={"clip": "filename"})
        _add(archive, "metadata.csv", metadata.to_csv(index=False, lineterminator="\n").encode())
    return table


@dataclass(frozen=True)
class _Source:
    """One source recording: its place in the data set."""

    fold: int
    target: int
    label: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.fold:03d}-{self.label}-{self.number:03d}"


def _sources(params: SyntheticParams) -> Iterator[_Source]:
    # Labels are in alphabetical order and numbers are padded, so this order is also that of the file names.
    for fold in range(1, params.folds + 1):
        for target, label in enumerate(CLASSES):
            for number in range(params.sources):
                yield _Source(fold, target, label, number)


def _takes(source: _Source, params: SyntheticParams) -> Iterator[Samples]:
    """The clips of one source, each [samples] in [-1, 1]."""
    seeds = np.random.SeedSequence((params.seed, source.target, source.fold, source.number)).spawn(1 + params.clips)
    recording, *takes = (np.random.default_rng(seed) for seed in seeds)
    foreground = CLASSES[source.label](recording)
    peak = 10 ** (recording.uniform(*LEVEL_DBFS) / 20)
    tilt, slope = recording.uniform(*TILT_DB_PER_OCTAVE), recording.uniform(*NOISE_SLOPE_DB_PER_OCTAVE)
    noise_rms = 10 ** (-recording.uniform(*SNR_DB) / 20)
    samples = round(params.clip_seconds * params.sample_rate)
    margin = round(MARGIN_S * params.sample_rate)
    for generator in takes:
        rendered = samples + 2 * margin
        seconds = np.arange(rendered) / params.sample_rate * generator.uniform(*TAPE_SPEED) + generator.uniform(0, 10)
        noise = _tilted(generator.standard_normal(rendered), slope, params.sample_rate)
        mixture = _unit_rms(foreground(seconds, generator)) + noise_rms * _unit_rms(noise)
        clip = _tilted(mixture, tilt, params.sample_rate)[margin : margin + samples]
        if generator.random() < SILENT_SHARE:
            silent = round(generator.uniform(*SILENCE) * samples)
            # ESC-50 pads at the end; a third leads here, so that silence has no fixed place.
            clip[slice(silent) if generator.random() < 1 / 3 else slice(samples - silent, None)] = 0.0
        yield clip * (peak / np.abs(clip).max())


def _tone(source: np.random.Generator) -> Take:
    """One steady sinusoid."""
    frequency = _log_uniform(source, 300, 2500)

    def take(seconds: Samples, _: np.random.Generator) -> Samples:
        return np.sin(2 * np.pi * frequency * seconds)

    return take


def _amplitude_modulated(source: np.random.Generator) -> Take:
    """A sinusoid whose amplitude swings sinusoidally, 4 to 12 times a second."""
    frequency, rate, depth = _log_uniform(source, 300, 2500), _log_uniform(source, 4, 12), source.uniform(0.8, 1.0)

    def take(seconds: Samples, _: np.random.Generator) -> Samples:
        return (1 + depth * np.sin(2 * np.pi * rate * seconds)) * np.sin(2 * np.pi * frequency * seconds)

    return take


def _frequency_modulated(source: np.random.Generator) -> Take:
    """A sinusoid whose frequency swings sinusoidally, 4 to 12 times a second, by 10 to 30 % each way."""
    frequency, rate = _log_uniform(source, 300, 2500), _log_uniform(source, 4, 12)
    deviation = source.uniform(0.1, 0.3)

    def take(seconds: Samples, _: np.random.Generator) -> Samples:
        # The phase is the integral of frequency * (1 + deviation * cos(2 pi rate t)).
        swing = deviation / (2 * np.pi * rate) * np.sin(2 * np.pi * rate * seconds)
        return np.sin(2 * np.pi * frequency * (seconds + swing))

    return take


def _chirp(source: np.random.Generator) -> Take:
    """A sinusoid that glides over 0.6 to 2 octaves, always up or always down, and starts again."""
    octaves = source.uniform(0.6, 2.0) * (1 if source.random() < 0.5 else -1)
    period, centre = source.uniform(0.3, 1.0), _log_uniform(source, 400, 1500)

    def take(seconds: Samples, _: np.random.Generator) -> Samples:
        frequency = centre * np.exp2(octaves * (seconds / period % 1 - 0.5))
        cycles: Samples = np.cumsum(frequency) * (seconds[1] - seconds[0])
        return np.sin(2 * np.pi * cycles)

    return take


def _harmonic_stack(source: np.random.Generator) -> Take:
    """Harmonics of a steady fundamental, their amplitudes falling as a power of their number."""
    fundamental, fall = _log_uniform(source, 150, 600), source.uniform(0.3, 1.2)
    harmonics = np.arange(1, int(3400 / fundamental) + 1)
    phases = source.uniform(0, 2 * np.pi, harmonics.size)

    def take(seconds: Samples, _: np.random.Generator) -> Samples:
        stack = np.zeros_like(seconds)
        for number, phase in zip(harmonics, phases, strict=True):
            stack += float(number) ** -fall * np.sin(2 * np.pi * number * fundamental * seconds + phase)
        return stack

    return take


def _impulse_train(source: np.random.Generator) -> Take:
    """Equal clicks of a few milliseconds at equal distances, 7 to 25 a second."""
    rate = _log_uniform(source, 7, 25)
    frequency, decay_s = _log_uniform(source, 300, 2500), _log_uniform(source, 0.001, 0.006)

    def take(seconds: Samples, _: np.random.Generator) -> Samples:
        onsets = np.arange(np.ceil(seconds[0] * rate), seconds[-1] * rate) / rate
        return _struck(seconds, onsets, np.ones(onsets.size), [(frequency, decay_s, 1.0)])

    return take


def _crackle(source: np.random.Generator) -> Take:
    """Clicks at random times (Poisson, 10 to 40 a second) and of random strength through one short resonance."""
    rate = _log_uniform(source, 10, 40)
    frequency, decay_s = _log_uniform(source, 300, 2500), _log_uniform(source, 0.001, 0.006)

    def take(seconds: Samples, generator: np.random.Generator) -> Samples:
        onsets = generator.uniform(seconds[0], seconds[-1], max(1, generator.poisson(rate * np.ptp(seconds))))
        return _struck(seconds, onsets, generator.lognormal(0, 0.5, onsets.size), [(frequency, decay_s, 1.0)])

    return take


def _decaying_resonances(source: np.random.Generator) -> Take:
    """A body of three to six inharmonic modes, struck 2 to 5 times a second, that rings for 40 to 200 ms."""
    rate, lowest = source.uniform(2, 5), _log_uniform(source, 200, 900)
    modes = [
        (frequency, _log_uniform(source, 0.04, 0.2), source.uniform(0.3, 1.0))
        for frequency in lowest * np.cumprod([1.0, *source.uniform(1.15, 1.7, source.integers(2, 6))])
        if frequency < 3400
    ]

    def take(seconds: Samples, generator: np.random.Generator) -> Samples:
        onsets = np.arange(np.ceil(seconds[0] * rate), seconds[-1] * rate) / rate
        onsets += generator.uniform(-0.2, 0.2, onsets.size) / rate
        return _struck(seconds, onsets, generator.uniform(0.6, 1.0, onsets.size), modes)

    return take


def _filtered_noise(source: np.random.Generator) -> Take:
    """Steady Gaussian noise in a band, a Gaussian over log frequency of 0.3 to 1.2 octaves."""
    centre, octaves = _log_uniform(source, 300, 2500), source.uniform(0.3, 1.2)

    def take(seconds: Samples, generator: np.random.Generator) -> Samples:
        spectrum = np.fft.rfft(generator.standard_normal(seconds.size))
        frequency = np.fft.rfftfreq(seconds.size, seconds[1] - seconds[0])
        distance = np.log2(np.maximum(frequency, 1.0) / centre) / (octaves / 2)
        return np.fft.irfft(spectrum * np.exp(-0.5 * distance**2), seconds.size)

    return take


def _noise_bursts(source: np.random.Generator) -> Take:
    """Band noise that is gated on and off, 4 to 12 times a second."""
    band, rate, duty = _filtered_noise(source), _log_uniform(source, 4, 12), source.uniform(0.2, 0.6)

    def take(seconds: Samples, generator: np.random.Generator) -> Samples:
        return band(seconds, generator) * (seconds * rate % 1 < duty)

    return take


CLASSES: dict[str, Callable[[np.random.Generator], Take]] = {
    "amplitude_modulated": _amplitude_modulated,
    "chirp": _chirp,
    "crackle": _crackle,
    "decaying_resonances": _decaying_resonances,
    "filtered_noise": _filtered_noise,
    "frequency_modulated": _frequency_modulated,
    "harmonic_stack": _harmonic_stack,
    "impulse_train": _impulse_train,
    "noise_bursts": _noise_bursts,
    "tone": _tone,
}


def _struck(seconds: Samples, onsets: Samples, strengths: Samples, modes: list[tuple[float, float, float]]) -> Samples:
    """Damped sinusoids (frequency in Hz, time constant in s, amplitude) that start together at each onset."""
    clicks = np.zeros(2 * seconds.size)  # twice as long: the convolution must not wrap around
    places = np.searchsorted(seconds, onsets).clip(0, seconds.size - 1)
    np.add.at(clicks, places, strengths)
    since = seconds - seconds[0]
    response = sum(
        amplitude * np.exp(-since / decay_s) * np.sin(2 * np.pi * frequency * since)
        for frequency, decay_s, amplitude in modes
    )
    product = np.fft.rfft(clicks) * np.fft.rfft(response, clicks.size)
    return np.fft.irfft(product, clicks.size)[: seconds.size]


def _tilted(samples: Samples, db_per_octave: float, sample_rate: int) -> Samples:
    """``samples`` through a zero-phase filter with a constant slope over log frequency, flat below 50 Hz."""
    octaves = np.log2(np.fft.rfftfreq(samples.size, 1 / sample_rate).clip(50) / 1000)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (db_per_octave * octaves / 20), samples.size)


def _unit_rms(samples: Samples) -> Samples:
    return samples / float(np.sqrt(np.mean(samples**2)))


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _wav(samples: Samples, sample_rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # Stored, not deflated: noise hardly shrinks, and zlib versions differ in their bytes.
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every platform
    archive.writestr(entry, data)
