"""The verdict for scripts and terminals."""

from __future__ import annotations

import json
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
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    click.echo(f"{found['title']}\n\n{found['recommendation']}.\n")
    if found["caveat"]:
        click.echo(f"{found['caveat']}.\n")
    click.echo(tables.summary_markdown(found))
    for told in (*found["pairs"], *found["noop"]["effects"]):
        click.echo(f"\n{told['sentence']}.", nl=False)
    click.echo()
