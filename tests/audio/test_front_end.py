from __future__ import annotations

import builtins
import re
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio

from specnorm import files, mel_scale
from specnorm.audio.front_end import FrontEnd, describe
from specnorm.audio.torchaudio_functional import torchaudio_functional
from specnorm.errors import ConfigurationError, DataError, ResourceError
from specnorm.params import LinearParams, MelParams

PUBLISHED: dict[str, Any] = {
    "transform": "linear",
    "sample_rate": 16000,
    "resampler": "polyphase",
    "clip_seconds": 5.0,
    "n_fft": 400,
    "win_length": 400,
    "hop_length": 200,
    "amin": 1e-10,
    "top_db": None,
}
MEL = PUBLISHED | {
    "transform": "mel",
    "n_fft": 1024,
    "hop_length": 160,
    "n_mels": 64,
    "f_min": 20.0,
    "f_max": None,
    "mel_scale": "htk",
    "mel_norm": None,
}


def front_end(**changes: Any) -> FrontEnd:
    settings = MEL if changes.pop("transform", "linear") == "mel" else PUBLISHED
    model = MelParams if settings is MEL else LinearParams
    return FrontEnd(model.model_validate(settings | changes))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("changes", "bins", "frames"),
    [
        ({}, 201, 401),
        ({"hop_length": 800}, 201, 101),
        ({"hop_length": 201}, 201, 399),
        ({"n_fft": 512, "win_length": 400, "hop_length": 160}, 257, 501),
        ({"win_length": 401, "n_fft": 1024}, 513, 401),
        ({"clip_seconds": 0.0126, "hop_length": 100}, 201, 3),
        ({"clip_seconds": 1.0, "sample_rate": 22050, "hop_length": 441}, 201, 51),
        ({"n_fft": 2, "win_length": 1, "hop_length": 8000}, 2, 11),
        ({"transform": "mel"}, 64, 501),
        ({"transform": "mel", "n_mels": 1, "f_min": 0.0}, 1, 501),
    ],
)
def test_the_shape_is_what_the_parameters_say(changes: dict[str, Any], bins: int, frames: int) -> None:
    module = front_end(**changes)
    spectrogram = module(noise(module.params.samples))
    assert spectrogram.shape == (1, bins, frames) == (1, module.bins, module.frames)
    assert module.bin_frequencies_hz.shape == (bins,)
    assert spectrogram.dtype == torch.float32
    assert spectrogram.isfinite().all()


@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_leading_axes_are_kept(transform: str) -> None:
    module = front_end(transform=transform)
    clips = noise(2, 3, 80000)
    assert module(clips).shape == (2, 3, 1, module.bins, module.frames)
    assert torch.equal(module(clips)[1, 2], module(clips[1, 2]))


@pytest.mark.case("F1", "F2")
@pytest.mark.parametrize("top_db", [None, 20.0])
@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_a_clip_is_the_same_alone_and_in_a_batch(transform: str, top_db: float | None) -> None:
    """A quiet clip beside a loud one. torchaudio clamps a 3-D batch by its loudest clip."""
    module = front_end(transform=transform, top_db=top_db)
    clips = noise(3, 80000) * torch.tensor([[1e-3], [1.0], [30.0]])
    batch = module(clips)
    for clip, in_batch in zip(clips, batch, strict=True):
        alone = module(clip)
        assert torch.equal(alone, in_batch)
        if top_db is not None:
            assert alone.min() == alone.max() - top_db  # the clamp is at work in every clip


@pytest.mark.case("F2")
def test_the_leak_of_top_db_is_real() -> None:
    """The test above has power: torchaudio, given [clips, bins, frames], takes all of the quiet clip's content."""
    clips = noise(2, 80000) * torch.tensor([[1e-3], [1.0]])
    power = torchaudio.transforms.Spectrogram(n_fft=400, hop_length=200)(clips)
    leaky = torchaudio.functional.amplitude_to_DB(power, 10.0, 1e-10, 0.0, top_db=40.0)
    assert not torch.equal(leaky[0], torchaudio.functional.amplitude_to_DB(power[:1], 10.0, 1e-10, 0.0, top_db=40.0)[0])


