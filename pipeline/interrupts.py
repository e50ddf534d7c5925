"""How a command ends when it is asked to: at once while it starts, and unwinding its work after that."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# What a shell reports for a command that the signal ended.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class TerminatedError(BaseException):
    """A scheduler asks for the end; like an interrupt, nothing but the end of the command catches it."""


def end_at_once_while_importing() -> None:
    """Let Ctrl-C end a command that is still importing, as SIGTERM does: without a word, and there is nothing to undo.

    The packages of the commands call it as they are imported, which is before the seconds that torch takes. Only where
    Python was told to run a module of theirs: it says so by a first argument of ``-m`` until it has found that module.
    """
    if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def raised() -> Iterator[None]:
    """Let the signals unwind the block, so that it leaves no partial file; Ctrl-C as ``KeyboardInterrupt``.

    One that is ignored stays so, as under nohup.
    """

    def stop(*_: object) -> None:
        raise TerminatedError

    handlers: dict[signal.Signals, Callable[[int, FrameType | None], object]] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: stop,
    }
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        for number, handler in handlers.items():
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
