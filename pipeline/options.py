"""The files of `conf/`, which Hydra reads as YAML 1.1: a number that means another one there is refused."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import ScalarEvent

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
