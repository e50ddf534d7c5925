"""Commands side by side: what is started when, what is shown of them, and that none is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from pipeline import machine, workers
from pipeline.machine import Share
from pipeline.workers import Ended

# Waits for the other command; neither could end if they ran one after another.
MEET = """
import sys, time
from pathlib import Path
Path(sys.argv[1]).touch()
deadline = time.monotonic() + 60
while not Path(sys.argv[2]).exists():
    if time.monotonic() > deadline: sys.exit("nobody came")
    time.sleep(0.01)
"""
# Starts a child of its own, as DVC does, and tells this process to end.
CALL_FOR_THE_END = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import signal, time; {child}; time.sleep(600)"])
Path("child").write_text(str(child.pid))
os.kill(os.getppid(), {number})
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def share(count: int = 1) -> list[Share]:
    """Workers that all have the same one core."""
    core = machine.cores_of_this_process()[0].number
    return [Share((core,), 1, None, 1.0) for _ in range(count)]


def python(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", text, *arguments]


class Log:
    """Everything that was reported."""

    def __init__(self, *, go_on: bool = True) -> None:
        self.lines: list[tuple[str, str]] = []
        self.ended: list[Ended] = []
        self.go_on = go_on

    def run(self, commands: dict[str, list[str]], count: int = 1) -> None:
        def on_end(ended: Ended) -> bool:
            self.ended.append(ended)
            return self.go_on or ended.code == 0

        workers.run_all(commands, share(count), on_line=lambda *line: self.lines.append(line), on_end=on_end)

    @property
    def codes(self) -> dict[str, int]:
        return {ended.name: ended.code for ended in self.ended}


def test_as_many_run_at_a_time_as_there_are_workers() -> None:
    log = Log()
    log.run({"a": python(MEET, "a", "b"), "b": python(MEET, "b", "a")}, count=2)
    assert log.codes == {"a": 0, "b": 0}


def test_and_never_more() -> None:
    count = "import os; open(f'{os.getpid()}.on', 'w').close(); print(len([n for n in os.listdir() if '.on' in n]));"
    count += "import time; time.sleep(0.05); os.remove(f'{os.getpid()}.on')"
    log = Log()
    log.run({str(number): python(count) for number in range(6)}, count=2)
    assert log.codes == dict.fromkeys("012345", 0)
    assert {line for _, line in log.lines} <= {"1", "2"}


def test_one_worker_keeps_the_order() -> None:
    log = Log()
    log.run({name: python(f"print('{name}')") for name in "cab"})
    assert log.lines == [("c", "c"), ("a", "a"), ("b", "b")]
    assert [ended.name for ended in log.ended] == ["c", "a", "b"]


def test_a_worker_hands_its_threads_and_gpu_on() -> None:
    shown = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'])"
    given = [Share(share()[0].cores, 3, "7", 1.0)]
    lines: list[str] = []
    workers.run_all({"a": python(shown)}, given, on_line=lambda _, line: lines.append(line), on_end=lambda _: True)
    assert lines[0].split()[1] == "7"
    assert int(lines[0].split()[0]) <= 3


def test_lines_arrive_whole_whatever_the_pieces() -> None:
    text = """if True:
        import os, sys
        os.write(1, b"one "); os.write(1, b"line\\n\\nan"); sys.stderr.write("d error\\r\\n"); sys.stderr.flush()
        os.write(1, "ü \\N{SNOWMAN}".encode() + b"\\xff\\n" + b"x" * 300000 + b"\\nthe end")
    """
    log = Log()
    log.run({"a": python(text)})
    assert [line for _, line in log.lines] == ["one line", "", "and error", "ü ☃\ufffd", "x" * 300000, "the end"]
    assert log.ended[0].lines == [line for _, line in log.lines]


def test_codes_are_those_of_a_shell() -> None:
    log = Log()
    log.run({"a": python("raise SystemExit(6)"), "b": python("import os; os.kill(os.getpid(), 9)")})
    assert log.codes == {"a": 6, "b": 137}
    assert workers.run(python("raise SystemExit(4)")) == 4


def test_after_a_failure_those_under_way_end_and_no_other_starts() -> None:
    fail = python(MEET + "sys.exit(3)", "a", "b")
    slow = python(MEET + "time.sleep(0.3); print('whole')", "b", "a")
    log = Log(go_on=False)
    log.run({"a": fail, "b": slow, "c": python("")}, count=2)
    assert log.codes == {"a": 3, "b": 0}
    assert ("b", "whole") in log.lines


def test_a_failure_need_not_keep_the_others_from_starting() -> None:
    log = Log()
    log.run({"a": python("raise SystemExit(3)"), "b": python("")})
    assert log.codes == {"a": 3, "b": 0}


def test_a_command_that_ends_leaves_no_child() -> None:
    orphan = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    log = Log()
    log.run({"a": python(orphan + "print(p.pid, flush=True)")})
    assert gone(int(log.lines[0][1]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("alone", [True, False])
def test_a_signal_ends_every_process(number: signal.Signals, alone: bool) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    command = python(CALL_FOR_THE_END.format(number=int(number), child="0"))
    with pytest.raises(workers.SignalError, match=number.name) as caught:
        workers.run(command) if alone else Log().run({"a": command, "b": python("")})
    assert caught.value.exit_code == 128 + number
    assert gone(int(Path("child").read_text()))
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_a_process_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_GRACE_S", 0.2)
    deaf = CALL_FOR_THE_END.format(number=int(signal.SIGTERM), child="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    with pytest.raises(workers.SignalError):
        Log().run({"a": python("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + deaf)})
    assert gone(int(Path("child").read_text()))


def test_a_second_signal_kills_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_GRACE_S", float("inf"))
    again = "import os, signal; signal.signal(signal.SIGINT, lambda *_: os.kill(os.getppid(), signal.SIGINT))"
    with pytest.raises(workers.SignalError):
        Log().run({"a": python(again + CALL_FOR_THE_END.format(number=int(signal.SIGINT), child="0"))})


def test_an_error_of_our_own_leaves_nothing_either() -> None:
    started: list[int] = []

    def on_line(_: str, line: str) -> None:
        started.append(int(line))
        raise BrokenPipeError

    sleeper = python("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    with pytest.raises(BrokenPipeError):
        workers.run_all({"a": sleeper}, share(), on_line=on_line, on_end=lambda _: True)
    assert gone(started[0])


def test_a_signal_at_the_very_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(workers.SignalError):
        workers.run(python(""))


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup does
    try:
        assert workers.run(python(f"import os; os.kill(os.getppid(), {int(signal.SIGHUP)})")) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def gone(pid: int) -> bool:
    """Whether a process has ended; the system takes a moment to kill it."""
    assert pid != os.getpid()
    try:
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:  # nobody may be there to take note of an orphan's end
            process.wait(30)
    except psutil.NoSuchProcess:
        pass
    return True
