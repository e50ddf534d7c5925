"""One finished tiny run, shared by the tests of a session."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.end_to_end.project import TINY_RUN, Project, copy_of_repository


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose tiny recipe has been run and committed; its workspace is as the test before left it.

    The recipe runs once: the first worker that needs it runs it, the others wait, and each has a copy of its own.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    # One thread: two trainings at once then share two cores, and a tiny network has no use for more.
    finished = Project(folder / "a project with spaces", threads=1)
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a worker left that failed
            copy_of_repository(finished.root, threads=finished.threads).dvc("exp", "run", *TINY_RUN)
            finished.commit("tiny results")
            (folder / "done").touch()
    return finished.copied(tmp_path_factory.mktemp("pipeline") / finished.root.name)


@pytest.fixture(scope="session")
def tracked(project: Project) -> Project:
    """The project with a filled MLflow store of its own."""
    project.run("python", "-m", "stages.track")
    return project


@pytest.fixture
def shared_audio() -> Path:
    """The folder of real audio beside the checkout."""
    folder = Path(__file__).parents[3] / "shared/data"
    if not folder.is_dir():
        pytest.skip("no real audio beside this checkout")
    return folder
