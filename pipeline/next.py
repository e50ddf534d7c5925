"""Say what a run left behind and what to type next. Run it with `python -m pipeline.next`; `make demo` ends with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from pipeline import command, places, stage
from specnorm.comparison.document import Document
from specnorm.params import Params
from specnorm.report import results

# What is left of an experiment's columns are the accuracies, a mode each: other names have a dot or a slash in them.
EXPERIMENTS = "dvc exp show --drop '.*[./].*'"

_GRID = {"none", "waveform", "global_raw", "channel_raw", "global", "channel"}  # conf/norm/factorial.yaml
_SURE = 3  # seeds of conf/protocol/sure.yaml
_MADE = """
What was made
  {comparison}/report.html   the verdict as a page: open it in a browser
  {comparison}/table.md      the verdict, and every cell
  {comparison}/verdict.json  the same for programs: `python -m specnorm summary --json`
  {cells}/                   weights, curves and predictions of every cell
  mlflow.db                     the same as MLflow runs: `make ui`

params.yaml now holds the recipe "{recipe}", so `dvc repro` means this recipe, and has nothing to make.

What to type next (after `source .venv/bin/activate`)"""


def work(params: Params, _: argparse.Namespace) -> None:
    said = results.read(places.COMPARISON).verdict
    command.say(_MADE.format(comparison=places.COMPARISON, cells=places.CELLS, recipe=params.recipe))
    for line, purpose in suggestions(params, said):
        command.say(f"  {line}\n      {purpose}")


def suggestions(params: Params, said: Document) -> Iterator[tuple[str, str]]:
    """Commands with what each is for, the most useful one first.

    Args:
        params: of the results.
        said: the verdict on them.
    """
    run = f"dvc exp run -S experiment={params.recipe}"
    if said.decision.state == "nothing learned":
        longer = 2 * params.train.epochs
        yield f"{run} -S train.epochs={longer}", "twice the epochs, since no mode has learned anything yet"
    more = []
    if not set(params.norm) >= _GRID:
        grid = f"{run} -S norm=factorial", "the whole grid of modes; what is trained is not trained again"
        more.append(grid)
    if len(params.protocol.seeds) < _SURE:
        sure = f"{run} -S protocol=sure", f"{_SURE} runs of every cell, which also tell how far a run moves by itself"
        more.insert(0 if said.decision.state == "undecided" else len(more), sure)
    yield from more
    one = next(iter(params.norm))
    yield (
        f"dvc exp run --temp -S experiment={params.recipe} -S norm={said.recommended or one}",
        ("one mode alone, beside this workspace, which stays as it is; nothing is trained again"),
    )
    yield EXPERIMENTS, "what was run, with the accuracy of every mode; `dvc exp apply NAME` brings a run back"
    own = "dvc exp run -S dataset=folder -S dataset.source=../my-set -S spectrogram.clip_seconds=3"
    yield own, "your own clips, a sub-folder a class"
    yield "dvc exp run", "the defaults: the whole of ESC-50 (downloads 600 MB)"


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv)


if __name__ == "__main__":
    sys.exit(main())
