"""Compare the cells that the parameters name, never more and never fewer, and say which mode to use.

Reads `data/cells/`, `data/spectrograms/`, `data/statistics/`, `data/normalizers/`, some clips of `data/raw/`, and the
parameters of the comparison; writes `data/comparison/`. Run it with `python -m stages.compare`.
"""

from __future__ import annotations

import argparse
import sys

from pipeline import command, earlier, finished, places, stage
from specnorm.comparison import checked, draft, inputs, noop, outcomes, population, verdict
from specnorm.comparison.traits import Traits
from specnorm.datasets.table import refuse_lacking
from specnorm.params import WAVEFORMS, Params
from specnorm.report import contents, example, gallery, hearing, results
from specnorm.report.provenance import provenance
from specnorm.shards.store import INDEX
from specnorm.training.model import initial_network

_CLIPS = 64  # that the no-op check and the histograms look at: a batch


def work(params: Params, _: argparse.Namespace) -> None:
    # 1. What was measured, and whether it may be compared.
    shards = finished.shards(params)
    finished.check_archive(shards)
    stored = finished.cells(params, of=shards)
    tables = checked.check(stored, shards)
    if params.compare.incomplete_folds == "refuse":
        refuse_lacking(shards.clips, params.protocol.folds, where=shards.folder / INDEX)

    # 2. What it says.
    fold = params.protocol.folds[0]
    traits = {mode: Traits.of(each) for mode, each in params.norm.items()}
    found, clips = outcomes.gather(stored, shards), outcomes.held_out_clips(stored, shards)
    answer = verdict.compare(found, clips, traits=traits, params=params.compare)
    if answer.baseline != params.compare.baseline:
        print(f"baseline {params.compare.baseline} is not among the modes: {answer.baseline} stands in for it")

    # 3. What each mode as its first cell trained it gives the network, and what is left of that behind the first layer.
    first = {(cell.key.norm, cell.key.fold): cell for cell in reversed(stored)}

    def modes(fold: int) -> dict[str, inputs.TrainedMode]:
        each = {mode: finished.normalizer(params, mode, fold) for mode in params.norm}
        return {mode: inputs.trained(fitted, first[mode, fold]) for mode, fitted in each.items()}

    given = inputs.take(shards, modes(fold), fold, count=_CLIPS)
    network = initial_network(params.model, classes=len(shards.classes), seed=params.protocol.seeds[0], fold=fold)
    left = noop.table(network, given.effects())

    # 4. The document, the pictures, and all files.
    check = draft.noop_check(left, clips=len(given.clips), fold=fold)
    title = draft.title_of(params.recipe, params.dataset, params.protocol, shards)
    groups = population.told_by(params.dataset)
    said = draft.make(answer, found, stored, shards, check, title=title, params=params.compare, groups=groups)
    said = earlier.remembered(said)
    statistics = {
        waveform: [finished.statistics(params, fold, waveform, of=shards) for fold in params.protocol.folds]
        for waveform in WAVEFORMS
    }
    shown = example.read(places.ARCHIVE, given.clips, params.spectrogram)
    families = {mode: each.family for mode, each in traits.items()}
    figures = gallery.figures(
        answer, tables, given, left, statistics, shown, params.spectrogram, shards.classes, families
    )
    heard = hearing.hear(
        places.ARCHIVE, found, clips, shards.classes, modes, params.spectrogram, most=params.compare.sounds
    )
    origin = provenance(stored, shards, params.spectrogram, params.model, params.train)
    files = contents.files(said, answer, tables, figures, origin, families, params.norm, params.spectrogram, heard)
    results.write(places.COMPARISON, files)
    command.say(files[contents.TABLE].decode().partition("\n## Cells")[0])


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.COMPARISON])


if __name__ == "__main__":
    sys.exit(main())
