"""Settings of the whole test run."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Read when torch is imported, here and in what the tests start: their tensors are too small to share out, and
# `make test` gives every core a worker. A test whose subject is threads sets their number itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# An example's time says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A test run in the background, or under nohup, is started with these ignored, and so would be what the tests start.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, since some test waits for a browser, a queue or a lock; at most four."""
    from pipeline import share  # here: the library's own tests run without the pipeline

    return min(share.cores() + 1, 4)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several workers, start with the minutes: a long file that comes last leaves the others idle."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after the comparison: the published modes, made-up cells of theirs. Copy it to change it."""
    from stages import compare
    from tests import made_up

    folder = tmp_path_factory.mktemp("finished")
    with made_up.working_in(folder):
        made_up.write_workspace(folder)
        assert compare.main([]) == 0
    return folder


@pytest.fixture
def workspace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to spoil, and to work in."""
    shutil.copytree(finished, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path / "w"


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium, for the tests that look at pages: skipped where there is none, but not in CI."""
    from tests.demo import browser as browsing  # brings Playwright, which most tests do without

    executable = browsing.installed()
    if executable is None:
        missing = f"none of {', '.join(browsing.NAMES)} is on the PATH: the pages were not looked at"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with browsing.launched(executable) as running:
        yield running


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Float arithmetic is the same bits for the same number of threads; some things always run with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
