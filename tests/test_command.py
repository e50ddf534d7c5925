"""The command line: what it prints, how it fails, and that it imports nothing that it does not need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

import specnorm
from specnorm import __main__
from specnorm.report import results
from stages import normalizers
from tests import made_up

ROOT = made_up.ROOT
GRID = ["channel", "channel_raw", "global", "global_raw", "none", "waveform"]
HEAVY = {"torch", "torchaudio", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "mlflow", "pydantic", "ruamel"}

GLOBAL = "Subtracts one mean and divides by one deviation, the training set's over all frequency bins."


def run(*argv: str) -> Result:
    return CliRunner().invoke(__main__.main, argv, prog_name="specnorm")


def program(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m specnorm` in the working directory."""
    return subprocess.run(
        [sys.executable, "-m", "specnorm", *argv],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


# --- the whole


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_names_every_command_and_its_sentence(flag: str) -> None:
    found = run(flag)
    assert found.exit_code == 0
    modules = {path.stem for path in Path(specnorm.__file__).parent.glob("commands/*.py")} - {"__init__"}
    listed = dict(re.findall(r"^  (\w+)  +(\S.*\.)$", found.stdout.partition("Commands:")[2], re.MULTILINE))
    assert set(listed) == modules
    for name in modules:
        help_of = run(name, flag)
        assert help_of.exit_code == 0
        assert help_of.stdout.startswith(f"Usage: specnorm {name} ")
        assert listed[name] in help_of.stdout


def test_the_version_is_the_library_s() -> None:
    assert run("--version").stdout == f"specnorm {specnorm.__version__}\n"
    try:
        assert version("specnorm") == specnorm.__version__
    except PackageNotFoundError:
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert declared == specnorm.__version__


def test_the_entry_point_is_the_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["specnorm"].partition(":")
    assert getattr(sys.modules[module], name) is __main__.main


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["summry"], "No such command 'summry'"),
        (["../summary"], "No such command"),
        (["summary", "--jsn"], "Did you mean '--json'?"),
        (["summary", "a", "b"], "unexpected extra argument"),
        (["modes", "a"], "unexpected extra argument"),
    ],
)
def test_a_wrong_use_is_2_and_says_what(argv: list[str], said: str) -> None:
    found = run(*argv)
    assert found.exit_code == 2
    assert found.stdout == ""
    assert said in found.stderr


