"""What a plan's cells have left where they hand over: needed where nobody is there who was told of it.

The run cache of DVC has a file a run, which is the stage's entry of the lock file. A run that was pushed has its file
there before its outputs, so that a file alone proves no result.
"""

from __future__ import annotations

from typing import Any

from pipeline.scale import store
from pipeline.scale.plan import Plan


def entries(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The entries of the lock file that are there, by the stages' names; of a stage that ran twice there may be two."""
    from dvc.fs import LocalFileSystem
    from dvc.utils.serialize import parse_yaml

    found: dict[str, list[dict[str, Any]]] = {}
    with store.opened(plan.remote) as repo:
        files, root = LocalFileSystem(), plan.cache
        if plan.remote is not None:
            there = repo.cloud.get_remote_odb(store.STORE, "collect", hash_name="md5-dos2unix")
            files, root = there.fs, there.path
        for name, work in plan.work.items():
            folder = files.join(root, "runs", work.key[:2], work.key)
            for path in sorted(files.find(folder)) if files.exists(folder) else []:
                found.setdefault(name, []).append(parse_yaml(files.read_text(path, encoding="utf-8"), path))
    return found
