"""Say where MLflow's pages show the runs. `make ui` begins with it; run it with `python -m pipeline.ui`."""

from __future__ import annotations

import argparse
import sys

from pipeline import command, places, stage
from specnorm.params import Params
from specnorm.tracking.place import Store, page
from specnorm.tracking.recorded import recorded


def work(params: Params, parsed: argparse.Namespace) -> None:
    store = Store.at(f"sqlite:///{places.root() / 'mlflow.db'}", params.tracking.experiment)
    url = f"http://127.0.0.1:{parsed.port}/"
    found = recorded(store)
    if found is None:
        command.say(f"{url} has no runs yet: `dvc repro` brings them, and `make track` those that are finished")
    else:
        command.say(f"In a moment, the runs to be compared: {url}{page(found.number)}")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=5000, help="where the pages will be served")


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, arguments=_arguments)


if __name__ == "__main__":
    sys.exit(main())
