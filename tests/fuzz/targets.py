"""What is fuzzed: every file that is read, each with a sound one, a way to spoil it, and the reader that must bear it.

A reader ends with an error of ours or with values that can be used; it uses them, since a value that breaks its first
user is no valid one. Another target is another line of :data:`TARGETS`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn, optim

from specnorm import files, params
from specnorm.comparison import checked
from specnorm.datasets.acquire import acquire
from specnorm.datasets.archive import Archive
from specnorm.datasets.dataset import ARCHIVE, CLIPS, MANIFEST, content_digest, open_dataset
from specnorm.datasets.table import decode_clips
from specnorm.errors import SpecnormError
from specnorm.normalization import fitted
from specnorm.params import WAVEFORMS, NormParams
from specnorm.report import results, tables
from specnorm.shards.store import open_shards
from specnorm.statistics import training_set
from specnorm.statistics.recorder import Statistics
from specnorm.training import cells, key
from specnorm.training.checkpoint import Checkpoint, _digest
from tests import builders, made_up
from tests.datasets import layouts
from tests.fuzz import sounds
from tests.fuzz.seals import digests, reseal
from tests.fuzz.spoil import (
    Draw,
    change,
    change_csv,
    change_document,
    change_folder,
    change_safetensors,
    one_of,
)


class Target(NamedTuple):
    """One kind of input."""

    write: Callable[[Path], object]  # sound files into an empty folder
    spoil: Callable[[Draw, Path], None]  # makes them others
    read: Callable[[Path], object]  # must return, or raise an error of ours


# --- what comes from outside


def _nothing(_: Path) -> None:
    """The input is made whole when it is spoiled."""


def _write_csv(folder: Path) -> None:
    rows = [
        {"filename": f"{label}-{n}.wav", "label": label, "fold": 1 + n % 2, "group": f"{label}{n}"}
        for label in ("cat", "dog")
        for n in range(4)
    ]
    clips = {row["filename"]: layouts.wav_bytes(20 + index, rate=8000) for index, row in enumerate(rows)}
    layouts.write_folder(folder / "source", clips | {"metadata.csv": layouts.csv_bytes(rows)})


def _spoil_csv(draw: Draw, folder: Path) -> None:
    path = folder / "source/metadata.csv"
    path.write_bytes(change_csv(draw, path.read_bytes()))


def _read_csv(folder: Path) -> None:
    """With the table's own folds and groups, and with made ones."""
    ways: list[dict[str, str]] = [{}, {"fold_column": "fold"}, {"group_column": "group"}]
    _acquired_in_any_way([layouts.csv_params(source=str(folder / "source"), **way) for way in ways], folder)


def _write_esc(folder: Path) -> None:
    layouts.write_folder(folder / "source", layouts.esc_members(layouts.cut_rows(), top=""))


def _spoil_esc(draw: Draw, folder: Path) -> None:
    path = folder / "source/meta/esc50.csv"
    path.write_bytes(change_csv(draw, path.read_bytes()))


def _read_esc(folder: Path) -> None:
    _acquired(layouts.esc_params(source=str(folder / "source")), folder / "out")


def _class_folders() -> dict[str, bytes]:
    names = [f"{label}/{n}.wav" for label in ("cat", "dog") for n in range(3)]
    return {name: layouts.wav_bytes(20 + index, rate=8000) for index, name in enumerate(names)}


def _spoil_class_folders(draw: Draw, folder: Path) -> None:
    members = _class_folders()
    parts = st.sampled_from(
        ["cat", "dog", "CAT", "train", "..", ".x", "x.au", "1.wav", "é", " ", "a:b", "con", "x" * 240]
    )
    for _ in range(draw(st.integers(1, 3))):
        name = "/".join(draw(st.lists(parts, min_size=1, max_size=3)))
        if draw(st.booleans()):
            members.pop(draw(st.sampled_from(sorted(members))))
        if ".." not in name.split("/"):
            members[name] = draw(st.sampled_from([b"", layouts.wav_bytes(50, rate=8000), b"text"]))
    for name, data in members.items():
        place = folder / "source" / name
        if not any(parent.is_file() for parent in place.parents) and not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


