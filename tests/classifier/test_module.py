"""The classifier gives a trained cell's own predictions, from the waveforms, on its own and as an exported graph."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from specnorm.audio.decode import Recording
from specnorm.audio.front_end import FrontEnd, describe
from specnorm.audio.waveform import prepare, standardize
from specnorm.classifier import module
from specnorm.errors import IntegrityError
from specnorm.files import sha256_file
from specnorm.normalization import fitted
from specnorm.params import LinearParams, MelParams, ModelParams, NormParams, StatisticsParams, TrainParams
from specnorm.shards.store import Shards, open_shards
from specnorm.shards.writer import write_index, write_part
from specnorm.statistics import training_set
from specnorm.training import cells, loop, model
from specnorm.training.cells import StoredCell
from specnorm.training.device import Choice
from specnorm.training.key import CellKey

CLASSES = ("low", "high", "noise")
FOLDS, PER_FOLD = (1, 2), 9
RATE = 4000
SHARED = {
    "sample_rate": RATE,
    "resampler": "polyphase",
    "clip_seconds": 0.5,
    "n_fft": 64,
    "win_length": 64,
    "hop_length": 50,
    "amin": 1e-10,
}
LINEAR = LinearParams.model_validate({**SHARED, "transform": "linear", "top_db": None})
MEL = MelParams.model_validate(
    {
        **SHARED,
        "transform": "mel",
        "top_db": 60.0,
        "n_mels": 12,
        "f_min": 0.0,
        "f_max": None,
        "mel_scale": "htk",
        "mel_norm": None,
    }
)
# What the two ways to the same spectrograms may differ by: float32 sums in another order, clip by clip or in batches.
CLOSE = 1e-5


@dataclass(frozen=True)
class Trained:
    """A really trained cell with what it was made from."""

    cell: StoredCell
    normalizer: Path
    front_end: LinearParams | MelParams
    waveforms: Tensor  # of the held-out clips, raw, [clips, samples]

    def load(self) -> module.Classifier:
        return module.load(self.cell, self.normalizer, self.front_end)

    @property
    def predictions(self) -> Tensor:
        return torch.tensor(self.cell.probabilities, dtype=torch.float32)


def clip(fold: int, row: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A tone or noise in noise, 0.5 s at 8 kHz, with an offset and a level of its own; the first is silent."""
    generator = np.random.default_rng([fold, row])
    time = np.arange(RATE) / (2 * RATE)
    sound = [np.sin(2 * np.pi * 300 * time), np.sin(2 * np.pi * 1500 * time), generator.standard_normal(RATE)][row % 3]
    level = 0.0 if row == 0 else 10 ** generator.uniform(-3, -0.5)
    wave = level * (sound + 0.05 * generator.standard_normal(RATE) + 0.1)
    return wave.astype(np.float32)


def write_shards(folder: Path, front_end: LinearParams | MelParams) -> tuple[Shards, dict[int, Tensor]]:
    """Shards of all clips, as the pipeline makes them, and their raw waveforms by fold."""
    module = FrontEnd(front_end)
    entries: dict[str, Any] = {}
    raw = {}
    for fold in FOLDS:
        variants = [
            prepare(
                Recording(clip(fold, row), 2 * RATE),
                sample_rate=RATE,
                samples=front_end.samples,
                resampler="polyphase",
            )
            for row in range(PER_FOLD)
        ]
        rows = [{name: module(torch.from_numpy(wave)).numpy() for name, wave in each.items()} for each in variants]
        entries |= write_part(folder, fold, PER_FOLD, front_end.bins, front_end.frames, rows)
        raw[fold] = torch.from_numpy(np.stack([each["raw"] for each in variants]))
    table = pd.DataFrame(
        [
            {"clip": f"{fold}-{row}.wav", "fold": fold, "target": row % 3, "label": CLASSES[row % 3], "row": row}
            for fold in FOLDS
            for row in range(PER_FOLD)
        ]
    )
    table["source"] = table["clip"]
    write_index(folder, table, entries, front_end=describe(front_end), dataset={"digest": "tones and noise"})
    return open_shards(folder), raw