@pytest.mark.case("F1")
@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_the_number_of_threads_changes_nothing(transform: str) -> None:
    module = front_end(transform=transform)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 8):
            torch.set_num_threads(count)
            results.append(module(noise(80000)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("amin", [1e-10, 1e-12, 1e-5, 1.0])
@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_silence_is_exactly_the_floor(transform: str, amin: float) -> None:
    module = front_end(transform=transform, amin=amin)
    assert module.floor_db == pytest.approx(10 * np.log10(amin), abs=1e-5)  # one float32 rounding of 120
    assert (module(torch.zeros(80000)) == module.floor_db).all()
    assert module(noise(80000) * 1e-3).min() >= module.floor_db


def test_a_tone_stands_at_its_frequency_and_level() -> None:
    """A sine of amplitude a at a bin's centre has power (a * sum(window) / 2)^2 there: 40 dB for a = 1, n_fft 400."""
    module = front_end()
    frequency = module.bin_frequencies_hz[25]
    assert frequency == 1000.0
    time = torch.arange(80000, dtype=torch.float64) / 16000
    level = module(torch.sin(2 * torch.pi * frequency * time).float())[0, :, 200]
    assert level.argmax() == 25
    assert level[25].item() == pytest.approx(40.0, abs=1e-3)  # float32 FFT of 400 values: 1e-6 relative


@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
def test_mel_centres_are_the_peaks_of_the_filters(mel_scale: str) -> None:
    module = front_end(transform="mel", mel_scale=mel_scale, n_mels=40, f_min=50.0, f_max=7000.0)
    centres = module.bin_frequencies_hz
    assert (np.diff(centres) > 0).all()
    assert 50 < centres[0] < centres[-1] < 7000
    for band in (5, 20, 39):
        time = torch.arange(80000, dtype=torch.float64) / 16000
        level = module(torch.sin(2 * torch.pi * centres[band] * time).float())[0, :, 250]
        assert level.argmax() == band


@pytest.mark.case("F3")
def test_mel_bands_without_a_bin_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchaudio only warns, and the band is the floor for ever.

    The parameters are refused before anything begins. They count in float64 and the filters are made in float32, so
    the filters themselves are looked at, too.
    """
    with pytest.raises(ConfigurationError, match=r"^bad parameter n_mels in the front end: .* and \d+ hold none: "):
        FrontEnd.mel(n_mels=256, n_fft=400)
    assert front_end(transform="mel", n_mels=64, n_fft=1024).bins == 64
    monkeypatch.setattr(mel_scale, "empty_bands", lambda *_, **__: 0)
    with pytest.raises(
        ConfigurationError, match=r"bands without an FFT bin in spectrogram: expected 0, got \d+ of 256"
    ):
        front_end(transform="mel", n_mels=256, n_fft=400)


@pytest.mark.case("F3")
def test_the_parameters_count_the_empty_bands_that_the_filters_have() -> None:
    generator = np.random.default_rng(3)
    found = []
    for _ in range(200):
        rate, n_fft, n_mels = (int(generator.integers(*limits)) for limits in ((1000, 96000), (1, 300), (1, 150)))
        f_min, f_max = generator.uniform(0, rate / 8), generator.uniform(rate / 4, rate / 2)
        scale = ("htk", "slaney")[generator.integers(2)]
        points = mel_scale.points_hz(f_min, f_max, n_mels, scale)
        counted = mel_scale.empty_bands(points, n_fft=2 * n_fft, sample_rate=rate)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            filters = torchaudio_functional().melscale_fbanks(n_fft + 1, f_min, f_max, n_mels, rate, None, scale)
        assert counted == int((filters.amax(dim=0) == 0).sum())
        found.append(counted)
    assert 20 < found.count(0) < 180


@pytest.mark.case("F5")
def test_an_odd_n_fft_would_lose_a_frame() -> None:
    """Why it is refused: the promised shape is one hop too long."""
    promised = LinearParams.model_validate(PUBLISHED).frames
    frames = [torch.stft(noise(80000), n, 200, window=torch.ones(n), return_complex=True).shape[-1] for n in (400, 401)]
    assert frames == [promised, promised - 1]


@pytest.mark.parametrize("shape", [(), (1,), (200,), (79999,), (80001,), (80000, 1), (0, 80000), (2, 0)])
@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_a_wrong_shape_is_refused(transform: str, shape: tuple[int, ...]) -> None:
    """Reflect padding fails with a bare RuntimeError on clips of half a window or less."""
    with pytest.raises(DataError, match=r"bad waveform in the front end: expected 80000 samples on the last axis.*got"):
        front_end(transform=transform)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("value", "printed"), [(torch.nan, "nan"), (torch.inf, "inf"), (-torch.inf, "-inf"), (1e30, "1")]
)
def test_a_value_that_is_not_finite_is_refused_with_its_index(value: float, printed: str) -> None:
    clips = torch.zeros(2, 80000)
    clips[1, 77] = value
    with pytest.raises(DataError, match=rf"expected finite values, got {printed}.* at index \[1, 77\]"):
        front_end()(clips)


def test_the_dtype_must_be_float32() -> None:
    with pytest.raises(DataError, match=r"expected float32, got torch.float64"):
        front_end()(torch.zeros(80000, dtype=torch.float64))


@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_mixed_precision_around_it_changes_nothing(transform: str) -> None:
    """Under autocast the mel filters would work in bfloat16."""
    module = front_end(transform=transform)
    clip = noise(80000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = module(clip)
        assert (clip[:4, None] @ clip[None, :4]).dtype == torch.bfloat16  # autocast is at work
    assert inside.dtype == torch.float32
    assert torch.equal(inside, module(clip))


def test_the_input_is_left_alone() -> None:
    clip = noise(80000)
    kept = clip.clone()
    front_end(top_db=20.0)(clip)
    assert torch.equal(clip, kept)


@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_the_window_and_the_filters_are_no_state(transform: str) -> None:
    """They follow from the settings: a stored model need not carry them, and a device takes them along."""
    module = front_end(transform=transform)
    assert module.state_dict() == {}
    assert {name for name, _ in module.named_buffers()} == {"window"} | ({"filters"} if transform == "mel" else set())


@pytest.mark.parametrize("top_db", [None, 40.0])
@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_gradients_reach_the_waveform(transform: str, top_db: float | None) -> None:
    """The dB are computed in place: autograd must still see the power. Against torchaudio's, which are not."""
    module = front_end(transform=transform, top_db=top_db)
    if transform == "mel":
        power = torchaudio.transforms.MelSpectrogram(16000, 1024, 400, 160, f_min=20.0, n_mels=64)
    else:
        power = torchaudio.transforms.Spectrogram(400, 400, 200)
    reference = torch.nn.Sequential(power, torchaudio.transforms.AmplitudeToDB(top_db=top_db))
    ours, theirs = (noise(80000).requires_grad_() for _ in range(2))
    module(ours).mean().backward()
    reference(theirs[None]).mean().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    # A gradient is a sum over bins of 1 / amplitude: what float32 leaves of the faintest is 1e-3 of it.
    assert (ours.grad - theirs.grad).abs().max() < 1e-3 * theirs.grad.abs().max()


def test_every_setting_and_the_version_are_in_the_fingerprint() -> None:
    base = MelParams.model_validate(MEL)
    described = describe(base)
    assert described["numerics_version"] >= 1
    assert described.keys() - {"numerics_version"} == MelParams.model_fields.keys() - {"storage"}
    changed = {
        "storage": "float16",  # which goes without saying where it changes no number
        "sample_rate": 22050,
        "resampler": "sinc",
        "clip_seconds": 4.0,
        "n_fft": 2048,
        "win_length": 300,
        "hop_length": 100,
        "amin": 1e-9,
        "top_db": 80.0,
        "n_mels": 32,
        "f_min": 30.0,
        "f_max": 7000.0,
        "mel_scale": "slaney",
        "mel_norm": "slaney",
    }
    assert changed.keys() | {"transform"} == MelParams.model_fields.keys()
    prints = {files.fingerprint(describe(base.model_copy(update={key: value}))) for key, value in changed.items()}
    assert len(prints | {files.fingerprint(described)}) == len(changed) + 1


class TestByKeyword:
    """Front ends without a parameter file."""

    def test_the_defaults_are_the_published_ones(self) -> None:
        assert FrontEnd.linear().params == LinearParams.model_validate(PUBLISHED)
        assert FrontEnd.mel().params == MelParams.model_validate(MEL | {"n_mels": 128})

    def test_every_setting_has_a_keyword(self) -> None:
        linear = PUBLISHED | {
            "sample_rate": 8000,
            "resampler": "sinc",
            "clip_seconds": 1.5,
            "n_fft": 512,
            "win_length": 300,
            "hop_length": 80,
            "amin": 1e-6,
            "top_db": 60.0,
        }
        mel = linear | {
            "transform": "mel",
            "n_mels": 32,
            "f_min": 50.0,
            "f_max": 3500.0,
            "mel_scale": "slaney",
            "mel_norm": "slaney",
        }
        assert all(linear[key] != value for key, value in PUBLISHED.items() if key != "transform")
        for make, model, values in ((FrontEnd.linear, LinearParams, linear), (FrontEnd.mel, MelParams, mel)):
            given = {key: value for key, value in values.items() if key != "transform"}
            assert make(**given).params == model.model_validate(values)

    def test_the_window_is_as_long_as_the_fft_where_it_is_not_given(self) -> None:
        assert FrontEnd.linear(n_fft=512).params.win_length == 512
        assert FrontEnd.linear(n_fft=512, win_length=400).params.win_length == 400

    def test_whole_numbers_are_seconds_and_hertz_too(self) -> None:
        assert FrontEnd.mel(clip_seconds=2, f_min=0, f_max=4000).params.samples == 32000

    @pytest.mark.case("F5")
    @pytest.mark.parametrize(
        ("values", "match"),
        [
            ({"sample_rate": "16000"}, r"bad parameter sample_rate in the front end: expected a valid integer"),
            ({"hop_length": 0}, r"bad parameter hop_length in the front end: expected at least 1, got 0"),
            ({"win_length": 401}, r"bad parameter win_length in the front end: expected at most n_fft, 400, got 401"),
            ({"n_fft": 401}, r"bad parameter n_fft in the front end: expected a multiple of 2"),
            ({"resampler": "linear"}, r"bad parameter resampler in the front end: expected 'polyphase' or 'sinc'"),
        ],
    )
    def test_a_bad_value_is_named(self, values: dict[str, Any], match: str) -> None:
        with pytest.raises(ConfigurationError, match=match):
            FrontEnd.linear(**values)

    def test_an_unknown_keyword(self) -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'hop'"):
            FrontEnd.linear(hop=100)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module"),
        OSError("undefined symbol: torch_library_impl"),
        RuntimeError("PyTorch and TorchAudio were compiled with different CUDA versions"),  # beside torch 2.15
    ],
)
def test_a_torchaudio_that_does_not_fit_torch_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Of torchaudio 2.11, nothing says which torch it needs, so that pip sets it beside any."""
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("torchaudio"):
            raise error
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for name in [name for name in sys.modules if name.startswith("torchaudio")]:
        monkeypatch.delitem(sys.modules, name)
    FrontEnd.linear()
    expected = f"torchaudio cannot be loaded: expected the release for torch {torch.__version__}, got {error}"
    with pytest.raises(ResourceError, match=re.escape(expected)):
        FrontEnd.mel()
