"""What is wrong in `params.yaml` is refused by name, in one line, before any work."""

from __future__ import annotations

import copy
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from specnorm import files, params
from specnorm.audio.front_end import describe
from specnorm.errors import ConfigurationError
from specnorm.refusal import refusal, sections_of

ROOT = Path(__file__).parents[1]
ESC: dict[str, Any] = {
    "kind": "esc50",
    "name": None,
    "subset": "all",
    "source": None,
    "complete": True,
    "url": "https://example.org/esc.zip",
    "size": None,
    "md5": "0123456789abcdef" * 2,
}
FOLDER = {
    "kind": "folder",
    "name": None,
    "source": "clips",
    "group_pattern": None,
    "strict_labels": False,
    "folds": 5,
    "seed": 0,
}
CSV = {
    "kind": "csv",
    "name": None,
    "source": "clips.zip",
    "table": "t.csv",
    "table_sha256": None,
    "audio": ".",
    "filename_column": "file",
    "label_column": "label",
    "fold_column": None,
    "group_column": None,
    "strict_labels": False,
    "folds": 5,
    "seed": 0,
}
SYNTHETIC = {
    "kind": "synthetic",
    "name": None,
    "sources": 8,
    "clips": 1,
    "folds": 5,
    "sample_rate": 16000,
    "clip_seconds": 5.0,
    "seed": 0,
}
LINEAR: dict[str, Any] = {
    "transform": "linear",
    "sample_rate": 16000,
    "resampler": "polyphase",
    "clip_seconds": 5.0,
    "n_fft": 400,
    "win_length": 400,
    "hop_length": 200,
    "amin": 1e-10,
    "top_db": None,
    "storage": "float32",
}
MEL = LINEAR | {
    "transform": "mel",
    "n_mels": 64,
    "f_min": 20.0,
    "f_max": None,
    "mel_scale": "htk",
    "mel_norm": None,
}
VALID: dict[str, Any] = {
    "recipe": "default",
    "dataset": ESC,
    "spectrogram": LINEAR,
    "statistics": {"fraction": 1.0, "seed": 0},
    "norm": {"none": {"kind": "identity", "waveform": "raw"}, "global": {"kind": "global", "waveform": "standardized"}},
    "protocol": {"folds": [1, 2], "seeds": [0]},
    "model": {"name": "xresnet18", "stem_init": "published"},
    "train": {
        "epochs": 20,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "device": "auto",
        "precision": "auto",
        "memory_gb": None,
    },
    "compare": {"baseline": "none", "incomplete_folds": "refuse", "margin": 0.01, "sure": 0.8, "sounds": 12},
    "tracking": {"experiment": "specnorm", "required": False, "models": "recommended"},
}
DROP = object()


def changed(key: str, value: Any, **sections: Any) -> dict[str, Any]:
    """A valid set of parameters with whole ``sections`` exchanged, and then ``value`` at the dotted ``key``."""
    values = copy.deepcopy(VALID | sections)
    *above, last = key.split(".")
    place = values
    for name in above:
        place = place[name]
    if value is DROP:
        del place[last]
    else:
        place[last] = value
    return values


