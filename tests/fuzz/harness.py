"""One target under many inputs: every one ends with an error of ours or with a value, or it is a finding."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from specnorm.errors import SpecnormError
from tests.fuzz.targets import Target


class HangError(BaseException):
    """A reader did not end; not even ``except Exception`` stops it."""


def attack(
    target: Target, *, seed: int, examples: int, keep: Path, until: float = float("inf"), hang_s: float | None = None
) -> Counter[str]:
    """Try a target; returns how many inputs were read and how many refused.

    Args:
        target: which.
        seed: the same one gives the same inputs.
        examples: how many.
        keep: the folder for the input of a failure, the smallest that was found; it must not exist.
        until: when to stop, by :func:`time.monotonic`.
        hang_s: seconds after which an input is a failure.

    Raises:
        Exception: whatever a reader raised that is no :class:`SpecnormError`.
    """
    counts: Counter[str] = Counter()
    failed = False
    with tempfile.TemporaryDirectory(prefix="specnorm-fuzz-") as place:
        sound, spoiled, used = (Path(place) / name for name in ("sound", "spoiled", "used"))
        sound.mkdir()
        target.write(sound)

        @hypothesis.seed(seed)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=False,
        )
        @given(st.data())
        def attempt(data: st.DataObject) -> None:
            nonlocal failed
            for folder in (spoiled, used):
                shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(sound, spoiled)
            draw: Any = data.draw
            target.spoil(draw, spoiled)
            # All is drawn, as Hypothesis asks of every example. A failure is still made small.
            if time.monotonic() > until and not failed:
                return
            shutil.copytree(spoiled, used)
            try:
                with _no_longer_than(hang_s):
                    counts[try_one(target, used)] += 1
            except Exception:
                failed = True
                shutil.rmtree(keep, ignore_errors=True)
                shutil.copytree(spoiled, keep)
                raise

        attempt()
    return counts


def try_one(target: Target, folder: Path) -> str:
    """Read one input; returns how it ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            target.read(folder)
        except SpecnormError as error:
            if "\n" in str(error):
                raise AssertionError("an error of more than one line") from error
            return "refused"
    return "read"


@contextlib.contextmanager
def _no_longer_than(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return

    def stop(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except HangError:
        raise AssertionError(f"a reader that does not end within {seconds:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
