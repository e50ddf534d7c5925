"""Say what a run left behind and what to type next. Run it with `python -m pipeline.next`; `make demo` ends with it."""

from __future__ import annotations

import argparse
import sys

from pipeline import command, places, stage
from specnorm.params import Params
from specnorm.report import results

_TEXT = """
{table}
What was made
  {comparison}/report.html   the verdict as a page: open it in a browser
  {comparison}/table.md      the verdict above, and every cell
  {comparison}/verdict.json  the same for programs: `python -m specnorm summary --json`
  {cells}/                   weights, curves and predictions of every cell
  mlflow.db                     the same as MLflow runs: `make ui`, then Model training, tick modes, Compare

params.yaml now holds the recipe "{recipe}", so `dvc repro` means this recipe, and has nothing to make.

What to type next (after `source .venv/bin/activate`)
  dvc exp run -S experiment={recipe} -S norm=global     one row of it; nothing is trained again
  dvc exp run -S experiment={recipe} -S norm=factorial  the two modes that are missing from the grid
  dvc exp run                                           the defaults again: the whole of ESC-50 (downloads 600 MB)
"""


def work(params: Params, _: argparse.Namespace) -> None:
    results.read(places.COMPARISON)  # the table below is the one that was written
    table = (places.COMPARISON / "table.md").read_text(encoding="utf-8").partition("\n## Cells")[0]
    command.say(_TEXT.format(table=table, comparison=places.COMPARISON, cells=places.CELLS, recipe=params.recipe))


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv)


if __name__ == "__main__":
    sys.exit(main())