def _read_class_folders(folder: Path) -> None:
    source = str(folder / "source")
    patterns = [None, r"^(\d)"]
    _acquired_in_any_way([layouts.folder_params(source=source, group_pattern=one) for one in patterns], folder)


def _spoil_zip(draw: Draw, folder: Path) -> None:
    """With names, flags, methods and sizes of one's own, or with other bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, data in _class_folders().items():
            info = zipfile.ZipInfo(name)
            info.compress_type = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]))
            if draw(st.integers(0, 5)) == 0:
                info.filename = draw(
                    st.sampled_from([f"../{name}", f"/{name}", name.upper(), "cat/0.wav", "cat/", "\\x"])
                )
                info.external_attr = draw(st.sampled_from([0o120777 << 16, 0o644 << 16, 0x10]))
            with _quiet():
                packed.writestr(info, data)
    data = buffer.getvalue()
    (folder / "source.zip").write_bytes(
        one_of(draw, lambda: data, lambda: change(draw, data), lambda: change(draw, data))
    )


def _read_zip(folder: Path) -> None:
    _acquired(layouts.folder_params(source=str(folder / "source.zip")), folder / "out")


def _acquired_in_any_way(ways: list[Any], folder: Path) -> None:
    refusals = []
    for number, way in enumerate(ways):
        try:
            _acquired(way, folder / f"out{number}")
        except SpecnormError as error:
            refusals.append(error)
    if len(refusals) == len(ways):
        raise refusals[0]


def _acquired(values: Any, out: Path) -> None:
    acquire(values, out, root=out.parent, cache=out.parent / "cache", progress=False)
    with open_dataset(out) as found:
        for member in found.clips["member"]:
            found.read(member)


def _write_params(folder: Path) -> None:
    (folder / "params.yaml").write_bytes((made_up.ROOT / "params.yaml").read_bytes())


def _spoil_params(draw: Draw, folder: Path) -> None:
    """JSON is YAML: a tree with other values, or the text with other bytes, or with marks of YAML's own."""
    path = folder / "params.yaml"
    data = path.read_bytes()
    marks = st.sampled_from(
        ["&a ", "*a", "!!python/object:os.system ", "? ", "- ", "\t", "'", "{", "%YAML 3\n", "<<: "]
    )

    def marked() -> bytes:
        text = data.decode()
        place = draw(st.integers(0, len(text)))
        return (text[:place] + draw(marks) + text[place:]).encode()

    def tree() -> bytes:
        changed = change_document(draw, yaml.safe_load(data))
        with _quiet():
            return yaml.safe_dump(changed, allow_unicode=True).encode(errors="surrogatepass")

    path.write_bytes(one_of(draw, tree, tree, marked, lambda: change(draw, data)))


def _read_params(folder: Path) -> None:
    loaded = params.load(folder / "params.yaml")
    for name, mode in loaded.norm.items():
        fitted.check(name, mode)


# --- what the pipeline wrote


def _write_dataset(folder: Path) -> None:
    layouts.write_zip(folder / "source.zip", _class_folders())
    acquire(layouts.folder_params(source="source.zip"), folder / "raw", root=folder, cache=folder, progress=False)
    (folder / "source.zip").unlink()


def _spoil_dataset(draw: Draw, folder: Path) -> None:
    raw = folder / "raw"
    before = digests(raw)
    old = files.read_json(raw / MANIFEST)["digest"]
    change_folder(draw, raw)
    if draw(st.integers(0, 4)):
        try:  # the digest of the content, which is of no file
            with Archive(raw / ARCHIVE) as archive:
                content = content_digest(decode_clips((raw / CLIPS).read_bytes(), where=raw / CLIPS), archive)
            manifest = raw / MANIFEST
            manifest.write_bytes(manifest.read_bytes().replace(old.encode(), content.encode()))
        except (SpecnormError, OSError):
            pass
        reseal(raw, before)