def message_of(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        params.check(values, where="params.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load_message(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(ConfigurationError) as caught:
        params.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("dataset", [ESC, FOLDER, CSV, SYNTHETIC], ids=lambda section: section["kind"])
@pytest.mark.parametrize("spectrogram", [LINEAR, MEL], ids=lambda section: section["transform"])
def test_what_is_right_is_taken_as_it_stands(dataset: dict[str, Any], spectrogram: dict[str, Any]) -> None:
    values = VALID | {"dataset": dataset, "spectrogram": spectrogram}
    assert params.check(values).model_dump() == values


def test_what_was_checked_cannot_be_changed() -> None:
    checked = params.check(VALID)
    with pytest.raises(ValidationError, match="frozen"):
        checked.train.epochs = 3  # type: ignore[misc]


# --- unknown keys


@pytest.mark.case("P1")
@pytest.mark.parametrize(
    ("key", "meant", "sections"),
    [
        ("statistcs", "statistics", {}),
        ("dataset.sourc", "source", {}),
        ("dataset.group_patern", "group_pattern", {"dataset": FOLDER}),
        ("dataset.fold_colum", "fold_column", {"dataset": CSV}),
        ("dataset.clip_second", "clip_seconds", {"dataset": SYNTHETIC}),
        ("spectrogram.n_ftt", "n_fft", {}),
        ("spectrogram.n_mel", "n_mels", {"spectrogram": MEL}),
        ("statistics.fractoin", "fraction", {}),
        ("protocol.fold", "folds", {}),
        ("model.stem_int", "stem_init", {}),
        ("train.learning_rat", "learning_rate", {}),
        ("tracking.experimnt", "experiment", {}),
    ],
)
@pytest.mark.parametrize("instead", [True, False], ids=["instead of the right one", "beside it"])
def test_a_typing_error_is_met_with_the_key_that_was_meant(
    key: str, meant: str, sections: dict[str, Any], instead: bool
) -> None:
    values = changed(key, 1, **sections)
    if instead:
        place = values if "." not in key else values[key.split(".")[0]]
        del place[meant]
    assert message_of(values) == f"unknown parameter {key} in params.yaml. Did you mean {meant}?"


def _sections(values: dict[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    yield above
    for name, value in values.items():
        if isinstance(value, dict) and name != "norm":
            yield from _sections(value, *above, name)


@pytest.mark.parametrize("dataset", [ESC, CSV, SYNTHETIC], ids=lambda section: section["kind"])
@pytest.mark.parametrize("spectrogram", [LINEAR, MEL], ids=lambda section: section["transform"])
def test_every_key_of_every_section_is_known_to_the_suggestions(
    dataset: dict[str, Any], spectrogram: dict[str, Any]
) -> None:
    """Whatever section a model adds: no table has to be kept."""
    sections = {"dataset": dataset, "spectrogram": spectrogram}
    for section in _sections(VALID | sections):
        names = VALID | sections
        for name in section:
            names = names[name]
        for name in names:
            key = ".".join((*section, f"{name}x"))
            found = message_of(changed(key, 1, **sections))
            assert found == f"unknown parameter {key} in params.yaml. Did you mean {name}?"


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["other"]
    depth: int


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["leaf", "blade"]
    width: int


class Twig(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["twig"]
    end: Annotated[Leaf | Other, Field(discriminator="kind")]


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")
    grown: Annotated[Leaf | Twig, Field(discriminator="kind")]
    root: Other


def test_models_are_found_at_any_depth_and_under_each_of_their_tags() -> None:
    assert sections_of(Tree) == {
        (): Tree,
        ("grown", "leaf"): Leaf,
        ("grown", "blade"): Leaf,
        ("grown", "twig"): Twig,
        ("grown", "twig", "end", "leaf"): Leaf,
        ("grown", "twig", "end", "blade"): Leaf,
        ("grown", "twig", "end", "other"): Other,
        ("root",): Other,
    }
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(
            {
                "grown": {"kind": "twig", "end": {"kind": "blade", "width": 1, "wdth": 1}},
                "root": {"kind": "other", "depth": 1},
            }
        )
    assert str(refusal(caught.value, where=None, sections=sections_of(Tree))) == (
        "unknown parameter grown.end.wdth. Did you mean width?"
    )


@pytest.mark.parametrize(
    "key", ["augmentation", "train.n_mels", "spectrogram.n_mels", "spectrogram.linear", "tracking.epochs"]
)
def test_a_key_of_another_section_is_not_what_was_meant(key: str) -> None:
    assert message_of(changed(key, 1)) == f"unknown parameter {key} in params.yaml. Remove it"


def test_a_mode_keeps_the_options_of_its_kind_and_misses_its_own_fields_by_name() -> None:
    checked = params.check(changed("norm.global.floor_db", 1))
    assert checked.norm["global"].options == {"floor_db": 1}
    values = changed("norm.global.waveform", DROP)
    values["norm"]["global"]["wavefrom"] = "raw"
    assert message_of(values) == (
        "missing parameter norm.global.waveform in params.yaml. Did you write it as wavefrom?"
    )


def test_a_mode_s_sentence_is_neither_an_option_nor_recorded() -> None:
    checked = params.check(changed("norm.global.description", "What it does."))
    assert checked.norm["global"].description == "What it does."
    assert checked.norm["global"].options == {}
    assert checked.model_dump() == VALID
    for wrong in ("", 3, ["x"]):
        assert message_of(changed("norm.global.description", wrong)).startswith("bad parameter norm.global.description")


class Options(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    floor_db: float
    width: int = 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flor_db": 1.0}, "unknown parameter norm.x.flor_db. Did you mean floor_db?"),
        ({"floor_db": 1.0, "wdth": 1}, "unknown parameter norm.x.wdth. Did you mean width?"),
        ({"floor_db": "1"}, "bad parameter norm.x.floor_db: expected a valid number, got '1' (str)"),
    ],
)
def test_options_of_a_kind_are_refused_with_their_whole_path(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(values)
    assert str(refusal(caught.value, where=None, section="norm.x", sections={(): Options})) == message


@pytest.mark.parametrize("mode", ["linear", "mel", "folder", "csv", "esc50", "synthetic"])
def test_a_mode_may_be_called_as_a_member_of_a_union(mode: str) -> None:
    """A regression: such names were cut out of every key path."""
    values = changed(f"norm.{mode}", {"kind": "identity", "waveform": "both"})
    assert "bad parameter norm." + mode + ".waveform in" in message_of(values)


@pytest.mark.case("P1")
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    text = yaml.safe_dump(VALID, sort_keys=False).replace("  hop_length: 200\n", "  hop_length: 200\n  hop_length: 1\n")
    line = text.splitlines().index("  hop_length: 1") + 1
    assert f'line {line}: expected YAML, got found duplicate key "hop_length" with' in load_message(tmp_path, text)
    assert 'line 2: expected YAML, got found duplicate key "a"' in load_message(tmp_path, "a: 1\na: 2\n")
    assert 'line 2: expected YAML, got found duplicate key "a"' in load_message(tmp_path, "a: 1\n'a': 2\n")
    assert 'line 3: expected YAML, got found duplicate key "b"' in load_message(tmp_path, "a:\n  b: 1\n  b: 2\n")
    assert len(load_message(tmp_path, f"a: 1\na: {'x' * 10**4}\n")) < 250 + len(str(tmp_path))


# --- missing keys and wrong types


def _leaves(model: BaseModel, *above: str) -> Iterator[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, *above, name)
        else:
            yield ".".join((*above, name))


CHOICES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "folder": {"dataset": FOLDER},
    "csv": {"dataset": CSV},
    "synthetic": {"dataset": SYNTHETIC},
    "mel": {"spectrogram": MEL},
}
LATER = {"spectrogram.storage"}  # which front ends that were described before it have not
LEAVES = [
    (leaf, choice)
    for choice, sections in CHOICES.items()
    for leaf in _leaves(params.check(VALID | sections))
    if choice == "defaults" or leaf.startswith(tuple(sections))
]
# Keys that may be null, each with another value that is right.
NULLABLE = {
    "dataset.name": "mine",
    "dataset.group_pattern": "(a)",
    "dataset.table_sha256": "0123456789abcdef" * 4,
    "dataset.source": "a.zip",
    "dataset.size": 1,
    "dataset.fold_column": "fold",
    "dataset.group_column": "group",
    "spectrogram.top_db": 80.0,
    "spectrogram.f_max": 8000.0,
    "spectrogram.mel_norm": "slaney",
    "train.memory_gb": 2.0,
}


@pytest.mark.case("P2", "P4")
@pytest.mark.parametrize(("key", "choice"), LEAVES)
def test_every_leaf_must_stand_there_and_be_of_its_type(key: str, choice: str) -> None:
    sections = CHOICES[choice]
    if key in LATER:
        params.check(changed(key, DROP, **sections))
    else:
        assert message_of(changed(key, DROP, **sections)).startswith(f"missing parameter {key} in params.yaml")
    right: Any = VALID | sections
    for name in key.split("."):
        right = right[name]
    if right is None:
        right = NULLABLE[key]
        params.check(changed(key, right, **sections))
    else:
        assert message_of(changed(key, None, **sections)).endswith("got null")
    if isinstance(right, bool):
        wrong: list[Any] = ["true", 1, 0]
    elif isinstance(right, int):
        wrong = [str(right), float(right), True, [right]]
    elif isinstance(right, float):
        wrong = [str(right), True, [right], math.nan, math.inf, -math.inf]
    elif isinstance(right, list):
        wrong = [right[0], {"1": 1}, [str(right[0])], [float(right[0])], [True], [None]]
    elif isinstance(right, dict):
        wrong = [list(right), "none", {"none": "identity"}]
    else:
        wrong = [3, True, ["x"]]
    for value in wrong:
        message = message_of(changed(key, value, **sections))
        assert message.startswith(f"bad parameter {key}"), value
        assert " in params.yaml: expected " in message
        assert ", got " in message


@pytest.mark.parametrize("section", [key for key, value in VALID.items() if isinstance(value, dict)])
@pytest.mark.parametrize("value", [None, "x", [], 3])
def test_a_section_must_be_a_mapping(section: str, value: Any) -> None:
    assert message_of(changed(section, value)).startswith(
        f"bad parameter {section} in params.yaml: expected a mapping, got "
    )


@pytest.mark.parametrize("section", ["dataset", "spectrogram", "statistics", "norm", "train"])
def test_an_empty_section_is_refused(section: str) -> None:
    assert re.match(rf"(missing|bad) parameter {section}", message_of(changed(section, {})))


@pytest.mark.parametrize(
    ("key", "whole"), [("spectrogram.clip_seconds", 5), ("statistics.fraction", 1), ("train.learning_rate", 1)]
)
def test_a_whole_number_will_do_for_a_float_and_means_the_same(key: str, whole: int) -> None:
    loose, strict = params.check(changed(key, whole)), params.check(changed(key, float(whole)))
    assert loose == strict
    # 5 and 5.0 must give one fingerprint, or everything would be computed again.
    assert loose.model_dump_json() == strict.model_dump_json()
    assert files.fingerprint(describe(loose.spectrogram)) == files.fingerprint(describe(strict.spectrogram))


# --- ranges

SMALLEST_NORMAL = 2.0**-126  # of float32
RANGES: list[tuple[str, str, list[Any], list[Any]]] = [
    ("defaults", "dataset.size", [1, None], [0, -1]),
    ("folder", "dataset.folds", [2, 100], [1, 101]),
    ("folder", "dataset.seed", [0, 2**31 - 1], [-1, 2**31]),
    ("csv", "dataset.folds", [2, 100], [1, 101]),
    ("csv", "dataset.seed", [0, 2**31 - 1], [-1, 2**31]),
    ("synthetic", "dataset.sources", [1, 1000], [0, 1001]),
    ("synthetic", "dataset.clips", [1, 100], [0, 101]),
    ("synthetic", "dataset.folds", [2, 100], [1, 101]),
    ("synthetic", "dataset.sample_rate", [8000, 192000], [7999, 192001]),
    ("synthetic", "dataset.clip_seconds", [0.25, 60], [0.249, 60.1, math.nan, math.inf]),
    ("synthetic", "dataset.seed", [0, 2**31 - 1], [-1, 2**31]),
    ("defaults", "spectrogram.sample_rate", [1000, 192000], [999, 192001, 0]),
    ("defaults", "spectrogram.clip_seconds", [0.0126, 600], [0, -1, 600.1, math.nan]),
    ("defaults", "spectrogram.n_fft", [400, 65536], [0, 1, 399, 401, 65537, 65538, -400]),
    ("defaults", "spectrogram.win_length", [1, 400], [0, -1]),
    ("defaults", "spectrogram.hop_length", [1, 65536], [0, 65537, -1]),
    ("defaults", "spectrogram.amin", [SMALLEST_NORMAL, 1.0], [0, -1e-10, SMALLEST_NORMAL / 2, 2.0**128, math.inf]),
    ("defaults", "spectrogram.top_db", [1e-3, 80, None], [0, -80, math.inf, math.nan]),
    ("mel", "spectrogram.n_mels", [1, 64], [0, 4097]),
    ("mel", "spectrogram.f_min", [0, 5000], [-1, math.nan]),
    ("mel", "spectrogram.f_max", [4000, 8000, None], [0, -1, math.inf]),
    ("defaults", "statistics.fraction", [1e-6, 1], [0, -0.1, 1.01, math.nan]),
    ("defaults", "statistics.seed", [0, 2**31 - 1], [-1, 2**31]),
    ("defaults", "train.epochs", [1, 10000], [0, -1, 10001]),
    ("defaults", "train.batch_size", [2, 65536], [1, 0, 65537]),
    ("defaults", "train.learning_rate", [1e-12, 10], [0, -1e-3, math.inf, math.nan]),
    ("defaults", "train.weight_decay", [0, 1], [-0.01, math.inf, math.nan]),
]


@pytest.mark.case("P3", "P4")
@pytest.mark.parametrize(("choice", "key", "inside", "outside"), RANGES, ids=lambda value: value)
def test_a_range_ends_where_it_says(choice: str, key: str, inside: list[Any], outside: list[Any]) -> None:
    # A long FFT needs a long clip: the relation between the two is the next test's.
    sections = copy.deepcopy(CHOICES[choice])
    for value in inside:
        section, name = key.split(".")
        checked = params.check(changed(key, value, **sections))
        assert getattr(getattr(checked, section), name) == value
    for value in outside:
        message = message_of(changed(key, value, **sections))
        assert message.startswith(f"bad parameter {key} in params.yaml: expected "), value
        assert re.search(rf"got {re.escape(repr(value))} \((int|float)\)$", message)


@pytest.mark.case("W13", "F5")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"win_length": 401}, "win_length in params.yaml: expected at most n_fft, 400, got 401 (int)"),
        (
            {"clip_seconds": 0.0125},
            "clip_seconds in params.yaml: expected more than 200 samples, half of n_fft, got 200 (int)",
        ),
        (
            {"transform": "mel", "f_max": 8001.0},
            "f_max in params.yaml: expected at most half the sample rate, 8000 Hz, got 8001.0 (float)",
        ),
        ({"transform": "mel", "f_min": 8000.0}, "f_min in params.yaml: expected less than f_max, 8000 Hz, got 8000.0"),
        ({"transform": "mel", "f_max": 20.0}, "f_min in params.yaml: expected less than f_max, 20 Hz, got 20.0"),
        pytest.param(
            {"transform": "mel", "n_mels": 256},
            "n_mels in params.yaml: expected bands that all hold an FFT bin, and 41 hold none: lower n_mels, or "
            "raise n_fft, 400, or f_min, 20 Hz, got 256 (int)",
            marks=pytest.mark.case("F3"),
        ),
        (
            {"transform": "mel", "n_mels": 4096},
            "n_mels in params.yaml: expected bands that all hold an FFT bin, and 36",
        ),
        (
            {"clip_seconds": 5.0, "n_fft": 65536, "hop_length": 1},
            "hop_length in params.yaml: expected at least 2, for at most 2^31 values of a clip's spectrum, got 1 (int)",
        ),
        (
            {"transform": "mel", "clip_seconds": 600.0, "sample_rate": 192000, "n_fft": 65536, "hop_length": 1757},
            "hop_length in params.yaml: expected at least 1758, for at most 2^31 values",
        ),
    ],
)
def test_fields_that_do_not_go_together_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    """The key path has no place for the union's member: `spectrogram.f_max`, never `spectrogram.mel.f_max`."""
    settings = (MEL if changes.get("transform") == "mel" else LINEAR) | changes
    assert message_of(changed("spectrogram", settings)).startswith(f"bad parameter spectrogram.{message}")


