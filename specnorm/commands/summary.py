"""The verdict for scripts and terminals."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("data/comparison"))
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json.")
def command(folder: Path, as_json: bool) -> None:
    """Print a comparison's verdict.

    FOLDER is what the comparison wrote, data/comparison where none is given. Every file in it is checked first.
    """
    from specnorm.report import results, tables

    found = results.read(folder).verdict
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    click.echo(f"{found.title}\n\n{found.recommendation}.\n")
    if found.caveat:
        click.echo(f"{found.caveat}.\n")
    click.echo(tables.summary_markdown(found))
    sentences = [pair.sentence for pair in found.pairs] + [effect.sentence for effect in found.noop.effects]
    for sentence in sentences:
        click.echo(f"\n{sentence}.", nl=False)
    click.echo()
