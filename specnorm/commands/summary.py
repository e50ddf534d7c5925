"""The verdict for scripts and terminals."""

from __future__ import annotations

import json
from pathlib import Path

import click

from specnorm.errors import visible


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("data/comparison"))
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json, in ASCII.")
def command(folder: Path, as_json: bool) -> None:
    """Print a comparison's verdict.

    FOLDER is what the comparison wrote, data/comparison where none is given. Every file in it is checked first.
    """
    from specnorm.report import results, tables

    found = results.read(folder).verdict
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), indent=1, sort_keys=True))
        return
    said = [f"{found.title}\n", *(f"{sentence}.\n" for sentence in found.answer())]
    sentences = [pair.sentence for pair in found.pairs] + [effect.sentence for effect in found.noop.effects]
    said += [f"{tables.summary_markdown(found)}\n", *(f"{sentence}." for sentence in sentences)]
    click.echo(visible("\n".join(said)))