@pytest.mark.case("P3")
@pytest.mark.parametrize("name", ["folds", "seeds"])
def test_a_protocol_has_each_value_once(name: str) -> None:
    assert message_of(changed(f"protocol.{name}", [])) == (
        f"bad parameter protocol.{name} in params.yaml: expected at least 1 item, got []"
    )
    assert message_of(changed(f"protocol.{name}", [3, 1, 3])) == (
        f"bad parameter protocol.{name} in params.yaml: expected no value twice, got [3, 1, 3]"
    )


@pytest.mark.case("P3")
@pytest.mark.parametrize(
    ("key", "bad"),
    [("protocol.folds", [1, 0]), ("protocol.folds", [1, -1]), ("protocol.seeds", [0, -1]), ("protocol.seeds", [2**31])],
)
def test_an_item_of_a_list_is_refused_with_its_place(key: str, bad: list[int]) -> None:
    assert message_of(changed(key, bad)).startswith(f"bad parameter {key}.{len(bad) - 1} in params.yaml: expected ")


# --- choices


@pytest.mark.case("P5")
@pytest.mark.parametrize(
    ("key", "bad", "choices"),
    [
        ("dataset.kind", "urbansound", "one of 'esc50', 'folder', 'csv', 'synthetic'"),
        ("dataset.subset", "esc20", "'all' or 'esc10'"),
        ("spectrogram.transform", "gammatone", "one of 'linear', 'mel'"),
        ("spectrogram.resampler", "linear", "'polyphase' or 'sinc'"),
        ("norm.global.waveform", "peak", "'raw' or 'standardized'"),
        ("model.name", "resnet18", "'xresnet18'"),
        ("model.stem_init", "xavier", "'published' or 'he'"),
        ("train.device", "gpu", "auto, cpu, mps, cuda or cuda:<number>"),
        ("train.device", "cuda:", "auto, cpu, mps, cuda or cuda:<number>"),
        ("train.device", "cpu\n", "auto, cpu, mps, cuda or cuda:<number>"),
        ("train.precision", "fp16", "'auto', 'fp32' or 'bf16'"),
    ],
)
def test_an_unknown_choice_is_answered_with_all_choices(key: str, bad: str, choices: str) -> None:
    assert message_of(changed(key, bad)) == f"bad parameter {key} in params.yaml: expected {choices}, got {bad!r} (str)"


