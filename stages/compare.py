"""Compare the cells that the parameters name, never more and never fewer, and say which mode to use.

Reads `data/cells/`, `data/spectrograms/`, `data/statistics/`, `data/normalizers/`, one clip of `data/raw/`, and the
parameters of the comparison; writes `data/comparison/`. Run it with `python -m stages.compare`.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

import pandas as pd

from pipeline import finished, places, stage
from specnorm import files
from specnorm.audio.decode import decode
from specnorm.audio.waveform import prepare
from specnorm.comparison import checked, inputs, noop, verdict
from specnorm.comparison.checked import Comparison
from specnorm.comparison.inputs import Inputs
from specnorm.datasets.dataset import open_dataset
from specnorm.datasets.naming import dataset_name
from specnorm.normalization import fitted
from specnorm.normalization.fitted import FittedMode
from specnorm.params import WAVEFORMS, Params
from specnorm.report import gallery, page, results, style, tables
from specnorm.shards.fit import fit_sentence
from specnorm.shards.store import Shards, open_shards
from specnorm.statistics import training_set
from specnorm.training import seeds
from specnorm.training.cells import StoredCell
from specnorm.training.xresnet import xresnet18

_CLIPS = 64  # that the no-op check and the histograms look at: a batch


def work(params: Params, _: argparse.Namespace) -> None:
    # 1. What was measured, and whether it may be compared.
    stored = finished.cells(params)
    shards = open_shards(places.SHARDS)
    compared = checked.compare(stored, shards)

    # 2. What it says.
    held_out_fold = params.protocol.folds[0]
    modes = _fitted(params, held_out_fold)
    found = verdict.outcomes(stored, shards)
    decided = verdict.decide(
        found, verdict.held_out_clips(stored, shards),
        simplest=verdict.simplest_first(modes), baseline=params.compare.baseline,
    )  # fmt: skip
    if decided.baseline != params.compare.baseline:
        print(f"baseline {params.compare.baseline} is not among the modes: {decided.baseline} stands in for it")

    # 3. What the network makes of each mode.
    given = inputs.take(shards, modes, held_out_fold, count=_CLIPS)
    survived = noop.table(_network(params, len(shards.classes), held_out_fold), given.effects())

    # 4. The page, the pictures, the tables.
    document = verdict.document(
        decided, found, stored, title=_title(params, shards),
        dataset={"digest": shards.dataset_digest, "clips": len(shards.clips), "classes": shards.classes},
    ) | {"noop": _noop_document(survived, given, held_out_fold)}  # fmt: skip
    drawn = gallery.figures(
        decided, compared, given, survived,
        {
            waveform: [
                training_set.read(places.STATISTICS / f"fold-{fold}" / f"{waveform}.json")
                for fold in params.protocol.folds
            ]
            for waveform in WAVEFORMS
        },
        _example(params, given), params.spectrogram, shards.classes,
    )  # fmt: skip
    figures = {name: style.svg(figure) for name, figure in drawn.items()}
    html = page.render(
        document, figures, cells=compared.cells, clips=decided.clips, provenance=_provenance(params, shards, stored)
    )
    summary = tables.summary(document)
    frames = {
        "cells": compared.cells, "curves": compared.curves, "confusion": compared.confusion, "summary": summary,
        "differences": decided.pairs, "classes": decided.classes, "disagreements": decided.clips,
    }  # fmt: skip
    written = {f"{name}.csv": frame.to_csv(index=False, lineterminator="\n") for name, frame in frames.items()}
    written |= {f"{results.FIGURES}/{name}.svg": svg for name, svg in figures.items()}
    written["table.md"] = _markdown(document, compared)
    written["summary.json"] = files.json_text(tables.flat(summary))
    written[results.VERDICT] = files.json_text(document)
    written[results.REPORT] = html
    results.write(places.COMPARISON, {name: text.encode() for name, text in written.items()})
    print(written["table.md"].partition("\n## Cells")[0])


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.COMPARISON])


def _title(params: Params, shards: Shards) -> str:
    return (
        f"Recipe {params.recipe} on {dataset_name(params.dataset)}: {len(shards.clips)} clips, "
        f"{len(shards.classes)} classes, held-out folds {', '.join(map(str, params.protocol.folds))}, "
        f"seeds {', '.join(map(str, params.protocol.seeds))}"
    )


def _fitted(params: Params, fold: int) -> dict[str, FittedMode]:
    return {mode: fitted.read(places.normalizer_path(mode, fold)) for mode in params.norm}


def _network(params: Params, classes: int, fold: int) -> Any:
    """The network as the first cell's training starts with it."""
    generator = seeds.initial_weights(seed=params.protocol.seeds[0], fold=fold)
    return xresnet18(classes, generator=generator, stem_init=params.model.stem_init)


def _noop_document(survived: pd.DataFrame, given: Inputs, fold: int) -> dict[str, Any]:
    return {
        "clips": len(given.clips),
        "fold": fold,
        "border_share": float(survived["border_share"].iloc[0]) if len(survived) else None,
        "effects": [
            {
                # A picture so small that all or none of it sees padding has no inside or no border.
                **{key: None if math.isnan(value) else value for key, value in row.items()},
                "sentence": noop.sentence(str(name), row),
                "name": str(name),
            }
            for name, row in survived.to_dict("index").items()
        ],
    }


def _example(params: Params, given: Inputs) -> gallery.Example:
    """The first of the inputs' clips, from its file on."""
    name, front_end = given.clips[0], params.spectrogram
    with open_dataset(places.ARCHIVE) as dataset:
        row = dataset.clips.set_index("clip").loc[name]
        clip = decode(dataset.read(str(row["member"])), name=name)
    waveforms = prepare(
        clip, sample_rate=front_end.sample_rate, samples=front_end.samples, resampler=front_end.resampler
    )
    return gallery.Example(name, str(row["label"]), 0, waveforms)


def _provenance(params: Params, shards: Shards, stored: list[StoredCell]) -> dict[str, object]:
    def all_of(name: str) -> str:
        return ", ".join(sorted({str(cell.run.get(name, "unknown")) for cell in stored}))

    front_end = params.spectrogram.model_dump(mode="json")
    train = params.train.model_dump(mode="json", exclude={"memory_gb", "device", "precision"})
    return {
        "data set": f"{shards.manifest['dataset']['origin']}, content digest {shards.dataset_digest}",
        **({"lengths": fit_sentence(shards.fit)} if shards.fit else {}),
        "front end": ", ".join(f"{name} {value}" for name, value in front_end.items() if value is not None),
        "network": ", ".join(str(value) for value in params.model.model_dump(mode="json").values()),
        "training": ", ".join(f"{name} {value}" for name, value in train.items()),
        "device": f"{all_of('device_name')}; {all_of('precision')}; threads of a cell: {all_of('threads')}",
        "versions": f"Python {all_of('python')}, torch {all_of('torch')}",
    }


def _markdown(document: dict[str, Any], compared: Comparison) -> str:
    effects = "\n".join(f"- {row['sentence']}." for row in document["noop"]["effects"])
    check = f"\n## What the first normalisation layer leaves of each mode\n\n{effects}\n" if effects else ""
    return (
        f"# {document['title']}\n\n## Verdict\n\n{verdict.markdown(document)}\n## Modes\n\n"
        f"{tables.summary_markdown(document)}\n{check}\n## Cells\n\n{tables.cells_markdown(compared.cells)}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
