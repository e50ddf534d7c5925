"""The pipeline with its cells elsewhere; the pipeline itself does it, of which this library knows nothing."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import click

from specnorm.errors import ConfigurationError

_MODULE = "pipeline.scale"


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, metavar="COMMAND ...", type=click.UNPROCESSED)
def command(words: tuple[str, ...]) -> None:
    """Run the pipeline with its cells elsewhere, or several at a time.

    In a checkout: `scale run train executor=ray` does all of it; `plan`, `cell` and `collect` are its parts. Each says
    more with `--help`, as `scale run --help`.
    """
    if not Path(*_MODULE.split(".")).is_dir():
        raise ConfigurationError("no pipeline here", where=Path.cwd(), expected="a checkout of specnorm", got="none")
    before = sys.path.copy(), sys.argv
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = [_MODULE, *words]
    try:
        runpy.run_module(_MODULE, run_name="__main__")
    finally:
        sys.path[:], sys.argv = before