@pytest.mark.parametrize("name", ["my set", "Vögel_2.1-b", "鳥", "x" * 100])
def test_a_data_set_s_name_is_of_letters_digits_spaces_and_three_marks(name: str) -> None:
    assert params.check(changed("dataset.name", name)).dataset.name == name


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "..", "-a", "a\n", "it's", "x" * 101])
def test_a_name_with_other_characters_is_refused(name: str) -> None:
    assert message_of(changed("dataset.name", name)).startswith(
        "bad parameter dataset.name in params.yaml: expected up to 100 letters, digits, spaces and . _ -, got "
    )


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("(", r"missing \), unterminated subpattern at position 0"),
        ("[a-z]+", "0 groups"),
        (r"(\d+)_(\d{2})", "2 groups"),
        ("a{1,99999999999999}(b)", "the repetition number is too large"),
    ],
)
def test_a_group_pattern_has_one_group(pattern: str, wrong: str) -> None:
    assert params.check(changed("dataset.group_pattern", r"(?:a|b)_(\d{2})", dataset=FOLDER))
    message = message_of(changed("dataset.group_pattern", pattern, dataset=FOLDER))
    assert re.search(
        rf"^bad parameter dataset\.group_pattern in .*expected a regular expression with exactly one group \({wrong}",
        message,
    )


