"""Compose `conf/` into `params.yaml`, byte for byte as `dvc exp run` does. Run it with `make params`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from pipeline import command, options
from specnorm.errors import ConfigurationError

_CONF = Path("conf")
_MISSING = re.compile(r"Could not (?:find|load) '(\w+)/([^']+)'")  # Hydra's words, which name no other option in a list


def compose(overrides: list[str]) -> None:
    """Write `params.yaml`.

    Args:
        overrides: what `dvc exp run` takes after `-S`.

    Raises:
        ConfigurationError: there is no such option, or a value that no file has, or one that is read as another.
    """
    options.check(_CONF)
    try:
        compose_and_dump("params.yaml", str(_CONF.resolve()), None, "config", None, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        if absent := _MISSING.search(str(error)):
            raise options.missing(_CONF, *absent.groups()) from error
        raise ConfigurationError("cannot compose the parameters", where=_CONF, got=error) from error


def main(overrides: list[str]) -> int:
    def work() -> int:
        compose(overrides)
        return 0

    return command.run("compose", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
