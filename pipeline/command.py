"""What every command here shares: lines that a terminal only prints, and an end in one line with an exit code."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO

from pipeline import interrupts
from specnorm.errors import SpecnormError, one_line, visible

# What a shell reports for a command that wrote to a pipe which nobody reads any more, as `head` leaves it.
UNREAD = 128 + signal.SIGPIPE


class Parser(argparse.ArgumentParser):
    """Arguments; what is wrong with them is told as every error is."""

    def error(self, message: str) -> NoReturn:
        """Say it, with the usage, and exit with 2."""
        super().error(one_line(message))


def run(name: str, work: Callable[[], int]) -> int:
    """Let a command work; return its exit code, or that of what ended it, which is told in one line.

    Args:
        name: what its lines begin with.
        work: the command; its output may have been closed by its reader, which is no error.
    """
    with suppress(AttributeError):  # a test's, which is no file
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            return _ended(name, work)
        finally:
            sys.stdout.flush()  # here, where a closed pipe can be told from an error; Python's end is too late
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _unread(stream)]
        if not unread:  # another pipe, and so a bug
            raise
        for stream in unread:  # or Python, when it ends, writes to it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return UNREAD


def say(text: str) -> None:
    """Print text for a person, at once; what a label or a name brings into it does nothing to the terminal."""
    print(visible(text), flush=True)


def tell(text: object) -> None:
    """Print one line of what went wrong."""
    print(one_line(text), file=sys.stderr, flush=True)


def _ended(name: str, work: Callable[[], int]) -> int:
    try:
        with interrupts.raised():
            return work()
    except SpecnormError as error:
        tell(f"{name}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        tell(f"{name}: interrupted")
        return interrupts.INTERRUPTED
    except interrupts.TerminatedError:
        tell(f"{name}: terminated")
        return interrupts.TERMINATED


def _unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe without a reader."""
    watch = select.poll()
    try:
        watch.register(stream.fileno(), select.POLLOUT)
    except OSError:  # no file at all
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))