def test_an_interrupt_is_what_a_shell_calls_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "read", interrupted)
    found = run("summary")
    assert (found.exit_code, found.output) == (130, "")


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["summary", "--help"], ["modes", "--help"], ["nothing"]])
def test_what_needs_no_library_imports_none(argv: list[str]) -> None:
    code = (
        "import sys, specnorm.__main__\n"
        "try: specnorm.__main__.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(found.stderr.splitlines()[-1].split())


def test_scale_is_the_pipelines_and_elsewhere_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = program("scale", "run", "--help")
    assert found.returncode == 0
    assert found.stdout.startswith("usage: specnorm scale run ")
    monkeypatch.chdir(tmp_path)
    found = program("scale", "run", "train")
    assert found.returncode == 2
    assert found.stderr.endswith("expected a checkout of specnorm, got none\n")


def test_a_shell_completes_commands_and_options() -> None:
    for words, count, expected in (
        ("specnorm ", 1, ["modes", "scale", "summary"]),
        ("specnorm summary --js", 2, ["--json"]),
    ):
        found = CliRunner().invoke(
            __main__.main,
            prog_name="specnorm",
            env={"_SPECNORM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)},
        )
        assert [line.partition(",")[2] for line in found.stdout.splitlines()] == expected


def test_the_documented_line_makes_a_completion_of_this_program() -> None:
    (name, kind) = re.search(r"\$\((\w+)=(\w+) specnorm\)", (ROOT / "docs/pipeline.md").read_text()).groups()  # type: ignore[union-attr]
    found = CliRunner().invoke(__main__.main, prog_name="specnorm", env={name: kind.replace("bash", "zsh")})
    assert found.exit_code == 0
    assert "compdef" in found.stdout


# --- summary


def test_the_summary_in_words(finished: Path) -> None:
    found = run("summary", str(finished / "data/comparison"))
    assert (found.exit_code, found.stderr) == (0, "")
    verdict = results.read(finished / "data/comparison").verdict
    assert found.stdout.startswith(f"{verdict.title}\n\n{verdict.decision.sentence}.\n")
    assert all(f"{pair.sentence}.\n" in found.stdout for pair in verdict.pairs)
    assert all(f"{effect.sentence}.\n" in found.stdout for effect in verdict.noop.effects)


def test_the_summary_as_json_has_the_documented_fields(workspace: Path) -> None:
    found = run("summary", "--json")  # the folder is the pipeline's own where none is named
    assert found.exit_code == 0
    described = (ROOT / "docs/verdict.md").read_text()

    def names(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield str(name)
                yield from names(inner)
        if isinstance(value, list):
            for inner in value[:1]:
                yield from names(inner)

    fields = described.partition("## verdict.json")[2]
    documented = set(re.findall(r"`([a-z0-9_]+)`", fields)) - {"null", "one", "other"} | {"one", "other"}
    assert set(names(json.loads(found.stdout))) == documented - {"format"} | {"format"}


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_summary_only_prints_whatever_the_comparison_is_called(tmp_path: Path, flags: list[str]) -> None:
    """Somebody else's results may hold what a terminal obeys."""
    hostile = "café \x1b[31m\x9b2J\u202egnp"
    said = made_up.document({"none": {}, "global": {}}, title=hostile, caveat=hostile)
    results.write(tmp_path, {"verdict.json": said.to_json().encode()})
    found = run("summary", str(tmp_path), *flags)
    assert found.exit_code == 0
    assert found.stdout.replace("\n", "").isprintable()
    if flags:
        assert json.loads(found.stdout)["title"] == hostile
    else:
        assert found.stdout.count(r"café \x1b[31m\x9b2J\u202egnp") == 2


@pytest.mark.parametrize("argv", [["\x9b2J"], ["--\x9b2J"], ["summary", "a", "\x9b2J"], ["summary", "\x9b2J"]])
def test_a_wrong_use_only_prints(argv: list[str]) -> None:
    found = run(*argv)
    assert found.exit_code in (2, 4)
    assert r"\x9b2J" in found.stderr
    assert found.stderr.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["cells.csv", "summary.csv", "verdict.json", "report.html"])
def test_an_edited_result_is_an_error_that_names_the_file(workspace: Path, name: str) -> None:
    path = workspace / "data/comparison" / name
    path.write_text(path.read_text().replace("0.", "0.9", 1))
    found = run("summary")
    assert found.exit_code == 4
    assert found.stdout == ""
    assert found.stderr.startswith("specnorm summary: ")
    assert f"data/comparison/{name}" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_no_results_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a program: the exit code reaches the shell."""
    monkeypatch.chdir(tmp_path)
    found = program("summary")
    assert (found.returncode, found.stdout) == (4, "")
    assert "summary: missing file in data/comparison/" in found.stderr
    assert len(found.stderr.splitlines()) == 1


# --- modes


def test_a_checkout_has_its_modes_each_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = json.loads(run("modes", "--json").stdout)
    assert [mode["mode"] for mode in found] == GRID
    for mode in found:
        values = yaml.safe_load((ROOT / f"conf/norm/{mode['mode']}.yaml").read_text())
        assert values == {name: mode[name] for name in ("kind", "waveform", "description")}
        assert re.fullmatch(r"[A-Z][^.]+\.", mode["description"])
    assert len({mode["description"] for mode in found}) == len(found)
    words = " ".join(run("modes").stdout.split())
    for mode in found:
        told = f"{mode['mode']} {mode['description']} [{mode['kind']}, {mode['waveform']} waveform]"
        assert told in words


def test_without_a_checkout_there_are_the_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = {mode["kind"]: mode for mode in json.loads(run("modes", "--json").stdout)}
    assert {"channel", "global", "identity"} <= set(found)
    assert found["global"] == {
        "kind": "global",
        "description": GLOBAL,
    }
    assert "global" in run("modes").stdout


def test_the_modes_of_a_checkout_need_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = (
        "import sys, specnorm.__main__\n"
        "try: specnorm.__main__.main(['modes'])\n"
        "except SystemExit: print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.endswith("\nFalse False\n")


def test_a_mode_without_a_sentence_has_its_kind_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf/norm").mkdir(parents=True)
    (tmp_path / "conf/norm/mine.yaml").write_text("# @package norm.mine\nkind: global\nwaveform: raw\nfloor_db: 3\n")
    (tmp_path / "conf/norm/set.yaml").write_text("# @package norm\ndefaults: [mine]\n")
    monkeypatch.chdir(tmp_path)
    assert json.loads(run("modes", "--json").stdout) == [
        {
            "mode": "mine",
            "kind": "global",
            "waveform": "raw",
            "description": GLOBAL,
        }
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: global\nkind: global\n", "conf/norm/mine.yaml, line 2: expected YAML, got found duplicate key"),
        ("kind: global\nwaveform: both\n", "bad parameter waveform in conf/norm/mine.yaml: expected 'raw' or"),
        ("kind: global\n", "missing parameter waveform in conf/norm/mine.yaml"),
        ("kind: globl\nwaveform: raw\n", "unknown kind of normaliser"),
        ("- 1\n", "bad parameters in conf/norm/mine.yaml: expected a mapping, got [1]"),
        ("kind: global\nwaveform: raw\ndescription: ''\n", "bad parameter description in conf/norm/mine.yaml"),
    ],
)
def test_a_mode_s_faulty_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    (tmp_path / "conf/norm").mkdir(parents=True)
    (tmp_path / "conf/norm/mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = run("modes")
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith("specnorm modes: ")
    assert said in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_another_sentence_leaves_a_fitted_mode_as_it_is(workspace: Path) -> None:
    """A cell depends on that file, so it is not trained again."""
    files = sorted((workspace / "data/normalizers/channel").iterdir())
    before = [path.read_bytes() for path in files]
    values = yaml.safe_load((workspace / "params.yaml").read_text())
    assert values["norm"]["channel"]["description"]
    values["norm"]["channel"]["description"] = "Another sentence."
    (workspace / "params.yaml").write_text(yaml.safe_dump(values))
    assert normalizers.main(["--norm", "channel"]) == 0
    assert [path.read_bytes() for path in files] == before
