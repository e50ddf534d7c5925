"""`conf/`, `params.yaml` and `dvc.yaml` say the same: what is composed is committed, what is read is declared."""

from __future__ import annotations

import ast
import itertools
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import compose_and_dump

from pipeline import compose, options
from specnorm import params
from specnorm.audio.front_end import FrontEnd
from specnorm.errors import ConfigurationError
from specnorm.normalization import fitted
from specnorm.params.dataset import CsvParams, FolderParams, SyntheticParams

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# `executor` says where cells run, and is no part of the parameters.
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "executor")
OPTIONS = [f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
OWN = ["dataset=csv", "dataset=folder"]  # need a source
PUBLISHED_MODES = ["none", "waveform", "global", "channel"]
GRID = ["none", "waveform", "global_raw", "channel_raw", "global", "channel"]


def composed(folder: Path, *overrides: str) -> Path:
    """`conf/` with overrides as `dvc exp run -S` gives them, as the file that it leaves."""
    path = folder / "params.yaml"
    compose_and_dump(str(path), str(CONF), None, "config", None, list(overrides))
    return path


def loaded(folder: Path, *overrides: str) -> params.Params:
    checked = params.load(composed(folder, *overrides))
    for mode, settings in checked.norm.items():
        fitted.check(mode, settings)
    return checked


def test_the_committed_parameters_are_the_composed_ones(tmp_path: Path) -> None:
    committed = (ROOT / "params.yaml").read_bytes()
    assert composed(tmp_path).read_bytes() == committed, "run `make params`"


def test_there_are_options_to_check() -> None:
    assert {"dataset=esc50", "spectrogram=mel", "norm=factorial", "experiment=demo"} < set(OPTIONS)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in OWN])
def test_every_option_alone_is_accepted(tmp_path: Path, option: str) -> None:
    checked = loaded(tmp_path, option)
    group, _, name = option.partition("=")
    if group == "experiment":
        assert checked.recipe == name


@pytest.mark.parametrize(
    ("experiment", "dataset", "spectrogram"),
    list(
        itertools.product(
            [path.stem for path in sorted((CONF / "experiment").glob("*.yaml"))],
            ["esc50", "esc10", "synthetic"],
            ["linear", "mel"],
        )
    ),
)
def test_a_choice_on_top_of_an_experiment_is_composed_or_refused_by_name(
    tmp_path: Path, experiment: str, dataset: str, spectrogram: str
) -> None:
    """An experiment's plain values may not fit another option's fields; that must be said, never swallowed.

    A regression: the demo's number of mel bands stayed where linear spectrograms were asked for.
    """
    overrides = [f"experiment={experiment}", f"dataset={dataset}", f"spectrogram={spectrogram}"]
    if experiment == "demo" and dataset != "synthetic":
        said = r"unknown parameter dataset\.\w+ in .*\. \S+demo\.yaml sets it for another dataset: leave out `dataset="
        with pytest.raises(ConfigurationError, match=said):
            options.load(composed(tmp_path, *overrides), CONF)
        return
    checked = loaded(tmp_path, *overrides)
    assert checked.spectrogram.transform == spectrogram
    assert checked.dataset.kind == ("synthetic" if dataset == "synthetic" else "esc50")


@pytest.mark.parametrize("own", OWN)
def test_a_data_set_of_one_s_own_needs_its_source(tmp_path: Path, own: str) -> None:
    checked = loaded(tmp_path, own, "dataset.source=clips.zip")
    assert isinstance(checked.dataset, CsvParams | FolderParams)
    assert checked.dataset.source == "clips.zip"
    # Hydra writes its own mark of a missing value into params.yaml.
    with pytest.raises(
        ConfigurationError, match=r"parameter dataset\.source in .*: expected a zip or a folder, got '\?{3}'"
    ):
        loaded(tmp_path, own)


