"""What a plan's cells have left where they hand over: needed where nobody is there who was told of it.

The run cache of DVC has a file a run, which is the stage's entry of the lock file. A run that was pushed has its file
there before its outputs, so that a file alone proves no result.
"""

from __future__ import annotations

from typing import Any

from pipeline.scale.plan import Plan

_STORE = "store"


def entries(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The entries of the lock file that are there, by the stages' names; of a stage that ran twice there may be two."""
    from dvc.fs import LocalFileSystem
    from dvc.repo import Repo
    from dvc.utils.serialize import parse_yaml

    found: dict[str, list[dict[str, Any]]] = {}
    with Repo(config={} if plan.remote is None else {"remote": {_STORE: {"url": plan.remote}}}) as repo:
        files, root = LocalFileSystem(), plan.cache
        if plan.remote is not None:
            store = repo.cloud.get_remote_odb(_STORE, "collect", hash_name="md5-dos2unix")
            files, root = store.fs, store.path
        for name, work in plan.work.items():
            folder = files.join(root, "runs", work.key[:2], work.key)
            for path in sorted(files.find(folder)) if files.exists(folder) else []:
                found.setdefault(name, []).append(parse_yaml(files.read_text(path, encoding="utf-8"), path))
    return found
