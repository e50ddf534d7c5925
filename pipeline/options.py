"""The files of `conf/`: which there are, what a recipe sets, and no number that Hydra reads as another."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import ScalarEvent

from specnorm import params
from specnorm.errors import ConfigurationError

# In YAML 1.1 a leading zero means base eight and a colon base sixty: 010 is 8, and 1:30 is 90.
_TWO_MEANINGS = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


def check(folder: Path) -> None:
    """Hold every file of options to numbers of one meaning, where there are options.

    `params.yaml` is read as YAML 1.2, where 010 is ten, but what Hydra composes into it from `conf/` was read before.

    Raises:
        ConfigurationError: a number stands there that Hydra reads as another; or a file is no YAML.
    """
    for path in sorted(folder.rglob("*.yaml")):
        try:
            for event in YAML(typ="safe", pure=True).parse(path.read_text(encoding="utf-8")):
                plain = isinstance(event, ScalarEvent) and event.style is None
                if plain and _TWO_MEANINGS.fullmatch(event.value):
                    raise ConfigurationError(
                        "a number of two meanings",
                        where=f"{path}, line {event.start_mark.line + 1}",
                        expected="no 0 before other digits, and no colon",
                        got=event.value,
                    )
        except (MarkedYAMLError, ValueError) as error:  # or no UTF-8
            raise ConfigurationError("unreadable options", where=path, expected="YAML", got=error) from error


def missing(folder: Path, group: str, name: str) -> ConfigurationError:
    """What to say of an option that is in no file of its group; a mode is one of the group ``norm``."""
    known = sorted(path.stem for path in (folder / group).glob("*.yaml"))
    near = difflib.get_close_matches(name, known, n=1)
    return ConfigurationError(
        "no such option",
        where=folder / group,
        expected=f"one of {', '.join(known)}",
        got=name,
        hint=f"Did you mean {near[0]}?" if near else None,
    )


def load(path: Path, folder: Path) -> params.Params:
    """The parameters that were composed of the options; raises as :func:`specnorm.params.load` does.

    A parameter that nobody asked for comes from the recipe, where another option than the recipe's was chosen.
    """
    try:
        return params.load(path)
    except ConfigurationError as error:
        unknown = re.match(r"unknown parameter ([\w.]+) in ", str(error))
        if unknown is None:
            raise
        key, recipe = unknown[1], folder / "experiment" / f"{_values(path).get('recipe')}.yaml"
        if not _has(_values(recipe), key.split(".")):
            raise
        group = key.partition(".")[0]
        hint = f"{recipe} sets it for another {group}: leave out `{group}=`, or the recipe"
        raise ConfigurationError(f"unknown parameter {key}", where=path, hint=hint) from error


def _values(path: Path) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (MarkedYAMLError, ValueError, OSError):  # whoever reads it in earnest says so
        return None


def _has(values: Any, names: list[str]) -> bool:
    for name in names:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True
