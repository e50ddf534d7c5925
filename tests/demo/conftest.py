"""The demo, run once for everything that looks at its results."""

import sys

import pytest

from tests.end_to_end.project import Project, copy_of_repository


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """The project in which `make demo` was run, and what it printed."""
    project = copy_of_repository(tmp_path_factory.mktemp("demo") / "clone")
    ready = f"{sys.prefix}/.ready"  # this environment serves; a fresh clone would make its own
    ran = project.run("make", f"--assume-old={ready}", f"VENV={sys.prefix}", "demo")
    return project, ran.output
