"""Files of parameters as YAML 1.2: 1e-3 is a number, 010 is ten, and what may be meant in two ways is refused."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent

from specnorm.errors import ConfigurationError


def read(path: Path) -> Any:
    """What a file says; a key that stands twice and an alias are refused with their line.

    Aliases, because a few lines of them stand for a billion values, and nothing that composes parameters writes them.

    Raises:
        ConfigurationError: the file is missing or is not such YAML.
    """
    reader = YAML(typ="safe", pure=True)
    try:
        text = path.read_text(encoding="utf-8")
        for event in reader.parse(text):
            if isinstance(event, AliasEvent):
                raise MarkedYAMLError(problem=f"the alias *{event.anchor}", problem_mark=event.start_mark)
        return reader.load(text)
    except FileNotFoundError:
        raise ConfigurationError("missing file", where=path, hint="Restore it with `git checkout`") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = path if mark is None else f"{path}, line {mark.line + 1}"
        problem = textwrap.shorten(str(error.problem), 200)  # which cites values, however long
        raise ConfigurationError("unreadable parameters", where=place, expected="YAML", got=problem) from error
    # What is no YAML meets the reader in ways that it does not foresee: a deep nest, or !!bool on a word.
    except Exception as error:
        raise ConfigurationError("unreadable parameters", where=path, expected="YAML", got=error) from error