def _read_dataset(folder: Path) -> None:
    with open_dataset(folder / "raw") as found:
        for member in found.clips["member"]:
            found.read(member)


def _write_shards(folder: Path) -> None:
    builders.write_shards(folder, builders.levels(clips=2, frames=3))


def _spoil_sealed(draw: Draw, folder: Path) -> None:
    """Change a file, and most often edit the digests to match."""
    before = digests(folder)
    change_folder(draw, folder)
    if draw(st.integers(0, 4)):
        reseal(folder, before)


def _read_shards(folder: Path) -> None:
    found = open_shards(folder)
    assert found.classes
    assert found.front_end_fingerprint
    assert found.dataset_digest
    assert found.fit is None or isinstance(found.fit, dict)
    for fold in found.folds:
        for waveform in WAVEFORMS:
            values = found.parts(waveform, fold)[0]
            assert len(values) == len(found.of_fold(fold))
            np.sum(values)
    cells.clips_of(found, "raw", found.folds)


def _write_statistics(folder: Path) -> None:
    shards = builders.write_shards(folder / "shards", builders.levels(clips=2, frames=3))
    training_set.write(builders.fit_statistics(shards, 1), folder / "raw.json")
    for path in (folder / "shards").rglob("*"):
        if path.is_file():
            path.unlink()


def _read_statistics(folder: Path) -> None:
    found = training_set.read(folder / "raw.json")
    for kind in ("channel", "global"):
        mode = NormParams.model_validate({"kind": kind, "waveform": found.provenance.waveform})
        fitted.fit(kind, mode, found).build()


def _read_recorded(folder: Path) -> None:
    """The same file is what a recorder resumes from."""
    found = Statistics.load(folder / "raw.json")
    assert np.isfinite(found.mean).all()
    assert (found.deviation >= 0).all()
    assert repr(found)
    found.merge(found)


def _write_recorder(folder: Path) -> None:
    recorder = Statistics(floor_db=-100.0)
    recorder.update(torch.from_numpy(builders.levels(clips=2, frames=3)[1]))
    recorder.save(folder / "raw.json")