def train_cell(
    folder: Path, front_end: LinearParams | MelParams, mode: NormParams, *, norm: str = "a_mode", bf16: bool = False
) -> Trained:
    """Fold 1 held out, and the published network for long enough that its predictions are more than zeros and ones."""
    shards, raw = write_shards(folder / "spectrograms", front_end)
    estimate = StatisticsParams(fraction=1.0, seed=0)
    moments = {fold: training_set.fold_moments(shards, mode.waveform, fold, estimate) for fold in FOLDS}
    frequencies = FrontEnd(front_end).bin_frequencies_hz.tolist()
    found = training_set.training_statistics(shards, mode.waveform, moments, 1, estimate, frequencies)
    place = folder / "normalizers" / norm / "fold-1.json"
    fitted.write(fitted.fit(norm, mode, found), place)
    trained = loop.Cell(
        fold=1,
        seed=0,
        classes=len(CLASSES),
        train=cells.clips_of(shards, mode.waveform, [2]),
        held_out=cells.clips_of(shards, mode.waveform, [1]),
        normalizer=fitted.read(place).build,
    )
    settings = TrainParams(
        epochs=8, batch_size=4, learning_rate=1e-3, weight_decay=0.01, device="cpu", precision="fp32", memory_gb=None
    )
    choice = Choice(torch.device("cpu"), torch.bfloat16 if bf16 else None, "a test")
    network = ModelParams(name="xresnet18", stem_init="published")
    result = loop.train(trained, network, settings, choice)
    origin = cells.origin(
        CellKey(norm, 1, 0),
        dataset=shards.dataset_digest,
        front_end=shards.front_end_fingerprint,
        normalizer=sha256_file(place),
        model=network,
        train=settings,
    )
    run = {"device": "cpu", "device_name": "a CPU", "precision": "fp32", "train_seconds": 1.0, "total_seconds": 1.5}
    cells.write(folder / "cell", result, trained.held_out, origin, run)
    return Trained(cells.read(folder / "cell"), place, front_end, raw[1])


