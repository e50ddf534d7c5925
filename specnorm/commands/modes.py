"""Every normalisation mode with the sentence that says what it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from specnorm.errors import visible

_CONFIGURED = Path("conf/norm")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list of mappings.")
def command(as_json: bool) -> None:
    """List every mode with the sentence that says what it does.

    In a checkout these are the modes of conf/norm, which a run chooses from by name. Elsewhere they are the library's
    kinds of normaliser, which a mode puts on the raw or on the standardised waveform.
    """
    found = list(_configured(_CONFIGURED) if _CONFIGURED.is_dir() else _built_in())
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    formatter = click.HelpFormatter()
    formatter.write_dl([(mode["mode" if "mode" in mode else "kind"], _told(mode)) for mode in found])
    click.echo(visible(formatter.getvalue()), nl=False)


def _told(mode: dict[str, Any]) -> str:
    made_of = f" [{mode['kind']}, {mode['waveform']} waveform]" if "mode" in mode else ""
    return f"{mode['description']}{made_of}"


def _configured(folder: Path) -> Iterator[dict[str, Any]]:
    """The modes that stand in ``folder``, a file each; a file with a list of defaults is a set of them.

    Raises:
        ConfigurationError: a file is no YAML, or is neither a set nor a mode.
    """
    from pydantic import ValidationError

    from specnorm import strict_yaml
    from specnorm.params import NormParams
    from specnorm.refusal import refusal

    for path in sorted(folder.glob("*.yaml")):
        values = strict_yaml.read(path)
        if isinstance(values, dict) and "defaults" in values:
            continue
        try:
            mode = NormParams.model_validate(values)
        except ValidationError as error:
            raise refusal(error, where=path) from None
        yield {
            "mode": path.stem,
            "kind": mode.kind,
            "waveform": mode.waveform,
            "description": mode.description or _sentence(mode.kind),
        }


def _sentence(kind: str) -> str:
    from specnorm.normalization.base import kind_named

    return kind_named(kind).sentence()


def _built_in() -> Iterator[dict[str, Any]]:
    from specnorm.normalization.base import kinds

    yield from ({"kind": kind.kind, "description": kind.sentence()} for kind in kinds())
