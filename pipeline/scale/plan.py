"""What is to be run: the stages that are not done, and the commit, data and parameters that they are run with."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline.scale import store
from specnorm.errors import ConfigurationError, ResourceError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import Stage

LOCK = Path("dvc.lock")

_READ_ONLY = ("http", "https")  # DVC pushes no run cache there, and says so to nobody
_AUTHOR = ("-c", "user.name=specnorm", "-c", "user.email=specnorm@localhost")


@dataclass(frozen=True)
class Work:
    """A stage that is to be run.

    Attributes:
        needs: the stages whose outputs it reads.
        entry: what its entry in the lock file has to be, less the outputs: command, dependencies, parameters.
        key: what the run cache files its results by.
    """

    needs: list[str]
    entry: dict[str, Any]
    key: str


@dataclass(frozen=True)
class Plan:
    """Stages to run, and all that a machine needs to know to run one of them.

    Attributes:
        stage: which of the pipeline's stages, or the matrix, these are.
        commit: of the working tree as it was; on no branch.
        bundle: the file of git that has it.
        remote: the URL that data comes from and results go to; ``None`` where the clones share a cache.
        cache: the folder that clones keep data in; the project's own, or one a machine.
        scratch: the folder for clones.
        work: the stages by their names, in the order of the pipeline.
    """

    stage: str
    commit: str
    bundle: str
    remote: str | None
    cache: str
    scratch: str
    work: dict[str, Work]

    def only(self, names: Sequence[str]) -> Plan:
        """It with these stages alone."""
        return replace(self, work={name: self.work[name] for name in names})

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read it.

        Raises:
            ConfigurationError: the file is no plan.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            work = {name: Work(**each) for name, each in told.pop("work").items()}
            return cls(**told, work=work)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError("no plan", where=path, expected="a file of `plan`", got=error) from error


def make(stage: str, *, remote: str | None, scratch: Path) -> Plan:
    """Plan the stages of a matrix, or one, that are not done in the working tree.

    The tree may be dirty, as parameters and lock file are after `dvc exp run`: it is committed to no branch, with an
    index of its own. What the stages read is pushed, where there is a remote.

    Args:
        stage: `train`, for example.
        remote: the name or URL of a remote of DVC's; ``None`` where all machines see this one's cache.
        scratch: for the clones, on every machine.

    Raises:
        ConfigurationError: the remote takes no run cache.
        ResourceError: what the stages read is not there.
    """
    scratch = scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    with store.opened(None) as repo:
        url = None if remote is None else _checked(repo, remote)
        stages = {found.addressing: found for found in repo.index.stages}
        above = [name for name in stages if name.partition("@")[0] != stage]
        makers = {str(out.fs_path): name for name in above for out in stages[name].outs}
        stale = repo.status([stage])
        work = {name: _work(found, makers) for name, found in stages.items() if name in stale}
        needed = sorted({need for each in work.values() for need in each.needs})
        unmade = sorted(set(repo.status([name.partition("@")[0] for name in needed])).intersection(needed))
        if unmade:
            raise ResourceError("what the cells read is not there", got=", ".join(unmade), hint="`dvc repro` makes it")
        commit, bundle = _committed(scratch, above)
        if url is not None and needed:
            with store.opened(url) as pushing:
                pushing.push(needed, remote=store.STORE)
        cache = Path(repo.cache.local.path).resolve().parent.parent if url is None else scratch / "cache"
    return Plan(stage, commit, str(bundle), url, str(cache), str(scratch), work)


def _checked(repo: Repo, remote: str) -> str:
    """The URL of a remote that takes all that a cell hands over."""
    configured = dict(repo.config["remote"].get(remote, {}))
    url = str(configured.get("url", remote))
    scheme = urlsplit(url).scheme
    if remote not in repo.config["remote"] and not scheme and not Path(url).is_absolute():
        raise ConfigurationError("no such remote", got=remote, hint="`dvc remote list` tells those that there are")
    if scheme in _READ_ONLY or configured.get("version_aware") or configured.get("worktree"):
        raise ConfigurationError(
            "a remote that takes no run cache",
            where=remote,
            expected="a folder, or a store such as s3, gs, azure or ssh, without version_aware",
            got=scheme or "version_aware",
        )
    return url


def _work(stage: Stage, makers: Mapping[str, str]) -> Work:
    from dvc.stage.serialize import to_single_stage_lockfile
    from dvc.utils import dict_sha256

    stage.save_deps(allow_missing=True)
    entry = json.loads(json.dumps(to_single_stage_lockfile(stage)))
    # As DVC's own run cache does it, which has no public name for it.
    key = dict_sha256({**entry, "outs": [out["path"] for out in entry["outs"]]}, exclude=["size", "nfiles"])
    read = [Path(dep.fs_path) for dep in stage.deps]
    needs = {
        maker
        for out, maker in makers.items()
        if any(path.is_relative_to(out) or Path(out).is_relative_to(path) for path in read)
    }
    return Work(sorted(needs), {name: told for name, told in entry.items() if name != "outs"}, key)


def _committed(scratch: Path, above: Sequence[str]) -> tuple[str, Path]:
    """Commit the working tree, with a lock file of what stands above alone, and bundle it.

    DVC reads and writes the whole lock file for every stage that it runs, so a cell's clone gets what it needs of it.
    """
    from dvc.utils.serialize import dump_yaml, load_yaml

    bundle = scratch / "code.bundle"
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        _git("read-tree", "HEAD", **index)
        _git("add", "--all", **index)
        lock: dict[str, Any] = load_yaml(str(LOCK)) if LOCK.exists() else {"schema": "2.0", "stages": {}}
        lock["stages"] = {name: lock["stages"][name] for name in above if name in lock["stages"]}
        dump_yaml(f"{folder}/lock", lock)
        blob = _git("hash-object", "-w", f"{folder}/lock")
        _git("update-index", "--add", "--cacheinfo", f"100644,{blob},{LOCK}", **index)
        commit = _git(*_AUTHOR, "commit-tree", _git("write-tree", **index), "-p", "HEAD", "-m", "what a plan runs")
        # A bundle is of names; this one is the repository's only as long as that takes.
        reference = f"refs/plan/{commit}"
        _git("update-ref", reference, commit)
        try:
            _git("bundle", "create", "--quiet", str(bundle), reference)
        finally:
            _git("update-ref", "-d", reference)
    return commit, bundle


def _git(*words: str, **variables: str) -> str:
    done = subprocess.run(  # noqa: S603 (a list of words)
        ["git", *words],  # noqa: S607 (whichever git the user has)
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ResourceError("git cannot commit what a plan runs", got=done.stderr.strip().partition("\n")[0])
    return done.stdout.strip()
