"""A mode's name reaches a shell as one word of `cmd`, whatever it holds, though the parameters were not checked.

The first stage refuses such a name, and `dvc repro --single-item` runs another stage without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from dvc.stage.run import _enforce_cmd_list, _make_cmd

from specnorm import params
from specnorm.errors import ConfigurationError
from tests import made_up

NAMES = [
    "a b",
    "a'b",
    "a\\'b",
    'a"b',
    "a; touch executed",
    "a && touch executed #",
    "a | touch executed",
    "$(touch executed)",
    "`touch executed`",
    "';touch executed;'",
    "\"';touch executed;'\"",
    "\\';touch executed;\\'",
    "$HOME",
    "*",
    "~",
    "!!",
    "<params.yaml",
    ">executed",
    "#b",
    "\\",
    "${item.fold}",
    "--fold=3",
    "-x",
    "ü\u202e\x1b[31m",
]
# DVC runs a command of several lines line by line.
LINES = [
    "a\ntouch executed",
    "a\ntouch executed\n'",
    "'\ntouch executed\n'",
    "a\rtouch executed",
    "a\u2028touch executed",
]
SHELLS = [path for name in ("sh", "bash", "dash", "zsh") if (path := shutil.which(name))]


def commands(folder: Path, names: list[str]) -> dict[str, str]:
    """The `cmd` that DVC makes of `dvc.yaml` for each stage of modes of these names, by the stage's address."""
    shutil.copy(made_up.ROOT / "dvc.yaml", folder)

    def hostile(values: dict[str, Any]) -> None:
        values["norm"] = {name: {"kind": "identity", "waveform": "raw"} for name in names}
        values["protocol"] = {"folds": [1], "seeds": [0]}

    made_up.write_params(folder / "params.yaml", hostile)
    with Repo.init(str(folder), no_scm=True) as repo:
        return {stage.addressing.rpartition(":")[2]: stage.cmd for stage in repo.index.stages}


def ran(folder: Path, shell: str, cmd: str) -> list[str]:
    """The words that the program of a command got, run as DVC runs it; a line that fails ends it."""
    python = folder / "bin/python"
    python.parent.mkdir(exist_ok=True)
    python.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    python.chmod(0o755)
    words: list[str] = []
    for line in _enforce_cmd_list(cmd):
        found = subprocess.run(
            _make_cmd(shell, line),
            cwd=folder,
            env=os.environ | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            check=False,
        )
        words += found.stdout.decode().split("\0")[:-1]
        if found.returncode:
            break
    return words


@pytest.mark.parametrize("shell", SHELLS)
def test_a_hostile_name_is_one_word_and_nothing_of_it_runs(tmp_path: Path, shell: str) -> None:
    found = commands(tmp_path, NAMES)
    for name in NAMES:
        fitted = ran(tmp_path, shell, found[f"normalizers@{name}"])
        assert fitted == ["-m", "stages.normalizers", "--norm", name]
        trained = ran(tmp_path, shell, found[f"train@{name}-1-0"])
        assert trained == ["-m", "stages.train", "--norm", name, "--fold", "1", "--seed", "0"]
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_name_of_several_lines_runs_nothing(tmp_path: Path, shell: str) -> None:
    """Its first line ends within quotes, which no shell takes."""
    for cmd in commands(tmp_path, LINES).values():
        if "--norm" in cmd:
            assert ran(tmp_path, shell, cmd) == []
    assert not (tmp_path / "executed").exists()


def test_an_ordinary_name_makes_the_command_that_a_person_types(tmp_path: Path) -> None:
    """It stands in `dvc.lock`: another text trains every cell again."""
    found = commands(tmp_path, ["global_raw"])
    assert found["normalizers@global_raw"] == "python -m stages.normalizers --norm global_raw"
    assert found["train@global_raw-1-0"] == "python -m stages.train --norm global_raw --fold 1 --seed 0"


@pytest.mark.parametrize("name", [*NAMES, *LINES, "", "../a", "/a", "_a", "é"])
def test_the_door_refuses_every_such_name(tmp_path: Path, name: str) -> None:
    values = made_up.write_params(tmp_path / "params.yaml")
    values["norm"][name] = values["norm"].pop("global")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigurationError, match="expected letters, digits and _, starting with no _") as caught:
        params.load(tmp_path / "params.yaml")
    assert str(caught.value).isprintable()