def test_a_pattern_for_groups_goes_through_hydra_in_quotes(tmp_path: Path) -> None:
    checked = loaded(
        tmp_path, "dataset=folder", "dataset.source=a", r"dataset.group_pattern='^\w+?_([a-z]{2,})_(?:\d+)'"
    )
    assert isinstance(checked.dataset, FolderParams)
    assert checked.dataset.group_pattern == r"^\w+?_([a-z]{2,})_(?:\d+)"


def test_every_data_set_may_be_named(tmp_path: Path) -> None:
    for dataset in ("esc50", "esc10", "synthetic"):
        assert loaded(tmp_path, f"dataset={dataset}", "dataset.name='my own'").dataset.name == "my own"


@pytest.mark.parametrize(
    ("override", "modes"),
    [
        ("norm=post", ["none", "global", "channel"]),
        ("norm=factorial", GRID),
        ("norm=[global,channel]", ["global", "channel"]),
        ("norm=[global]", ["global"]),
        *((f"norm={mode}", [mode]) for mode in GRID),
    ],
)
@pytest.mark.parametrize("experiment", ["default", "demo", "esc10_small", "post"])
def test_modes_are_chosen_one_by_one_or_by_a_set_s_name(
    tmp_path: Path, override: str, modes: list[str], experiment: str
) -> None:
    checked = loaded(tmp_path, f"experiment={experiment}", override)
    assert list(checked.norm) == modes


def test_each_mode_is_one_kind_on_one_waveform(tmp_path: Path) -> None:
    grid = {
        mode: (settings.kind, settings.waveform) for mode, settings in loaded(tmp_path, "norm=factorial").norm.items()
    }
    assert grid == {
        "none": ("identity", "raw"),
        "waveform": ("identity", "standardized"),
        "global_raw": ("global", "raw"),
        "channel_raw": ("channel", "raw"),
        "global": ("global", "standardized"),
        "channel": ("channel", "standardized"),
    }


@pytest.mark.parametrize("transform", ["linear", "mel"])
def test_the_front_ends_of_the_library_have_the_pipelines_defaults(tmp_path: Path, transform: str) -> None:
    library = getattr(FrontEnd, transform)()
    assert library.params == loaded(tmp_path, f"spectrogram={transform}").spectrogram


def test_recipes_are_what_they_are_called(tmp_path: Path) -> None:
    default, post = loaded(tmp_path), loaded(tmp_path, "experiment=post")
    assert (list(default.norm), default.protocol.folds, default.protocol.seeds) == (
        PUBLISHED_MODES,
        [1, 2, 3, 4, 5],
        [0],
    )
    assert (list(post.norm), post.protocol.folds, post.protocol.seeds) == (
        ["none", "global", "channel"],
        [1],
        [0, 1, 2, 3, 4],
    )
    assert post.spectrogram == default.spectrogram
    assert (default.spectrogram.bins, default.spectrogram.frames) == (201, 401)  # the published shape
    demo = loaded(tmp_path, "experiment=demo")
    assert isinstance(demo.dataset, SyntheticParams)
    assert demo.protocol.folds == list(range(1, demo.dataset.folds + 1))
    assert demo.dataset.clip_seconds == demo.spectrogram.clip_seconds


def test_an_override_wins_over_its_experiment(tmp_path: Path) -> None:
    checked = loaded(tmp_path, "experiment=demo", "train.epochs=3", "protocol.seeds=[7,8]", "dataset.sources=1")
    assert (checked.train.epochs, checked.protocol.seeds) == (3, [7, 8])


