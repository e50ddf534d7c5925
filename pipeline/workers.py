"""Commands run several at a time, their output passed on line by line, and no process left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

from pipeline import machine

_LOOK_S = 0.1  # how often signals and ended processes are looked for
_GRACE_S = 10.0  # from the interrupt that lets a process end by itself to the kill
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """A command that has run: its exit code, how long it took, and every line that it printed."""

    name: str
    code: int
    seconds: float
    lines: list[str]


class SignalError(Exception):
    """A signal ended the run, and no process of it is left."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # as a shell reports it


def run_all(
    commands: Mapping[str, Sequence[str]],
    workers: Sequence[machine.Share],
    *,
    on_start: Callable[[str], None] = lambda _: None,
    on_line: Callable[[str, str], None],
    on_end: Callable[[Ended], bool],
) -> None:
    """Run named commands, in their order, as many at a time as there are workers.

    Args:
        commands: the command of each name.
        workers: what each worker has of the machine.
        on_start: called with a name before its command is started.
        on_line: called with a name and a line that its command printed, standard error among standard output.
        on_end: called when a command has ended; ``False`` lets those under way end and starts no more.

    Raises:
        SignalError: this process got a signal; the commands under way were ended.
    """
    waiting, free, running = deque(commands.items()), deque(workers), list[_Job]()
    with _Signals() as signals, selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and free:
                    name, command = waiting.popleft()
                    on_start(name)
                    job = _Job.start(name, command, free.popleft())
                    running.append(job)
                    selector.register(job.output, selectors.EVENT_READ, job)
                for key, _ in selector.select(_LOOK_S):
                    if not key.data.read(on_line):
                        selector.unregister(key.fileobj)
                for job in [job for job in running if job.process.poll() is not None]:
                    with suppress(KeyError):  # its end was read before
                        selector.unregister(job.output)
                    running.remove(job)
                    free.append(job.share)
                    if not on_end(job.ended(on_line)):
                        waiting.clear()
                signals.check()
        finally:
            _end([job.process for job in running], signals)


def run(command: Sequence[str]) -> int:
    """Run a command with all cores and this process's own output; return its exit code.

    Raises:
        SignalError: this process got a signal; the command was ended.
    """
    with _Signals() as signals:
        process = _start(command, dict(os.environ), None)
        try:
            while process.poll() is None:
                time.sleep(_LOOK_S)
                signals.check()
        finally:
            _end([process], signals)
    return _code(process)


@dataclass
class _Job:
    """A command under way."""

    name: str
    share: machine.Share
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    started: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    _rest: bytes = b""

    @classmethod
    def start(cls, name: str, command: Sequence[str], share: machine.Share) -> _Job:
        with machine.pinned(share.cores):
            process = _start(command, machine.environment(share, os.environ), subprocess.PIPE)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return cls(name, share, process, process.stdout)

    def read(self, on_line: Callable[[str, str], None]) -> bool:
        """Pass on the lines that are there; ``False`` at the end of the output."""
        while True:
            try:
                found = os.read(self.output.fileno(), 1 << 16)
            except BlockingIOError:
                return True
            *whole, self._rest = (self._rest + found).split(b"\n")
            for line in [*whole, *([] if found or not self._rest else [self._rest])]:
                self.lines.append(line.decode(errors="replace").rstrip("\r"))
                on_line(self.name, self.lines[-1])
            if not found:
                self._rest = b""
                return False

    def ended(self, on_line: Callable[[str, str], None]) -> Ended:
        """Take the last lines of a process that is no more, and let none of its children outlive it."""
        _signal_group(self.process, signal.SIGKILL)
        self.read(on_line)
        self.output.close()
        return Ended(self.name, _code(self.process), time.monotonic() - self.started, self.lines)


class _Signals:
    """Notes the signals that end a run, so that they are obeyed where no process can be lost from sight."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._old = {number: signal.getsignal(number) for number in _SIGNALS}

    def __enter__(self) -> _Signals:
        for number, handler in self._old.items():
            if handler is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        if kind is None:
            self.check()  # one that came at the very end counts too

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received.append(number)

    def check(self) -> None:
        if self.received:
            raise SignalError(self.received[0])


def _start(command: Sequence[str], variables: dict[str, str], output: int | None) -> subprocess.Popen[bytes]:
    # A session of its own: the terminal's Ctrl-C reaches this process alone, which then ends every process of it.
    return subprocess.Popen(  # noqa: S603 (a list of words, never a shell's line)
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        env=variables,
        start_new_session=True,
    )


def _end(processes: Sequence[subprocess.Popen[bytes]], signals: _Signals) -> None:
    """End processes with all their children: DVC alone would leave the stage's command running."""
    for process in processes:
        _signal_group(process, signal.SIGINT)  # which lets DVC release its locks
    deadline = time.monotonic() + _GRACE_S
    while any(process.poll() is None for process in processes):
        if time.monotonic() > deadline or len(signals.received) > 1:
            break
        time.sleep(_LOOK_S)
    for process in processes:
        _signal_group(process, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS calls that a lack of permission
        os.killpg(process.pid, number)


def _code(process: subprocess.Popen[bytes]) -> int:
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
