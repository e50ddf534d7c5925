"""What earlier stages finished, read as the parameters ask for it: what was made with other parameters is refused.

Each function brings what it reads only when it is called, so that no stage pays for what it does not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import places
from specnorm.errors import IntegrityError
from specnorm.params import Params, Waveform

if TYPE_CHECKING:
    from specnorm.normalization.fitted import FittedMode
    from specnorm.shards.store import Shards
    from specnorm.statistics.provenance import Provenance
    from specnorm.statistics.training_set import TrainingStatistics
    from specnorm.training.cells import StoredCell
    from specnorm.training.key import CellKey

_REMEDY = "Run `dvc repro`, which makes what the parameters ask for, or put the parameters back"


def shards(params: Params) -> Shards:
    """The spectrograms, which must be of the front end that the parameters describe.

    Raises:
        IntegrityError: they are not, or are missing or damaged.
    """
    from specnorm.audio.front_end import describe
    from specnorm.shards.store import MANIFEST, open_shards

    found = open_shards(places.SHARDS, checked=places.cache() / "checked")
    said, expected = found.manifest["front_end"], describe(params.spectrogram)
    _hold({"spectrogram": expected}, {"spectrogram": said}, where=places.SHARDS / MANIFEST)
    return found


def check_archive(of: Shards) -> None:
    """Refuse an archive that is not the one that the spectrograms were made of.

    Raises:
        IntegrityError: it is not, or is missing or damaged.
    """
    from specnorm.datasets.dataset import MANIFEST, open_dataset

    with open_dataset(places.ARCHIVE) as dataset:
        found = dataset.info["digest"]
    _hold({"data set": of.dataset_digest}, {"data set": found}, where=places.ARCHIVE / MANIFEST)


def statistics(params: Params, fold: int, waveform: Waveform, *, of: Shards | None = None) -> TrainingStatistics:
    """The statistics of one training set, which must be those that the parameters ask for.

    Args:
        params: all parameters.
        fold: the held-out one.
        waveform: the variant.
        of: what they must be of, where the stage reads it.

    Raises:
        IntegrityError: they are not, or are missing or damaged.
    """
    from specnorm.statistics import training_set

    path = places.statistics_path(fold, waveform)
    found = training_set.read(path)
    _check_provenance(params, found.provenance, path, fold, waveform, of)
    return found


def normalizer(params: Params, mode: str, fold: int, *, of: Shards | None = None) -> FittedMode:
    """A mode fitted for one held-out fold, which must be the one that the parameters describe.

    Args:
        params: all parameters.
        mode: its name.
        fold: the held-out one.
        of: what its training set must be of, where the stage reads it: no held-out clip may have shaped it.

    Raises:
        IntegrityError: it is not, or is missing or damaged.
    """
    from specnorm.normalization import fitted

    path = places.normalizer_path(mode, fold)
    found = fitted.read(path)
    settings = params.norm[mode]
    _, options = fitted.check(mode, settings)
    expected = {"kind": settings.kind, "waveform": settings.waveform, **options.model_dump(mode="json")}
    got = {"kind": found.kind, "waveform": found.waveform, **found.options}
    _hold({"mode": mode, f"norm.{mode}": expected}, {"mode": found.mode, f"norm.{mode}": got}, where=path)
    if found.provenance is not None:
        _check_provenance(params, found.provenance, path, fold, found.waveform, of)
    return found


def cells(params: Params, *, of: Shards | None = None) -> list[StoredCell]:
    """The cells that the parameters name, mode by mode: never a folder that merely lies there.

    Cells, modes and statistics must belong together: each says the digest of what it was made of.

    Args:
        params: all parameters.
        of: the spectrograms that all must be of, where the stage reads them.

    Raises:
        IntegrityError: a cell or what it was made of is missing, damaged, not the one that its place says, or of other
            parameters.
    """
    from specnorm.training.cells import read
    from specnorm.training.key import METRICS_FILE, CellKey

    stored = []
    for mode, fold in product(params.norm, params.protocol.folds):
        path, fitted = places.normalizer_path(mode, fold), normalizer(params, mode, fold, of=of)
        if fitted.statistics is not None:
            known = statistics(params, fold, fitted.waveform, of=of).digest
            _hold({"training statistics": known}, {"training statistics": fitted.statistics}, where=path)
        for seed in params.protocol.seeds:
            key = CellKey(mode, fold, seed)
            cell = read(places.cell_folder(key))
            if cell.key != key:
                raise IntegrityError("another cell's files", where=cell.folder, expected=key, got=cell.key)
            expected = origin(params, key, dataset=cell.metrics["dataset"] if of is None else of.dataset_digest)
            _hold(expected, {name: cell.metrics[name] for name in expected}, where=cell.folder / METRICS_FILE)
            stored.append(cell)
    return stored


def origin(params: Params, key: CellKey, *, dataset: str) -> dict[str, Any]:
    """What a cell of the parameters says that it was computed from.

    Args:
        params: all parameters.
        key: which cell; its fitted mode lies in its place.
        dataset: digest of the clips and their labels.
    """
    from specnorm.audio.front_end import describe
    from specnorm.files import fingerprint, sha256_file
    from specnorm.training import cells

    return cells.origin(
        key,
        dataset=dataset,
        front_end=fingerprint(describe(params.spectrogram)),
        normalizer=sha256_file(places.normalizer_path(key.norm, key.fold)),
        model=params.model,
        train=params.train,
    )


def _check_provenance(
    params: Params, said: Provenance, path: Path, fold: int, waveform: Waveform, of: Shards | None
) -> None:
    from specnorm.audio.front_end import describe

    estimate = params.statistics
    expected = {
        "held-out fold": fold,
        "waveform": waveform,
        "statistics": {"fraction": estimate.fraction, "seed": estimate.seed if estimate.fraction < 1 else 0},
        "spectrogram": describe(params.spectrogram),
    }
    got = {
        "held-out fold": said.held_out_fold,
        "waveform": said.waveform,
        "statistics": {"fraction": said.fraction, "seed": said.seed},
        "spectrogram": said.front_end,
    }
    _hold(expected, got, where=path)
    if of is not None:
        said.check(of, fold, path)


def _hold(expected: Mapping[str, Any], got: Mapping[str, Any], *, where: object) -> None:
    """Refuse the first key, at any depth, whose value is not the expected one."""
    wanted, found = dict(_flat(expected)), dict(_flat(got))
    for key in (*wanted, *found):
        one, other = wanted.get(key, "nothing"), found.get(key, "nothing")
        if one != other:
            raise IntegrityError(f"another {key}", where=where, expected=str(one), got=str(other), hint=_REMEDY)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