@pytest.mark.parametrize("override", ["train.epoch=3", "norm.globl.kind=identity", "trian.epochs=3"])
def test_hydra_refuses_an_override_of_nothing(tmp_path: Path, override: str) -> None:
    with pytest.raises(Exception, match=r"(Could not override|Key .* is not in struct)"):
        composed(tmp_path, override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+train.epoch=3", "unknown parameter train.epoch in .*Did you mean epochs?"),
        ("+norm.none.floor_db=1", "unknown parameter norm.none.floor_db"),
        ("train.learning_rate='1e-3'", "bad parameter train.learning_rate in .*expected a valid number, got '1e-3'"),
        ("train.device=tpu", "bad parameter train.device in .*expected auto, cpu, mps, cuda"),
        ("norm.none.kind=identiti", "expected one of channel, global, identity"),
    ],
)
def test_what_hydra_lets_through_is_refused_at_our_door(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        loaded(tmp_path, override)


# --- the stages read what dvc.yaml declares, and nothing else

Keys = set[str]  # dotted, one or two names long


def declared(stage: str) -> Keys:
    found = set()
    for entry in PIPELINE[stage].get("params", []):
        assert isinstance(entry, str), f"{stage}: a params file of its own is not covered by this test"
        section, _, rest = entry.partition(".")
        found.add(section if not rest or rest.startswith("${") else f"{section}.{rest.split('.')[0]}")
    return found


NO_RESULT = {"train.memory_gb"}  # read, and changes where the clips lie but no number
# Sections that a stage only holds against what its dependencies say that they were made with. Where they differ it has
# no outputs; and declared, they would train a mode's cells again for a statistic that it does not use, or a sentence.
HELD = {
    "normalizers": {"spectrogram", "statistics"},
    "train": {"norm", "spectrogram", "statistics"},
    "compare": {"statistics"},
}
TOLD = {"train": {"protocol"}}  # read to print how far a run is, and in no output


class Module:
    """Functions of one of our stage modules, and what each reads from the parameters that it is given."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    def reads(self, function: str, others: dict[str, Module], *, argument: int | None = None) -> Keys:
        node = self.functions[function]
        arguments = [*node.args.posonlyargs, *node.args.args]
        if argument is not None:
            names = {arguments[argument].arg}
        else:
            names = {one.arg for one in arguments if one.annotation and _is_params(one.annotation)}
        parents = {child: parent for parent in ast.walk(node) for child in ast.iter_child_nodes(parent)}
        found: Keys = set()
        for use in ast.walk(node):
            if isinstance(use, ast.Name) and use.id in names and isinstance(use.ctx, ast.Load):
                found |= self._use(use, parents, others)
        return found

    def _use(self, use: ast.Name, parents: dict[ast.AST, ast.AST], others: dict[str, Module]) -> Keys:
        parent = parents[use]
        if isinstance(parent, ast.Attribute):
            if parent.attr == "model_dump":
                return set(params.Params.model_fields)
            assert parent.attr in params.Params.model_fields, f"params.{parent.attr}"
            above = parents[parent]
            deeper = isinstance(above, ast.Attribute) and above.attr in _fields(parent.attr)
            return {f"{parent.attr}.{above.attr}" if deeper else parent.attr}  # type: ignore[union-attr]
        assert isinstance(parent, ast.Call), f"line {use.lineno}: the parameters go where this test cannot follow"
        place = parent.args.index(use)
        called = parent.func
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            return others[called.value.id].reads(called.attr, others, argument=place)
        assert isinstance(called, ast.Name), f"line {use.lineno}: the parameters go where this test cannot follow"
        home = next(module for module in [self, *others.values()] if called.id in module.functions)
        return home.reads(called.id, others, argument=place)


def _is_params(annotation: ast.expr) -> bool:
    return ast.unparse(annotation) in ("Params", "params.Params")


def _fields(section: str) -> Iterable[str]:
    model = params.Params.model_fields[section].annotation
    return getattr(model, "model_fields", ())


def read(stage: str) -> Keys:
    modules = {
        path.stem: Module(path.read_text())
        for room in ("specnorm", "pipeline", "stages")  # a stage stands for itself, whatever else is called like it
        for path in (ROOT / room).rglob("*.py")
    }
    return modules[stage].reads("work", modules)


def covers(keys: Keys, key: str) -> bool:
    """Whether ``keys`` hold the dotted ``key``, its section, or a part of it."""
    return key in keys or key.split(".")[0] in keys or any(other.startswith(f"{key}.") for other in keys)


def in_full(key: str) -> Keys:
    """A section that is read whole as its fields, one by one."""
    return {key} if "." in key else {f"{key}.{field}" for field in _fields(key)} or {key}


@pytest.mark.case("P7")
@pytest.mark.parametrize("stage", PIPELINE)
def test_what_a_stage_reads_is_declared(stage: str) -> None:
    names = declared(stage)
    keys = set().union(*(in_full(key) for key in read(stage) if key.split(".")[0] not in names))
    held = HELD.get(stage, set())
    missing = {key for key in keys - names - NO_RESULT if key.split(".")[0] not in held | TOLD.get(stage, set())}
    assert not missing, f"add to dvc.yaml, stage {stage}"
    assert held <= {key.split(".")[0] for key in keys} - names, "held, and not read or declared"


@pytest.mark.case("P7")
@pytest.mark.parametrize("stage", PIPELINE)
def test_what_is_declared_is_read(stage: str) -> None:
    names = read(stage)
    unread = {key for key in declared(stage) if not covers(names, key)}
    assert not unread, f"remove from dvc.yaml, stage {stage}: it reruns the stage for nothing"


def test_every_parameter_belongs_to_a_stage() -> None:
    everywhere = set().union(*(declared(stage) for stage in PIPELINE))
    assert {key.split(".")[0] for key in everywhere} == set(params.Params.model_fields)


def test_every_stage_runs_its_own_module() -> None:
    for stage, entry in PIPELINE.items():
        assert entry["cmd"].split()[:3] == ["python", "-m", f"stages.{stage}"]
        assert f"stages/{stage}.py" in entry["deps"]


def test_the_inspection_has_power() -> None:
    """A read that is not declared, two levels deep and through a helper."""
    helper = Module("def cells(loaded): return loaded.norm, loaded.protocol.folds")
    stage = Module(
        "def work(params: Params, _):\n"
        "    print(params.recipe, params.train.epochs, params.model)\n"
        "    finished.cells(params)\n"
        "    rest(1, params)\n"
        "def rest(number, everything): return everything.statistics.seed"
    )
    assert stage.reads("work", {"finished": helper}) == {
        "recipe",
        "train.epochs",
        "model",
        "norm",
        "protocol.folds",
        "statistics.seed",
    }
    whole = Module("def work(params: Params, _): return params.model_dump()")
    assert whole.reads("work", {}) == set(params.Params.model_fields)


NUMBERS = {"010": 8, "-010": -8, "00": 0, "1:30": 90, "0_7": 7}  # as Hydra reads them


@pytest.mark.case("P4")
@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_of_two_meanings_is_refused_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    """YAML 1.1, which Hydra reads `conf/` as, has 010 in base eight and 1:30 in base sixty."""
    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    path = Path("conf/spectrogram/linear.yaml")
    path.write_text(path.read_text().replace("hop_length: 200", f"hop_length: {text}"))
    compose_and_dump("composed.yaml", str(tmp_path / "conf"), None, "config", None, [])  # what `dvc exp run` does
    assert yaml.safe_load(Path("composed.yaml").read_text())["spectrogram"]["hop_length"] == NUMBERS[text]
    assert compose.main([]) == 2
    assert capfd.readouterr().err == (
        "compose: a number of two meanings in conf/spectrogram/linear.yaml, line 8: expected no 0 before other digits, "
        f"and no colon, got {text}\n"
    )
    assert not Path("params.yaml").exists()
    path.write_text(path.read_text().replace(text, f"'{text}' # {text}"))
    options.check(Path("conf"))


@pytest.mark.case("P4")
@pytest.mark.parametrize("text", ["010", "1:30", "0x10", "1.0", "2e2"])
def test_an_override_is_a_plain_number_or_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"parameter spectrogram\.hop_length in .*: expected a valid integer"):
        loaded(tmp_path, f"spectrogram.hop_length={text}")


def test_our_own_options_have_one_meaning() -> None:
    options.check(CONF)
