"""Settings of the whole test run."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# An example's time says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Float arithmetic is the same bits for the same number of threads; some things always run with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
