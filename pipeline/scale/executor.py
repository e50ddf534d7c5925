"""Where cells run and what each takes of its machine: `conf/executor/`. No result depends on it but by its threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from specnorm.errors import ConfigurationError

_GROUP = Path("conf/executor")


class ExecutorParams(BaseModel):
    """How stages of a plan are run.

    Attributes:
        kind: one after another on this machine, or several at a time on Ray.
        jobs: cells at a time on this machine; a cluster has as many as there is room for.
        address: of a Ray cluster; ``None`` takes ``RAY_ADDRESS``, or starts Ray on this machine.
        cpus: of its machine that a cell takes.
        gpus: of its machine that a cell takes; 0.5 lets two share one. ``None``: none of a cluster's, and this
            machine's divided among its jobs.
        memory_gb: of its machine that a cell takes, so that as many run there as fit. ``None`` counts nothing.
        threads: of a cell; results depend on their number in the last bits. ``None``: this machine's cores divided
            among its jobs, or as many as ``cpus`` of a cluster's machine.
        max_retries: of a cell whose worker or machine is lost.
        remote: of DVC, for machines that do not see this one's cache.
        scratch: folder for clones, on every machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["local", "ray"]
    jobs: int = Field(1, ge=1)
    address: str | None = None
    cpus: float = Field(1, gt=0)
    gpus: float | None = Field(None, ge=0)
    memory_gb: float | None = Field(None, gt=0)
    threads: int | None = Field(None, ge=1)
    max_retries: int = Field(3, ge=0)
    remote: str | None = None
    scratch: Path = Path(".cache/scale")

    @property
    def cluster(self) -> str | None:
        """The address of the cluster that cells run on; ``None`` for this machine."""
        return (self.address or os.environ.get("RAY_ADDRESS")) if self.kind == "ray" else None


def load(overrides: list[str]) -> ExecutorParams:
    """The executor of `executor=ray executor.gpus=1` and the like; the local one where none is named.

    Raises:
        ConfigurationError: no such executor, or a bad value.
    """
    named = [word.partition("=")[2] for word in overrides if word.startswith("executor=")]
    path = _GROUP / f"{named[-1] if named else 'local'}.yaml"
    values = [word.removeprefix("executor.") for word in overrides if not word.startswith("executor=")]
    try:
        found: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_dotlist(values)))
        return ExecutorParams.model_validate(found)
    except FileNotFoundError:
        known = sorted(each.stem for each in _GROUP.glob("*.yaml"))
        raise ConfigurationError(
            "no such executor", where=_GROUP, expected=f"one of {', '.join(known)}", got=path.stem
        ) from None
    except (OmegaConfBaseException, ValidationError, OSError) as error:
        raise ConfigurationError("bad executor", where=path, got=str(error).replace(os.linesep, " ")) from error