@pytest.mark.parametrize("dataset", [FOLDER, CSV], ids=lambda section: section["kind"])
@pytest.mark.parametrize("source", ["", "???"])
def test_a_source_that_was_never_set_is_refused(source: str, dataset: dict[str, Any]) -> None:
    message = message_of(changed("dataset.source", source, dataset=dataset))
    assert message == f"bad parameter dataset.source in params.yaml: expected a zip or a folder, got {source!r} (str)"


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:15"])
def test_devices_that_may_be_named(device: str) -> None:
    assert params.check(changed("train.device", device)).train.device == device


@pytest.mark.parametrize(("section", "tag"), [("dataset", "kind"), ("spectrogram", "transform")])
def test_a_union_is_told_apart_by_its_tag_alone(section: str, tag: str) -> None:
    assert message_of(changed(f"{section}.{tag}", DROP)) == f"missing parameter {section}.{tag} in params.yaml. Add it"
    for value, shown in ((None, "null"), (True, "true"), (["mel"], "['mel']")):
        message = message_of(changed(f"{section}.{tag}", value))
        assert message.startswith(f"bad parameter {section}.{tag} in params.yaml: expected one of ")
        assert message.endswith(f", got {shown}")


@pytest.mark.parametrize("mode", ["", "a b", "_a", "../x", "a/b", "a.b", "a\n", "ü"])
def test_a_mode_s_name_is_a_safe_folder_name(mode: str) -> None:
    values = changed("norm", VALID["norm"] | {mode: VALID["norm"]["none"]})
    message = message_of(values)
    assert message.startswith("bad parameter norm.")
    assert message.endswith(f"expected letters, digits and _, starting with no _, got {mode!r} (str)")


