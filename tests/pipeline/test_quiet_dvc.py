"""DVC's own commands, without its lines on what no run has made yet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.cli import main as dvc
from dvc.repo import Repo

from pipeline import quiet_dvc

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own

LINE = "No file hash info found"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A repository whose one stage has never run."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text("stages:\n  make:\n    cmd: echo made > out\n    outs: [out]\n")
    Repo.init(no_scm=True).close()
    loggers = [logging.getLogger(name) for name in quiet_dvc._CHECKOUTS]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def test_what_is_not_made_yet_is_no_line(caplog: pytest.LogCaptureFixture) -> None:
    dvc(["checkout", "--allow-missing"])
    assert LINE in caplog.text, "DVC says it no more: remove pipeline/quiet_dvc.py"
    caplog.clear()
    quiet_dvc.main(["checkout", "--allow-missing"])
    assert LINE not in caplog.text


def test_all_else_is_said_and_the_exit_code_is_dvcs(caplog: pytest.LogCaptureFixture) -> None:
    assert quiet_dvc.main(["repro"]) == 0
    assert "Running stage 'make'" in caplog.text
    assert Path("out").read_text() == "made\n"
    assert quiet_dvc.main(["repro", "nothing"]) == 255
