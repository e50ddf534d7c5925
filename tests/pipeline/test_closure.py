"""`dvc.yaml` names the code that a stage's outputs come from: what the stage imports, less what is named here.

A module that a stage imports, at any depth and also inside a function, stands among the stage's `deps`, or below with
the reason why its change leaves the outputs as they are. Behind such a module nobody looks. What stands in `train`'s
`deps` retrains every cell when it changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ROOMS = ("specnorm", "pipeline", "stages")

# For every stage. A package stands for all that is in it.
PLUMBING = {
    "pipeline.command": "how lines are printed and a command ends",
    "pipeline.finished": "reads what other stages made, and holds it to the parameters: each file is a dependency, and "
    "a fitted mode's says which code fits it, so that a new kind, or another kind's new code, trains no cell again",
    "pipeline.options": "refuses what is written in conf/, and changes nothing",
    "pipeline.places": "where things lie: another place is another path in dvc.yaml",
    "pipeline.stage": "arguments, locks, errors as one line",
    "specnorm.errors": "how a failure is told; a stage that failed has no outputs",
    "specnorm.files": "whole files and their digests; what is in them comes from the callers",
    "specnorm.memory": "how much of it is free: what does not fit is refused, and what fits is the same",
    "specnorm.params": "the door for values, and each value that a stage reads is among its `params`",
    "specnorm.refusal": "how a refused value is told",
}
# For one stage.
LEFT_OUT = {
    "train": {
        "pipeline.share": "how much memory a cell may take: held or read ahead, the batches are the same",
        "pipeline.progress": "what is printed while cells are trained, and goes into no output",
    },
    "track": {
        "specnorm.shards": "the cells' files are read, which are dependencies",
        "specnorm.statistics": "only the type of what a fitted mode's file says of its training set",
    },
}


def within(module: str, places: dict[str, str]) -> str | None:
    """The entry that a module belongs to."""
    return next((place for place in places if module == place or module.startswith(f"{place}.")), None)


def closure(graph: grimp.ImportGraph, module: str, plumbing: dict[str, str]) -> set[str]:
    """What a module imports at any depth, itself and the plumbing included, but nothing behind the plumbing."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if within(module, plumbing) is None:
            waiting += graph.find_modules_directly_imported_by(module)
            parts = module.split(".")
            # A package's own file runs, too. The library's face, at the top, imports nothing before it is asked.
            waiting += filter(
                graph.find_modules_directly_imported_by, (".".join(parts[:n]) for n in range(2, len(parts)))
            )
    return seen


def path_of(module: str, root: Path = ROOT) -> str:
    path = Path(*module.split("."))
    return (path / "__init__.py" if (root / path).is_dir() else path.with_suffix(".py")).as_posix()


def faults(modules: set[str], deps: list[str], plumbing: dict[str, str], root: Path = ROOT) -> list[str]:
    """What a stage's `deps` lack, and what of them the stage does not import."""
    code = [dep for dep in deps if dep.partition("/")[0] in ROOMS]
    paths = {path_of(module, root): module for module in modules if within(module, plumbing) is None}
    covered = {path: [dep for dep in code if path == dep or path.startswith(f"{dep}/")] for path in paths}
    lacking = [f"{path} is imported and no dependency" for path, found in sorted(covered.items()) if not found]
    used = {dep for found in covered.values() for dep in found}
    return lacking + [f"{dep} is a dependency and not imported" for dep in code if dep not in used]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, exclude_type_checking_imports=True, cache_dir=None)


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_depends_on_the_code_that_it_imports(stage: str, graph: grimp.ImportGraph) -> None:
    plumbing = PLUMBING | LEFT_OUT.get(stage, {})
    modules = closure(graph, f"stages.{stage}", plumbing)
    assert faults(modules, PIPELINE[stage]["deps"], plumbing) == []
    unused = set(LEFT_OUT.get(stage, {})) - {within(module, plumbing) for module in modules}
    assert not unused, f"named as left out of {stage}, which does not import it"
    both = [dep for dep in PIPELINE[stage]["deps"] if within(dep.removesuffix(".py").replace("/", "."), plumbing)]
    assert not both, f"a dependency of {stage} that is named as left out"


def test_all_plumbing_is_used(graph: grimp.ImportGraph) -> None:
    used = {
        within(module, PLUMBING)
        for stage in PIPELINE
        for module in closure(graph, f"stages.{stage}", PLUMBING | LEFT_OUT.get(stage, {}))
    }
    assert used - {None} == set(PLUMBING)
    assert set(LEFT_OUT) <= set(PIPELINE)


def test_every_stage_of_the_pipeline_is_a_module_and_every_module_a_stage() -> None:
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"} == set(PIPELINE)


def test_what_a_function_imports_and_what_a_package_runs_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing behind the plumbing, nothing for the types alone."""
    for name, text in {
        "__init__": "",
        "stage": "def work():\n    from made_of_rooms.room import tool\n    import made_of_rooms.pipes\n",
        "room/__init__": "import made_of_rooms.shown\n",
        "room/tool": "import typing\nif typing.TYPE_CHECKING:\n    import made_of_rooms.types_only\n",
        "pipes": "import made_of_rooms.hidden\n",
        "shown": "",
        "hidden": "",
        "types_only": "",
        "beside": "",
    }.items():
        path = tmp_path / "made_of_rooms" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("made_of_rooms", exclude_type_checking_imports=True, cache_dir=None)
    found = closure(graph, "made_of_rooms.stage", {"made_of_rooms.pipes": ""})
    assert {module.removeprefix("made_of_rooms.") for module in found} == {
        "stage",
        "room",
        "room.tool",
        "shown",
        "pipes",
    }


def test_faults_are_told_in_both_directions() -> None:
    modules = {"stages.download", "specnorm.audio", "specnorm.audio.decode", "specnorm.errors", "specnorm.files"}
    plumbing = {"specnorm.errors": ""}
    assert faults(modules, ["data/raw", "stages/download.py", "specnorm/audio", "specnorm/files.py"], plumbing) == []
    assert faults(modules, ["specnorm/audio/decode.py", "specnorm/files.py", "specnorm/shards"], plumbing) == [
        "specnorm/audio/__init__.py is imported and no dependency",
        "stages/download.py is imported and no dependency",
        "specnorm/shards is a dependency and not imported",
    ]