def test_numbers_are_no_names() -> None:
    message = message_of(changed("norm", {1: VALID["norm"]["none"]}))
    assert message == "bad parameter norm.1 in params.yaml: expected a valid string, got 1 (int)"
    assert message_of({1: 2} | VALID).startswith("bad parameter 1 in params.yaml: expected ")


@pytest.mark.parametrize("md5", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "0" * 32 + "\n"])
def test_a_digest_has_its_form(md5: str) -> None:
    assert "dataset.md5 in params.yaml: expected 32 digits from 0 to f, got" in message_of(changed("dataset.md5", md5))


def test_a_long_value_stays_a_short_line() -> None:
    assert len(message_of(changed("train.device", "x" * 10**6))) < 250
    assert len(message_of(changed("protocol.folds", [*range(10**4), "x"]))) < 250
    assert len(message_of(changed("train.epochs", {str(n): n for n in range(10**4)}))) < 250


# --- the file


@pytest.mark.case("P4")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E-3", 1e-3),
        ("1.0e-3", 1e-3),
        ("1.e-3", 1e-3),
        ("+1e-3", 1e-3),
        (".5", 0.5),
        ("1e+0", 1.0),
        ("1", 1.0),
    ],
)
def test_numbers_are_read_as_yaml_1_2_writes_them(tmp_path: Path, text: str, value: float) -> None:
    """YAML 1.1, which PyYAML reads, makes strings of 1e-3 and 1e3; Hydra and DVC make numbers of them."""
    source = yaml.safe_dump(VALID).replace("learning_rate: 0.001", f"learning_rate: {text}")
    assert params.load(written(tmp_path, source)).train.learning_rate == value


