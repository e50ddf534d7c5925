"""Results are read as they were written, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specnorm.errors import IntegrityError
from specnorm.report import results
from tests import made_up

VERDICT = made_up.document({"none": {}, "global": {}})
FILES = {
    "verdict.json": VERDICT.to_json().encode(),
    "cells.csv": b"norm,accuracy\nnone,0.5\n",
    "figures/accuracy.svg": b"<svg/>",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results.write(tmp_path / "comparison", FILES)
    return tmp_path / "comparison"


def test_what_is_written_is_read(folder: Path) -> None:
    found = results.read(folder)
    assert found.verdict == VERDICT
    assert found.files == sorted(FILES)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_files_of_an_earlier_comparison_go(folder: Path) -> None:
    (folder / "figures/confusion-old.svg").write_text("<svg/>")
    results.write(folder, FILES)
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {*FILES, results.MANIFEST}


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_edited_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(FILES[name].replace(b"5", b"9") + b" ")
    with pytest.raises(IntegrityError, match=rf"changed file in .*{name}: expected SHA-256"):
        results.read(folder)


@pytest.mark.parametrize("name", [*sorted(FILES), results.MANIFEST])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=rf"missing file in .*{name}"):
        results.read(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9, "sha256": {}}', '{"format": 2, "sha256": []}'])
def test_a_damaged_manifest_is_named(folder: Path, text: str) -> None:
    (folder / results.MANIFEST).write_text(text)
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        results.read(folder)


def _without(*names: str) -> Callable[[Any], None]:
    def change(values: Any) -> None:
        for name in names[:-1]:
            values = values[int(name) if isinstance(values, list) else name]
        del values[names[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("decision"), r"decision: Field required"),
        (_without("modes", "1", "accuracy", "low"), r"modes\.1\.accuracy\.low: Field required"),
        (_without("pairs", "0", "sentence"), r"pairs\.0\.sentence: Field required"),
        (lambda values: values.update(format=9), r"format: .*2"),
        (lambda values: values["dataset"].update(clips="many"), r"dataset\.clips: .*integer"),
        (lambda values: values.update(pairs=None), r"pairs: .*"),
    ],
)
def test_a_damaged_verdict_is_named(folder: Path, change: Callable[[Any], None], message: str) -> None:
    """Its digest is right: written by other code, or by hand together with the manifest."""
    values = json.loads(FILES["verdict.json"])
    change(values)
    results.write(folder, {**FILES, "verdict.json": json.dumps(values).encode()})
    with pytest.raises(IntegrityError, match=rf"damaged verdict in .*verdict\.json: got {message}"):
        results.read(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{"])
def test_a_verdict_that_is_no_mapping_is_named(folder: Path, text: str) -> None:
    results.write(folder, {**FILES, "verdict.json": text.encode()})
    with pytest.raises(IntegrityError, match=r"damaged verdict in .*verdict\.json: got the whole: "):
        results.read(folder)


def test_a_field_of_a_later_version_is_let_pass(folder: Path) -> None:
    values = {**json.loads(FILES["verdict.json"]), "later": 1}
    results.write(folder, {**FILES, "verdict.json": json.dumps(values).encode()})
    assert results.read(folder).verdict == VERDICT


def test_the_manifest_comes_last_and_is_gone_while_files_are_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        assert not (folder / results.MANIFEST).exists()
        if path.name == "cells.csv":
            raise OSError("no space")
        path.write_bytes(data)

    monkeypatch.setattr(results, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        results.write(folder, FILES)
    with pytest.raises(IntegrityError, match=r"missing file in .*manifest"):
        results.read(folder)


def test_the_manifest_is_plain_json(folder: Path) -> None:
    manifest = json.loads((folder / results.MANIFEST).read_text())
    assert set(manifest) == {"format", "sha256", "seal"}
    assert set(manifest["sha256"]) == set(FILES)