def _write_fitted(folder: Path) -> None:
    shards = builders.write_shards(folder / "shards", builders.levels(clips=2, frames=3))
    statistics = builders.fit_statistics(shards, 1)
    for kind in ("channel", "global", "identity"):
        mode = NormParams.model_validate({"kind": kind, "waveform": "raw"})
        fitted.write(fitted.fit(kind, mode, statistics), folder / f"{kind}.json")
    for path in sorted((folder / "shards").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def _read_fitted(folder: Path) -> None:
    for kind in ("channel", "global", "identity"):
        found = fitted.read(folder / f"{kind}.json")
        # Who uses it holds the bins to those of the spectrograms, of which there are 32769 at the most.
        found.build()(torch.zeros(1, 1, min(found.bins, 32769), 2))


def _write_cells(folder: Path) -> None:
    shards = made_up.write_shards(folder / "shards")
    made_up.write_cells(folder / "cells", shards, modes=("none",))


def _spoil_cells(draw: Draw, folder: Path) -> None:
    cell = folder / "cells/none/fold-1/seed-0"
    before = digests(cell)
    change_folder(draw, cell)
    if draw(st.integers(0, 4)):
        reseal(cell, before)


def _read_cells(folder: Path) -> None:
    stored = [cells.read(path.parent) for path in sorted(folder.rglob(key.METRICS_FILE))]
    for cell in stored:
        assert str(cell.key)
        assert cells.weights(cell) is not None
    found = checked.check(stored, open_shards(folder / "shards"))
    assert np.isfinite(found.cells["accuracy"].to_numpy(float)).all()


def _model() -> tuple[nn.Module, optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, fused=True)  # as in training
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


_ROW = {"epoch": 1.0, "learning_rate": 0.1, "train_loss": 0.5, "valid_loss": 0.5, "valid_accuracy": 0.5}


def _write_checkpoint(folder: Path) -> None:
    Checkpoint(folder / "state.safetensors", "this cell").save(*_model(), [_ROW])


def _spoil_checkpoint(draw: Draw, folder: Path) -> None:
    path = folder / "state.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])["__metadata__"]

    def resealed() -> bytes:
        tensors = load(data)
        name = draw(st.sampled_from(sorted(tensors)))
        way = draw(st.sampled_from(["drop", "shape", "kind", "value", "history", "rename"]))
        if way == "drop":
            del tensors[name]
        elif way == "rename":
            tensors[draw(st.sampled_from(["optimizer.x.y", "optimizer.9.step", "model.x", "optimizer.0"]))] = tensors[
                name
            ]
        elif way == "shape":
            tensors[name] = torch.zeros(draw(st.sampled_from([(0,), (7,), (2, 2), ()])))
        elif way == "kind":
            tensors[name] = tensors[name].to(draw(st.sampled_from([torch.int64, torch.float64, torch.bool])))
        elif way == "value":
            tensors[name] = torch.full_like(tensors[name], draw(st.sampled_from([float("nan"), -1.0, 1e30])))
        else:
            history = json.loads(header["history"])
            header["history"] = json.dumps(change_document(draw, history))
        tensors = {name: value.clone() for name, value in tensors.items()}
        return bytes(save(tensors, header | {"digest": _digest(tensors, header["history"])}))

    path.write_bytes(one_of(draw, resealed, resealed, lambda: change_safetensors(draw, data)))


def _read_checkpoint(folder: Path) -> None:
    """A checkpoint that cannot be used is no error but set aside, with a warning."""
    model, optimizer = _model()
    history = Checkpoint(folder / "state.safetensors", "this cell").restore(model, optimizer)
    assert isinstance(history, list)
    if history:
        pd.DataFrame(history).astype({"epoch": int})
        optimizer.step()


def _write_results(folder: Path) -> None:
    document = made_up.document({"none": {}, "channel": {}})
    texts = {results.VERDICT: document.to_json(), results.REPORT: "<p>the page", "summary.csv": "norm\nnone\n"}
    results.write(folder, {name: text.encode() for name, text in texts.items()})


def _read_results(folder: Path) -> None:
    found = results.read(folder).verdict
    assert tables.summary_markdown(found)
    assert found.to_json()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


TARGETS = {
    "table of one's own": Target(_write_csv, _spoil_csv, _read_csv),
    "table of ESC-50": Target(_write_esc, _spoil_esc, _read_esc),
    "class folders": Target(_nothing, _spoil_class_folders, _read_class_folders),
    "zip": Target(_nothing, _spoil_zip, _read_zip),
    "parameters": Target(_write_params, _spoil_params, _read_params),
    **{
        container: Target(
            _nothing, functools.partial(sounds.spoil, container), functools.partial(sounds.read, container)
        )
        for container in sounds.NAMES
    },
    "data set": Target(_write_dataset, _spoil_dataset, _read_dataset),
    "shards": Target(_write_shards, _spoil_sealed, _read_shards),
    "statistics": Target(_write_statistics, _spoil_sealed, _read_statistics),
    "statistics, recorded": Target(_write_recorder, _spoil_sealed, _read_recorded),
    "statistics, resumed": Target(_write_statistics, _spoil_sealed, _read_recorded),
    "fitted modes": Target(_write_fitted, _spoil_sealed, _read_fitted),
    "cells": Target(_write_cells, _spoil_cells, _read_cells),
    "checkpoint": Target(_write_checkpoint, _spoil_checkpoint, _read_checkpoint),
    "results": Target(_write_results, _spoil_sealed, _read_results),
}