@pytest.mark.case("P4")
@pytest.mark.parametrize(("text", "value"), [("010", 10), ("0x10", 16), ("0o10", 8), ("12", 12)])
def test_whole_numbers_are_read_as_yaml_1_2_writes_them(tmp_path: Path, text: str, value: int) -> None:
    """YAML 1.1 reads 010 in base 8, and 1:30 in base 60."""
    source = yaml.safe_dump(VALID).replace("epochs: 20", f"epochs: {text}")
    assert params.load(written(tmp_path, source)).train.epochs == value
    source = source.replace(f"epochs: {text}", "epochs: 1:30")
    assert load_message(tmp_path, source).endswith(
        "train.epochs in " + str(tmp_path / "params.yaml") + (": expected a valid integer, got '1:30' (str)")
    )


@pytest.mark.parametrize("text", ["yes", "on", "no", "off"])
def test_words_are_no_truth_values(tmp_path: Path, text: str) -> None:
    """YAML 1.1 reads them as such."""
    source = yaml.safe_dump(VALID).replace("required: false", f"required: {text}")
    assert f"tracking.required in {tmp_path / 'params.yaml'}: expected a valid boolean, got {text!r} (str)" in (
        load_message(tmp_path, source)
    )


@pytest.mark.case("P4")
@pytest.mark.parametrize(
    "text", [".nan", ".NaN", ".inf", "-.inf", "1e999", "-1e-3", "0", "'1e-3'", "1e", "e3", "0x1p3"]
)
def test_what_is_no_usable_number_is_refused(tmp_path: Path, text: str) -> None:
    source = yaml.safe_dump(VALID).replace("learning_rate: 0.001", f"learning_rate: {text}")
    assert "bad parameter train.learning_rate in " in load_message(tmp_path, source)


@pytest.mark.case("P6")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping, got null"),
        ("# nothing\n", "expected a mapping, got null"),
        ("- 1\n", "expected a mapping, got [1]"),
        ("words", "expected a mapping, got 'words' (str)"),
        ("train:\n\tepochs: 3\n", "line 2: expected YAML, got found character '\\t' that cannot start any token"),
        ("a: [1, 2\nb: 3", "line 2: expected YAML, got "),
        ("a: 1\n b: 2", "line 2: expected YAML, got "),
        ("a: 1\n---\nb: 2\n", "line 2: expected YAML, got but found another document"),
        ("train:\n  epochs:\t3\n", "line 2: expected YAML, got "),
        ("a: *b\n", "line 1: expected YAML, got the alias *b"),
        ("a: &b [*b]\n", "line 1: expected YAML, got the alias *b"),
        ("a: &b 1\nc: *b\n", "line 2: expected YAML, got the alias *b"),
        ("a: 2020-13-45\n", "expected YAML, got month must be in 1..12"),
        ("? {a: 1}\n: 2\n", "line 1: expected YAML, got found unhashable key"),
        ("a: \x00\n", "expected YAML, got unacceptable character"),
        ("a: !!bool x\n", "expected YAML, got 'x'"),
        ("a: !!int x\n", "expected YAML, got invalid literal"),
        ("[" * 1000, "line 1: expected YAML, got expected the node content"),
        ("[" * 1000 + "]" * 1000, "expected YAML, got maximum recursion depth"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    found = load_message(tmp_path, text)
    assert found.startswith("unreadable parameters in ")
    assert message in found


def _bomb(inner: str) -> str:
    """A few lines that stand for 9 ** 12 values; ``inner`` says what a line makes of the one before."""
    lines = "".join(f"{name}: &{name} {inner.format(before)}\n" for before, name in pairwise("abcdefghijkl"))
    return "a: &a {x: 1}\n" + lines


@pytest.mark.parametrize(
    "inner",
    [
        "[" + ",".join(["*{0}"] * 9) + "]",
        "{{<<: [" + ",".join(["*{0}"] * 9) + "]}}",
        "{{? [" + ",".join(["*{0}"] * 9) + "] : 1}}",
    ],
    ids=["lists", "merged mappings", "keys"],
)
def test_a_small_file_that_stands_for_a_billion_values_is_refused_at_once(tmp_path: Path, inner: str) -> None:
    assert "line 2: expected YAML, got the alias *a" in load_message(tmp_path, _bomb(inner))


def test_whoever_has_parameters_already_needs_no_yaml() -> None:
    code = "import sys, specnorm.params; print([name for name in sys.modules if 'yaml' in name])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.case("P6")
@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!custom"])
def test_a_tag_runs_nothing(tmp_path: Path, tag: str) -> None:
    sentinel = tmp_path / "sentinel"
    text = f"recipe: {tag} [{sentinel}]\n"
    assert "line 1: expected YAML, got could not determine a constructor for the tag" in load_message(tmp_path, text)
    assert not sentinel.exists()
    if "apply" in tag:  # the same text does run with a loader that lets it
        yaml.load(text, Loader=yaml.UnsafeLoader)
        assert sentinel.exists()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"recipe: \xff\n")
    with pytest.raises(ConfigurationError, match=r"unreadable parameters in .*params.yaml: expected YAML, got 'utf-8'"):
        params.load(path)


