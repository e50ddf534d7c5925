"""Shards that were changed after they were written, and disks that fill up."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from specnorm import files
from specnorm.errors import IntegrityError, ResourceError
from specnorm.shards import store, writer
from tests.builders import Array, edit, levels, parquet_bomb, tree, write_shards

NAME = "raw/fold-2.npy"


class _Payload:
    """Unpickling it makes a file."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


def _header(descr: str, shape: tuple[int, ...], body: bytes = b"") -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _swap(path: Path) -> None:
    other = path.with_name("fold-1.npy")
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)


def _objects(path: Path) -> None:
    body = pickle.dumps(np.array([_Payload(path.with_name("sentinel"))], dtype=object))
    path.write_bytes(_header("|O", (4, 1, 9, 6), body))


def _vast(path: Path) -> None:
    path.write_bytes(_header("<f4", (10**6, 1, 1000, 10000)))  # 40 TB


def _doubles(path: Path) -> None:
    np.save(path, np.zeros((4, 1, 9, 6)))


def _other_shape(path: Path) -> None:
    np.save(path, np.zeros((4, 1, 9, 7), np.float32))


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((4, 1, 9, 6), np.float32))


def _text(path: Path) -> None:
    path.write_bytes(b"not an array")


DAMAGE: list[Callable[[Path], None]] = [
    _flip,
    _cut,
    _grow,
    _empty,
    _swap,
    _objects,
    _vast,
    _doubles,
    _other_shape,
    _npz,
    _text,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole folder of shards."""
    write_shards(tmp_path / "spectrograms", levels())
    return tmp_path / "spectrograms"


@pytest.mark.case("F9")
@pytest.mark.parametrize("damage", DAMAGE)
def test_changed_bytes(folder: Path, damage: Callable[[Path], None]) -> None:
    recorded = store.open_shards(folder).manifest["shards"][NAME]["sha256"]
    damage(folder / NAME)
    actual = files.sha256_file(folder / NAME)
    before = tree(folder)
    with pytest.raises(IntegrityError) as caught:
        store.open_shards(folder).parts("raw", 2)[0]
    assert f"changed file in {folder / NAME}: expected SHA-256 {recorded}, got {actual}" in str(caught.value)
    assert tree(folder) == before
    assert store.open_shards(folder).parts("raw", 3)[0].shape == (4, 1, 9, 6)


@pytest.mark.case("F9", "T12")
@pytest.mark.parametrize("damage", [_cut, _empty, _objects, _vast, _doubles, _other_shape, _npz, _text])
def test_changed_bytes_whose_digest_was_changed_as_well(folder: Path, damage: Callable[[Path], None]) -> None:
    # Guards: numpy's ValueError came through, without the shard's name.
    damage(folder / NAME)
    digest = files.sha256_file(folder / NAME)
    edit(folder / "manifest.json", lambda manifest: manifest["shards"][NAME].update(sha256=digest))
    with pytest.raises(IntegrityError, match=rf"wrong shard in .*{NAME}: expected .*got"):
        store.open_shards(folder).parts("raw", 2)[0]
    assert not list(folder.rglob("sentinel"))


def test_a_shard_and_a_manifest_of_fewer_clips_than_the_index(folder: Path) -> None:
    np.save(folder / NAME, np.zeros((3, 1, 9, 6), np.float32))
    entry = {"sha256": files.sha256_file(folder / NAME), "shape": [3, 1, 9, 6]}
    edit(folder / "manifest.json", lambda manifest: manifest["shards"][NAME].update(entry))
    with pytest.raises(IntegrityError, match=r"wrong shard.*the 4 clips of fold 2, got 3"):
        store.open_shards(folder).parts("raw", 2)[0]


@pytest.mark.case("F10")
def test_a_shard_deleted(folder: Path) -> None:
    (folder / NAME).unlink()
    with pytest.raises(IntegrityError, match=rf"missing file in .*{NAME}"):
        store.open_shards(folder).parts("raw", 2)[0]


@pytest.mark.case("F10")
@pytest.mark.parametrize("name", ["manifest.json", "clips.parquet"])
def test_the_manifest_or_the_index_deleted(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=rf"(missing|unreadable) .* in .*{name}"):
        store.open_shards(folder)


@pytest.mark.case("F10")
def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"missing file in .*manifest\.json"):
        store.open_shards(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", [_flip, _cut, _empty, _text])
def test_an_index_changed(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / "clips.parquet")
    digest = files.sha256_file(folder / "clips.parquet")
    with pytest.raises(
        IntegrityError, match=rf"changed file in .*clips\.parquet: expected SHA-256 [0-9a-f]{{64}}, got {digest}"
    ):
        store.open_shards(folder)


def test_labels_changed_in_the_index(folder: Path) -> None:
    opened = store.open_shards(folder)
    opened.clips.assign(target=0).to_parquet(folder / "clips.parquet", index=False)
    with pytest.raises(IntegrityError, match=r"changed file in .*clips\.parquet"):
        store.open_shards(folder)


@pytest.mark.parametrize("stored", ["", "{", "null", "[]", "3", "{}", '{"format": 1}', '{"format": "2"}', "\0"])
def test_a_manifest_that_is_none(folder: Path, stored: str) -> None:
    (folder / "manifest.json").write_text(stored)
    with pytest.raises(IntegrityError, match=r"(wrong manifest|unreadable file) in .*manifest\.json: expected"):
        store.open_shards(folder)


def test_a_manifest_of_another_format_shows_both(folder: Path) -> None:
    edit(folder / "manifest.json", lambda manifest: manifest.update(format=1))
    with pytest.raises(IntegrityError, match="expected format 2, got 1"):
        store.open_shards(folder)


@pytest.mark.parametrize("key", ["shards", "index", "front_end", "front_end_fingerprint", "dataset", "fit"])
@pytest.mark.parametrize("value", ["left out", None, [], {}, 3])
def test_a_manifest_with_a_field_missing_or_of_another_type(folder: Path, key: str, value: object) -> None:
    # Guards: KeyError and TypeError came through.
    edit(
        folder / "manifest.json",
        lambda manifest: manifest.pop(key) if value == "left out" else manifest.update({key: value}),
    )
    if key == "fit" and value in ("left out", None):
        assert store.open_shards(folder).fit is None
        return
    if key == "shards" and value == {}:
        assert store.open_shards(folder).manifest["shards"] == {}  # well formed: each shard is then refused by name
        return
    with pytest.raises(IntegrityError, match=rf"damaged manifest in .*manifest\.json: got {key}"):
        store.open_shards(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["front_end"].update(amin=1e-9),
        lambda manifest: manifest.update(fit=None, note="by hand"),
    ],
)
def test_an_edited_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    edit(folder / "manifest.json", change, sealed=False)
    with pytest.raises(IntegrityError, match=r"changed file in .*manifest\.json: expected SHA-256"):
        store.open_shards(folder)


def reindexed(folder: Path, table: pd.DataFrame, *, clips: int | None = None) -> None:
    """Write another index, with digest and seal made to match."""
    path = folder / "clips.parquet"
    table.to_parquet(path, index=False)
    entry = {"sha256": files.sha256_file(path), "clips": len(table) if clips is None else clips}
    edit(folder / "manifest.json", lambda manifest: manifest.update(index=entry))


@pytest.mark.case("T8")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="row"), "expected a column row, got clip, fold"),
        (lambda table: table.assign(fold="one"), "expected a whole number in column fold"),
        (lambda table: table.assign(fold=1.5), "expected a whole number in column fold, got float64"),
        (lambda table: table.assign(target=None), "expected a whole number in column target, got a value missing"),
        (lambda table: table.assign(clip=7), "expected text in column clip"),
        (lambda table: table.drop(columns="source"), "expected a column source, got clip, fold"),
        (lambda table: table.assign(source=None), "expected text in column source"),
        (lambda table: table.assign(row=0), "wrong index .*rows from 0 on of fold 1"),
        (lambda table: table.assign(target=table["target"] + 1), "wrong index .*a label for every target, from 0 on"),
        (lambda table: table.assign(label=table["clip"]), "wrong index .*a label for every target, from 0 on"),
    ],
)
def test_an_index_whose_digest_was_changed_as_well(
    folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    reindexed(folder, change(store.open_shards(folder).clips))
    with pytest.raises(IntegrityError, match=rf"wrong (table|index) in .*clips\.parquet: .*{message}|{message}"):
        store.open_shards(folder)


@pytest.mark.parametrize("says", [12, 10**8])
def test_an_index_of_a_hundred_million_rows_is_not_read(
    folder: Path, says: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some 25 kB on the disk, gigabytes in memory."""
    (folder / "clips.parquet").write_bytes(parquet_bomb(10**8))
    entry = {"sha256": files.sha256_file(folder / "clips.parquet"), "clips": says}
    edit(folder / "manifest.json", lambda manifest: manifest.update(index=entry))
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(IntegrityError, match=r"wrong table in .*clips\.parquet: expected .*got 100000000"):
        store.open_shards(folder)


@pytest.mark.case("F13")
@pytest.mark.parametrize("left", ["raw/.fold-2.npy.4194999.partial", ".clips.parquet.4194999.partial"])
def test_what_an_interrupted_writer_left_is_never_read(folder: Path, left: str) -> None:
    (folder / left).write_bytes(b"half")
    assert store.open_shards(folder).folds == [1, 2, 3]
    assert store.open_shards(folder).parts("raw", 2)[0].shape == (4, 1, 9, 6)


_FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    import numpy as np
    from specnorm.shards import writer
    from specnorm.errors import ResourceError

    folder, limit = Path(sys.argv[1]), int(sys.argv[2])
    row = np.zeros((1, 50, 60), np.float32)
    rows = [dict(raw=row, standardized=row)] * 20
    writer.write_part(folder, 1, 20, 50, 60, rows)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        writer.write_part(folder, 2, 20, 50, 60, rows)
    except ResourceError as error:
        print(error)
        sys.exit(error.exit_code)
"""


@pytest.mark.case("F7")
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX limit")
@pytest.mark.parametrize("limit", [0, 64, 100_000, 239_000])  # at the header, in it, in the rows, in the last flush
def test_a_full_disk(tmp_path: Path, limit: int) -> None:
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(_FULL_DISK), str(tmp_path), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(_root())},
    )
    assert found.returncode == 5, found.stderr
    assert "cannot write a file in" in found.stdout
    assert "fold-2.npy: got File too large. Free space" in found.stdout
    assert found.stderr == ""
    assert {*tree(tmp_path)} == {"raw/fold-1.npy", "standardized/fold-1.npy"}
    assert np.load(tmp_path / "raw/fold-1.npy").shape == (20, 1, 50, 60)


def _root() -> Path:
    return Path(store.__file__).parents[1]


@pytest.mark.case("F8")
def test_a_folder_that_cannot_be_made_is_reported_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def rows() -> Any:
        raise AssertionError("a clip was computed")
        yield

    with pytest.raises(ResourceError, match=r"cannot write a file in .*file/raw/fold-1\.npy"):
        writer.write_part(tmp_path / "file", 1, 1, 9, 6, rows())


def test_the_damage_is_damage(folder: Path) -> None:
    values: Array = np.load(folder / NAME)
    assert len((folder / NAME).read_bytes()) == 128 + values.nbytes  # what _flip and _cut count back from
