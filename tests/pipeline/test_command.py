"""What every command promises: a quiet end at any time, and lines that a terminal only prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from pipeline import command, stage
from specnorm.errors import DataError
from stages import train
from tests import made_up

ROOT = made_up.ROOT
# Each command with a package that it imports, whose place another of the same name takes.
COMMANDS = {
    **{f"stages.{path.stem}": "pydantic" for path in sorted((ROOT / "stages").glob("[a-z]*.py"))},
    "stages.train": "torch",
    "pipeline.compose": "dvc",
    "pipeline.graph": "dvc",
    "pipeline.next": "pydantic",
    "pipeline.scale": "hydra",
    "pipeline.quiet_dvc": "dvc",
    "pipeline.ui": "pydantic",
    "specnorm summary": "pandas",
}
HOSTILE = "\x1b[31m\x9b2J\u202egnp"
SHOWN = r"\x1b[31m\x9b2J\u202egnp"


def environment(*path: Path | str, **variables: str) -> dict[str, str]:
    outer = {name: value for name, value in os.environ.items() if name not in ("DVC_ROOT", "PYTHONUNBUFFERED")}
    return outer | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))} | variables


def started(folder: Path, *argv: str, **variables: str) -> subprocess.Popen[str]:
    """`python -m` something, in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", *argv],
        cwd=folder,
        env=environment(folder, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- interrupts


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupt_while_a_command_imports_ends_it_without_a_word(name: str, tmp_path: Path) -> None:
    """Imports of torch take seconds; an interrupt in one was a traceback of wherever it was."""
    (tmp_path / f"{COMMANDS[name]}.py").write_text("import sys\nprint('importing', flush=True)\nsys.stdin.read()\n")
    with started(tmp_path, *name.split()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (out, err) == ("", "")
    # A shell calls both the same. Where a command had begun it has said the exit code itself.
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)


def test_an_import_as_a_library_leaves_the_handlers_alone() -> None:
    code = "import signal, stages.download; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


def test_while_a_command_works_an_interrupt_unwinds_it_and_then_ends_it_at_once() -> None:
    seen: list[object] = []
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # as while it was imported
    try:

        def work() -> int:
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                seen.append("unwound")
            return 0

        assert command.run("a command", work) == 130
        assert seen == ["unwound"]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_signal_stays_ignored() -> None:
    """As under nohup, or in a script's background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:

        def work() -> int:
            signal.raise_signal(signal.SIGINT)
            return 0

        assert command.run("a command", work) == 0
    finally:
        signal.signal(signal.SIGINT, before)


# --- pipes

WRITER = """
import sys
from pipeline import command

def work():
    {work}
    return 0

sys.exit(command.run("a command", work))
"""


def into_a_closed_pipe(folder: Path, *argv: str) -> tuple[int, str]:
    """Run Python with a standard output that nobody reads; its exit code and what it said of that."""
    read, write = os.pipe()
    os.close(read)
    try:
        found = subprocess.run(
            [sys.executable, *argv],
            cwd=folder,
            env=environment(),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write)
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    "work", ["print('a line')", "print('a line', flush=True)", "print('a' * 100_000)", "command.say('a line')"]
)
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(work: str, tmp_path: Path) -> None:
    """As `| head` does; 141 is what a shell reports of any command that a closed pipe ended."""
    assert into_a_closed_pipe(tmp_path, "-c", WRITER.format(work=work)) == (141, "")


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["stages.download", "--help"], 141),
        (["pipeline.scale", "--help"], 141),
        (["specnorm", "modes"], 1),  # as every program that click runs
    ],
)
def test_so_do_the_commands_themselves(argv: list[str], code: int) -> None:
    assert into_a_closed_pipe(ROOT, "-m", *argv) == (code, "")


def test_an_error_is_told_though_nobody_reads_the_output(tmp_path: Path) -> None:
    work = "print('a line')\n    from specnorm.errors import DataError\n    raise DataError('a fault')"
    assert into_a_closed_pipe(tmp_path, "-c", WRITER.format(work=work)) == (141, "a command: a fault\n")


def test_another_pipe_that_breaks_is_a_bug() -> None:
    def work() -> int:
        raise BrokenPipeError("a socket")

    with pytest.raises(BrokenPipeError, match="a socket"):
        command.run("a command", work)


# --- what is printed


def test_a_terminal_without_the_letters_gets_their_escapes(tmp_path: Path) -> None:
    """A regression: under such a locale the first – or … ended a stage after its work."""
    found = subprocess.run(
        [sys.executable, "-c", WRITER.format(work="command.say('0.5–0.6…')")],
        cwd=tmp_path,
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (found.stdout, found.stderr) == ("0.5\\u20130.6\\u2026\n", "")


def test_lines_on_both_streams_only_print(capfd: pytest.CaptureFixture[str]) -> None:
    command.say(f"a {HOSTILE}\nb")
    command.tell(f"a {HOSTILE}\nb")
    assert capfd.readouterr() == (f"a {SHOWN}\nb\n", f"a {SHOWN} b\n")


def test_errors_warnings_and_refused_arguments_only_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made_up.write_params(tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def work(*_: object) -> None:
        stage.warn(f"this {HOSTILE}\nand that")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = stage._one_line  # type: ignore[assignment]
            warnings.warn(f"look {HOSTILE}\nhere", UserWarning, stacklevel=1)
        raise DataError("a fault", where=HOSTILE)

    assert stage.run(work, []) == 3
    assert capfd.readouterr().err.splitlines() == [
        f"warning: this {SHOWN} and that",
        f"warning: look {SHOWN} here",
        f"test_command: a fault in {SHOWN}",
    ]
    with pytest.raises(SystemExit):
        stage.run(work, [HOSTILE])
    assert capfd.readouterr().err.endswith(f"error: unrecognized arguments: {SHOWN}\n")


# --- arguments


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--fold", "1", "--seed", "-1"], "bad seed in --seed: expected 0 to 2147483647, got -1"),
        (["--fold", "1", "--seed", "2147483648"], "bad seed in --seed: expected 0 to 2147483647, got 2147483648"),
        (["--fold", "0", "--seed", "0"], "bad fold in --fold: expected at least 1, got 0"),
        (["--fold", "-3", "--seed", "0"], "bad fold in --fold: expected at least 1, got -3"),
    ],
)
def test_a_number_that_no_cell_has_is_refused_before_any_file(
    argv: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A regression: torch's own error about the seed, with its traceback."""
    made_up.write_params(tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    assert train.main(["--norm", "global", *argv]) == 2
    assert capfd.readouterr() == ("", f"train: {said}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
