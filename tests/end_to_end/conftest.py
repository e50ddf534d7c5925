"""One finished tiny run, shared by the tests of a session."""

from pathlib import Path

import pytest

from tests.end_to_end.project import TINY_RUN, Project, copy_of_repository


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose tiny recipe has been run and committed; its workspace is as the test before left it."""
    # One thread: two trainings at once then share two cores, and a tiny network has no use for more.
    made = copy_of_repository(tmp_path_factory.mktemp("pipeline") / "a project with spaces", threads=1)
    made.dvc("exp", "run", *TINY_RUN)
    made.commit("tiny results")
    return made


@pytest.fixture
def shared_audio() -> Path:
    """The folder of real audio beside the checkout."""
    folder = Path(__file__).parents[3] / "shared/data"
    if not folder.is_dir():
        pytest.skip("no real audio beside this checkout")
    return folder
