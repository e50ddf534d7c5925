"""Tabulate the cells that the parameters name: never more, never fewer.

Reads `data/cells/`, `data/spectrograms/`, `norm` and `protocol`; writes `data/comparison/`. Run it with
`python -m stages.compare`.
"""

from __future__ import annotations

import argparse
import sys

from specnorm import comparison, files, plots
from specnorm.params import Params
from specnorm.shards import open_shards
from stages import runner


def work(params: Params, _: argparse.Namespace) -> None:
    stored = runner.stored_cells(params)
    shards = open_shards(runner.SHARDS)
    compared = comparison.compare(stored, shards)
    title = (
        f"Recipe {params.recipe}: {len(shards.clips)} clips, {len(shards.classes)} classes, held-out folds "
        f"{params.protocol.folds}, seeds {params.protocol.seeds}"
    )
    table = comparison.markdown(compared, title=title)
    for name, frame in (("cells", compared.cells), ("summary", compared.summary), ("curves", compared.curves)):
        files.write_text(runner.COMPARISON / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    files.write_text(runner.COMPARISON / "table.md", table)
    files.write_json(runner.COMPARISON / "summary.json", comparison.flat(compared))
    with files.atomic_path(runner.COMPARISON / "accuracy.png") as partial:
        plots.accuracy_by_mode(compared.cells, chance=1 / len(shards.classes)).savefig(partial, format="png")
    print(table.partition("\n## Cells")[0])


def main(argv: list[str] | None = None) -> int:
    return runner.run(work, argv, outputs=lambda _: [runner.COMPARISON])


if __name__ == "__main__":
    sys.exit(main())
