"""Fit one normalisation mode to every training set of the protocol.

Reads `data/statistics/`, `norm.<mode>` and `protocol.folds`; writes `data/normalizers/<norm>/fold-<k>.json`. A cell
depends on its own file alone, so a new mode, or new code of another mode, leaves it as it is. Run it with
`python -m stages.normalizers --norm global`.
"""

from __future__ import annotations

import argparse
import sys

from pipeline import finished, places, stage
from specnorm.errors import ConfigurationError
from specnorm.normalization import fitted
from specnorm.params import Params


def work(params: Params, arguments: argparse.Namespace) -> None:
    mode = arguments.norm
    settings = params.norm[mode]
    known = sorted(int(folder.name.removeprefix("fold-")) for folder in places.STATISTICS.glob("fold-*"))
    unknown = [fold for fold in params.protocol.folds if fold not in known]
    if unknown:
        raise ConfigurationError(
            "no such fold", where="protocol.folds", expected=f"some of {known}, the data set's folds", got=unknown
        )
    for fold in params.protocol.folds:
        found = finished.statistics(params, fold, settings.waveform)
        fitted.write(fitted.fit(mode, settings, found), places.normalizer_path(mode, fold))
    print(f"{mode} ({settings.kind}, {settings.waveform} waveform) fitted for folds {params.protocol.folds}")


def main(argv: list[str] | None = None) -> int:
    return stage.run(
        work,
        argv,
        outputs=lambda arguments: [places.NORMALIZERS / arguments.norm],
        arguments=stage.norm_argument,
    )


if __name__ == "__main__":
    sys.exit(main())