def test_a_missing_file_is_refused_with_the_way_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing file in .*params.yaml. Restore it with `git checkout`$"):
        params.load(tmp_path / "params.yaml")
    with pytest.raises(ConfigurationError, match=r"unreadable parameters in .*: expected YAML, got .*directory"):
        params.load(tmp_path)


# --- whatever stands there

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(key=st.sampled_from([leaf for leaf, choice in LEAVES if choice == "defaults"] + sorted(VALID)), value=_VALUES)
def test_any_value_is_taken_or_refused_in_one_line_that_names_its_key(key: str, value: Any) -> None:
    try:
        params.check(changed(key, value))
    except ConfigurationError as error:
        message = str(error)
    else:
        return
    assert f" parameter {key}" in message
    assert len(message.splitlines()) == 1


@given(
    text=st.text(alphabet="ab:-[]{}&*!?|>'\"#%@`\n\t 01.e<=~,\\_", max_size=40)
    | st.lists(
        st.sampled_from(
            ["a: ", "- ", "? ", "!!bool ", "!!int ", "!!set ", "!!omap ", "<<: ", "&a ", "{", "}", "x", "\n", "1"]
        )
    ).map("".join)
)
def test_any_text_is_refused_as_a_configuration_error(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        params.load(path)


@pytest.mark.case("P3")
@pytest.mark.parametrize(
    ("dataset", "last"), [(ESC, 5), (FOLDER, 5), (CSV, 5), (CSV | {"folds": 3}, 3), (SYNTHETIC | {"folds": 4}, 4)]
)
def test_a_fold_that_the_data_set_cannot_have_is_refused(dataset: dict[str, Any], last: int) -> None:
    assert params.check(changed("protocol.folds", [1, last], dataset=dataset)).protocol.folds == [1, last]
    message = message_of(changed("protocol.folds", [1, last + 1], dataset=dataset))
    assert "protocol.folds" in message
    assert f"folds from 1 to {last}" in message
    assert f"got [{last + 1}]" in message


def test_the_folds_of_a_table_with_a_fold_column_are_not_known_yet() -> None:
    values = changed("protocol.folds", [17], dataset=CSV | {"fold_column": "fold"})
    assert params.check(values).protocol.folds == [17]


def test_moments_before_rounding_are_of_all_frames() -> None:
    half = VALID["spectrogram"] | {"storage": "float16"}
    params.check(VALID | {"spectrogram": half})
    message = message_of(VALID | {"spectrogram": half, "statistics": VALID["statistics"] | {"fraction": 0.5}})
    assert "statistics.fraction in params.yaml: expected 1 where spectrogram.storage is float16" in message
    assert "expected 'float32' or 'float16'" in message_of(changed("spectrogram.storage", "float64"))