MODES = {
    "none": NormParams(kind="identity", waveform="raw"),
    "global": NormParams(kind="global", waveform="standardized"),
    "channel": NormParams(kind="channel", waveform="standardized"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_cell(tmp_path_factory.mktemp("mel"), MEL, MODES["channel"])


@pytest.mark.parametrize(
    ("front_end", "mode", "bf16"),
    [(LINEAR, "none", False), (LINEAR, "channel", True), (MEL, "none", True), (MEL, "global", False)],
    ids=lambda value: getattr(value, "transform", str(value)),
)
def test_the_waveforms_give_the_cells_predictions(
    tmp_path: Path, front_end: LinearParams | MelParams, mode: str, bf16: bool
) -> None:
    made = train_cell(tmp_path, front_end, MODES[mode], bf16=bf16)
    with torch.no_grad():
        found = made.load()(made.waveforms)
    assert found.dtype == torch.float32
    difference = float((found - made.predictions).abs().max())
    print(f"{front_end.transform} {mode} bf16={bf16}: {difference:.2e}")
    assert difference < CLOSE
    assert made.predictions.std(dim=0).min() > 1e-3  # they depend on the clip, so that this shows something


def test_a_batch_is_its_clips_one_by_one(trained: Trained) -> None:
    model = trained.load()
    with torch.no_grad():
        singles = torch.cat([model(each[None]) for each in trained.waveforms])
        torch.testing.assert_close(model(trained.waveforms), singles, rtol=0, atol=CLOSE)


def test_a_loaded_classifier_evaluates_and_keeps_its_weights(trained: Trained) -> None:
    model = trained.load()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        first, second = model(trained.waveforms), model(trained.waveforms)
    assert torch.equal(first, second)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_standardising_is_the_pipelines_own() -> None:
    tiny = np.full(2000, 0.1, np.float32) + np.float32(1e-9)
    waves = np.stack([clip(1, row) for row in range(6)] + [np.full(RATE, 0.1, np.float32)])
    found = module.standardize(torch.from_numpy(waves)).numpy()
    np.testing.assert_array_almost_equal_nulp(found, np.stack([standardize(wave) for wave in waves]), nulp=1)
    assert not module.standardize(torch.from_numpy(tiny)).any()


@pytest.mark.parametrize("value", [0.0, 0.1, -1.0])
def test_a_constant_clip_is_classified(trained: Trained, value: float) -> None:
    model = trained.load()
    with torch.no_grad():
        found = model(torch.full((1, model.samples), value))
        silence = model(torch.zeros(1, model.samples))
    assert torch.equal(found, silence)  # standardised, each is nothing
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_clip_spoils_no_other(trained: Trained, value: float) -> None:
    model = trained.load()
    broken = trained.waveforms.clone()
    broken[2, 7] = value
    with torch.no_grad():
        found = model(broken)
    assert found[2].isnan().all()
    others = [row for row in range(len(found)) if row != 2]
    torch.testing.assert_close(found[others], trained.predictions[others], rtol=0, atol=CLOSE)


# torch reads the saved tensors from memory that it then says must not be written to.
@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")
def test_the_exported_graph_is_the_classifier(trained: Trained) -> None:
    model = trained.load()
    buffer = io.BytesIO()
    torch.export.save(module.export(model), buffer)
    buffer.seek(0)
    graph = torch.export.load(buffer).module()
    for clips in (1, 2, 5, 9):
        with torch.no_grad():
            expected, found = model(trained.waveforms[:clips]), graph(trained.waveforms[:clips])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    with pytest.raises(AssertionError, match="size"):
        graph(trained.waveforms[:, :-1])


def test_what_does_not_belong_together_is_refused_by_name(tmp_path: Path, trained: Trained) -> None:
    other = train_cell(tmp_path, LINEAR, MODES["none"])
    with pytest.raises(IntegrityError, match=f"another normaliser in {other.normalizer}"):
        module.load(trained.cell, other.normalizer, trained.front_end)
    with pytest.raises(IntegrityError, match=f"another front end in {trained.cell.folder}/model.safetensors"):
        module.load(trained.cell, trained.normalizer, LINEAR)


def test_weights_of_another_cell_are_refused_by_name(tmp_path: Path, trained: Trained) -> None:
    folder = tmp_path / "cell"
    folder.mkdir()
    for path in trained.cell.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError, match=f"changed file in {folder}/model.safetensors"):
        module.load(cells.read(folder), trained.normalizer, trained.front_end)


def test_weights_of_another_network_are_refused_by_name(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {name: value for name, value in cells.weights(trained.cell).items() if not name.startswith("network.11")}
    monkeypatch.setattr(module, "weights", lambda _: state)
    with pytest.raises(IntegrityError, match=r"weights of another model in .*model\.safetensors"):
        trained.load()


def test_the_network_is_the_one_that_the_cell_says(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regression: the classifier built a network of its own and never asked which one was trained."""
    built: list[str] = []
    build = model.xresnet18

    def spy(classes: int, **options: Any) -> nn.Sequential:
        built.append(options["stem_init"])
        return build(classes, **options)

    def load_with(settings: dict[str, str]) -> None:
        cell = dataclasses.replace(trained.cell, metrics={**trained.cell.metrics, "model": settings})
        module.load(cell, trained.normalizer, trained.front_end)

    monkeypatch.setattr(model, "xresnet18", spy)
    for stem_init in ("he", "published"):
        load_with({"name": "xresnet18", "stem_init": stem_init})
        assert built.pop() == stem_init
    with pytest.raises(IntegrityError, match=r"another network in .*: got {'name': 'resnet50'}"):
        load_with({"name": "resnet50"})
