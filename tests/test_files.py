"""Files are whole or absent, JSON is one sequence of bytes a value, a lock has one holder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specnorm import files
from specnorm.errors import IntegrityError, ResourceError

ROOT = Path(__file__).parents[1]
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["new", "old"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file to write, which is there already or is not."""
    path = tmp_path / "below" / "file.bin"
    if request.param == "old":
        path.parent.mkdir()
        path.write_bytes(b"old")
    return path


def test_a_write_that_succeeds_leaves_the_file_alone_in_its_folder(target: Path) -> None:
    with files.atomic_path(target) as partial:
        assert partial.parent == target.parent  # a rename across file systems would copy
        partial.write_bytes(b"new")
        assert target.exists() == ("file.bin" in tree(target.parent))
    assert tree(target.parent) == {"file.bin": b"new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
def test_a_write_that_fails_leaves_what_was_there(target: Path, error: type[BaseException]) -> None:
    before = tree(target.parent)

    def write() -> None:
        with files.atomic_path(target) as partial:
            partial.write_bytes(b"half")
            assert tree(target.parent) == before | {partial.name: b"half"}  # the old file stands until the very end
            raise error("stop")

    with pytest.raises(error, match="stop"):
        write()
    assert tree(target.parent) == before


def test_a_block_that_writes_nothing_is_an_error(target: Path) -> None:
    before = tree(target.parent)
    no_file = r"cannot write a file in .*file\.bin: got No such file"
    with pytest.raises(ResourceError, match=no_file), files.atomic_path(target):
        pass
    assert tree(target.parent) == before


def test_the_bytes_are_on_the_disk_before_they_have_their_name(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fsync, replace = os.fsync, Path.replace

    def flushed(descriptor: int) -> None:
        calls.append(("fsync", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def renamed(path: Path, to: Path) -> Path:
        calls.append(("replace", path.stat().st_size))
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    files.write_bytes(target, b"12345")
    assert calls == [("fsync", 5), ("replace", 5)]


@pytest.mark.case("F7")
def test_a_full_disk_is_a_resource_error(target: Path) -> None:
    before = tree(target.parent)

    def write() -> None:
        with files.atomic_path(target) as partial:
            partial.write_bytes(b"half")
            with Path("/dev/full").open("wb", buffering=0) as full:
                full.write(b"x")

    with pytest.raises(ResourceError, match=r"cannot write a file in .*got No space left on device\. Free space"):
        write()
    assert tree(target.parent) == before


def test_a_limit_on_the_file_s_size_is_a_resource_error(target: Path) -> None:
    """With a real write that stops halfway: in a child, because a limit once lowered stays."""
    before = tree(target.parent)
    script = (
        "import resource, signal, sys; from pathlib import Path; from specnorm import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    files.write_bytes(Path(sys.argv[1]), bytes(1001))\n"
        "except files.ResourceError as error:\n"
        "    print(error)\n"
        "files.write_bytes(Path(sys.argv[1]).with_name('fits'), bytes(1000))\n"
    )
    found = subprocess.run([sys.executable, "-c", script, target], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(f"cannot write a file in {target}: got File too large")
    assert tree(target.parent) == before | {"fits": bytes(1000)}


def test_a_folder_that_cannot_be_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"cannot write a file in .*got (File exists|Not a directory)"):
        files.write_text(tmp_path / "file" / "below.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResourceError, match=r"cannot write a file in .*Is a directory"):
        files.write_text(tmp_path / "folder", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.case("F8")
@not_as_root
def test_a_read_only_folder_is_a_resource_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ResourceError, match="Permission denied"):
            files.write_text(tmp_path / "file", "x")
        with pytest.raises(ResourceError, match="which is read-only"):
            files.check_writable(tmp_path / "below")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.case("F8")
def test_a_place_for_output_is_checked_without_making_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    files.check_writable(tmp_path)
    files.check_writable(tmp_path / "new" / "deep")
    assert tree(tmp_path) == {"file": b""}
    for place in ("file", "file/below"):
        with pytest.raises(ResourceError, match=r"cannot write to a folder in .*file, which is a file"):
            files.check_writable(tmp_path / place)
    # A read-only file system stops root as well; a fake stands in for one.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(ResourceError, match=r"cannot write to a folder in .*new/deep: got .*, which is read-only"):
        files.check_writable(tmp_path / "new" / "deep")


def test_text_is_utf_8_with_newlines_as_they_are(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a", "ü\n\r\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xbc\n\r\n"


# --- JSON and fingerprints

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=15
)


def shuffled(value: Any, random: Any) -> Any:
    """The same value with every mapping's keys inserted in another order."""
    if isinstance(value, dict):
        items = list(value.items())
        random.shuffle(items)
        return {key: shuffled(inner, random) for key, inner in items}
    return [shuffled(inner, random) for inner in value] if isinstance(value, list) else value


@given(value=_TREES, random=st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(value: Any, random: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    other = shuffled(value, random)
    assert files.fingerprint(value) == files.fingerprint(other)
    files.write_json(folder / "a.json", value)
    files.write_json(folder / "b.json", other)
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()
    assert files.read_json(folder / "a.json") == value
    assert files.fingerprint(files.read_json(folder / "a.json")) == files.fingerprint(value)


@given(one=_TREES, other=_TREES)
def test_other_values_have_other_fingerprints(one: Any, other: Any) -> None:
    if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
        assert files.fingerprint(one) != files.fingerprint(other)


def test_the_order_of_a_list_is_part_of_the_value() -> None:
    assert files.fingerprint([1, 2]) != files.fingerprint([2, 1])
    assert files.fingerprint(["ab", "c"]) != files.fingerprint(["a", "bc"])
    assert files.fingerprint({"a": [1]}) != files.fingerprint({"a": 1})


def test_a_fingerprint_is_kept_over_versions() -> None:
    """Stored files hold fingerprints: another canonical form would make all of them strangers."""
    canonical = '{"a":"ü","b":[1,2.5,null,true]}'
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    assert files.fingerprint({"b": [1, 2.5, None, True], "a": "ü"}) == digest


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_has_no_numbers_that_are_none(target: Path, number: float) -> None:
    before = tree(target.parent)
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(target, {"deep": [1, number]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.fingerprint(number)
    assert tree(target.parent) == before


def test_what_is_not_json_is_an_integrity_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(IntegrityError, match=r"missing file in .*a\.json$"):
        files.read_json(path)
    for data in (b"", b'{"a": ', b"\xff\xfe", b"[1] [2]"):
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match=r"unreadable file in .*a\.json: expected JSON, got "):
            files.read_json(path)
    with pytest.raises(IntegrityError, match="unreadable file"):
        files.read_json(tmp_path)


@pytest.mark.parametrize("text", ["[]", "1", '{"format": 2}', '{"format": "1"}', "{}"])
def test_a_sealed_file_is_a_mapping_of_its_format(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(IntegrityError, match=r"wrong manifest in .*m\.json: expected format 1"):
        files.read_sealed(path, format=1)
    with pytest.raises(IntegrityError, match=r"wrong cell in .*m\.json: expected format 1"):
        files.read_sealed(path, format=1, what="cell")


@given(value=_TREES)
def test_what_is_sealed_comes_back(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "m.json"
    files.write_sealed(path, {"format": 1, "value": value})
    assert files.read_sealed(path, format=1) == {"format": 1, "value": value}
    stored = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(reversed(stored.items())), indent=7), encoding="utf-8")  # as a person reformats it
    assert files.read_sealed(path, format=1) == {"format": 1, "value": value}


@pytest.mark.case("V9")
def test_a_sealed_file_with_any_bit_flipped_says_the_same_or_is_refused(tmp_path: Path) -> None:
    path, value = tmp_path / "m.json", {"format": 1, "mean": [-31.25, 1e-05, 0], "name": "Vögel", "none": None}
    files.write_sealed(path, value)
    good = path.read_bytes()
    refused = 0
    for bit in range(8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            assert files.read_sealed(path, format=1) == value
        except IntegrityError as error:
            refused += str(path) in str(error)
    assert refused == 8 * len(good) - 1  # the one is 1E-05


@pytest.mark.parametrize("stored", ['{"format": 1}', '{"format": 1, "seal": null}', '{"format": 1, "seal": [1]}'])
def test_a_seal_that_is_none(tmp_path: Path, stored: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(stored)
    with pytest.raises(IntegrityError, match=r"changed file in .*m\.json: expected SHA-256 .*, got [0-9a-f]{64}"):
        files.read_sealed(path, format=1)


def test_numbers_that_no_json_has_and_endless_lists_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"format": 1, "mean": NaN, "seal": "x"}')
    with pytest.raises(IntegrityError, match=r"changed file in .*got values that are no JSON"):
        files.read_sealed(path, format=1)
    path.write_text('{"format": 1, "mean": ' + 100_000 * "[" + 100_000 * "]" + "}")
    with pytest.raises(IntegrityError, match=r"unreadable file in .*m\.json: expected JSON"):
        files.read_sealed(path, format=1)


@pytest.mark.parametrize("read", [files.read_checked, files.check_file])
def test_a_sealed_file_is_held_to_its_digest(tmp_path: Path, read: Callable[[Path, object], object]) -> None:
    path = tmp_path / "a"
    with pytest.raises(IntegrityError, match=r"missing file in .*a$"):
        read(path, "0")
    path.write_bytes(b"abc")
    assert read(path, files.sha256_file(path)) in (b"abc", None)
    for digest in ("0" * 64, None, 1, files.sha256_file(path).upper()):
        with pytest.raises(IntegrityError, match=f"changed file in .*a: expected SHA-256 {digest}, got ba78"):
            read(path, digest)
    with pytest.raises(IntegrityError, match="unreadable file"):
        read(tmp_path, "0")


def test_a_file_s_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, B.1
    assert files.sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# --- what an interrupted writer leaves


@pytest.mark.case("F13")
def test_partial_files_are_removed_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    """A regression: shards are written two floors below the folder that is cleaned."""
    kept = ["a.npy", "raw/a.npy", "raw/partial", "raw/.hidden", "raw/fold.partial", "raw/.a.npy.12.partial.txt"]
    stale = [".a.npy.12.partial", "raw/.a.npy.12.partial", "raw/deep/.b.99999999.partial"]
    for name in kept + stale:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    files.clean_partials(tmp_path)
    assert sorted(tree(tmp_path)) == sorted(kept)
    files.clean_partials(tmp_path / "absent")


@pytest.mark.case("F13")
def test_a_killed_writer_s_partial_file_is_one_that_is_cleaned(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from specnorm import files\n"
        "with files.atomic_path(Path(sys.argv[1])) as partial:\n"
        "    partial.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), int(sys.argv[2]))\n"
    )
    target = tmp_path / "raw" / "a.npy"
    for ending in (signal.SIGKILL, signal.SIGTERM):  # neither runs any of our code
        found = subprocess.run([sys.executable, "-c", script, target, str(int(ending))], cwd=ROOT, check=False)
        assert found.returncode == -ending
        assert list(tree(tmp_path).values()) == [b"half"]
        assert not target.exists()
        files.clean_partials(tmp_path)
        assert tree(tmp_path) == {}


# --- locks

HOLDER = (
    "import sys; from pathlib import Path; from specnorm import files\n"
    "with files.exclusive(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
    "print('free', flush=True)\n"
)


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock ``path`` until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.case("F12")
def test_a_lock_has_one_holder_and_its_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "data-raw.lock"
    with holder(path) as process:
        for _ in range(2):  # a refused process does not break the lock
            with pytest.raises(ResourceError) as caught, files.exclusive(path):
                pytest.fail("two processes hold one lock")
            assert str(caught.value) == (
                "another process is doing the same work in data-raw: got a lock held by process "
                f"{process.pid}. Wait until it has ended, then run the command again"
            )
        with files.exclusive(path.with_name("other.lock")):  # another lock is another's
            pass
        out, _ = process.communicate("")
        assert out == "free\n"
    with files.exclusive(path):
        assert path.with_suffix(".pid").read_text() == str(os.getpid())


@pytest.mark.case("F12")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_ends_with_its_holder(tmp_path: Path, ending: signal.Signals) -> None:
    path = tmp_path / "a.lock"
    with holder(path) as process:
        process.send_signal(ending)
        assert process.wait() == -ending
        with files.exclusive(path):
            pass


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path) as process:
        assert process.stdin is not None
        process.stdin.close()
        # Far longer than the other process needs to end, far shorter than the suite's own limit.
        with files.exclusive(path, timeout_s=60):
            pass


def test_a_lock_is_freed_by_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    for error in (ValueError, KeyboardInterrupt, OSError):
        with pytest.raises(error, match="stop"), files.exclusive(path):
            raise error("stop")  # and it comes through as it is
    with files.exclusive(path):
        pass


def test_an_owner_that_did_not_write_its_name_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path):
        for spoil in (lambda: path.with_suffix(".pid").write_text(""), path.with_suffix(".pid").unlink):
            spoil()
            with pytest.raises(ResourceError, match="held by process unknown"), files.exclusive(path):
                pass


def test_a_lock_that_cannot_be_made_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ResourceError, match=r"cannot make a lock in .*a\.lock: got "),
        files.exclusive(tmp_path / "file" / "a.lock"),
    ):
        pass
    (tmp_path / "b.pid").mkdir()  # the lock is taken, but its owner cannot be written down
    for _ in range(2):  # the first failure must not leave it taken
        message = r"cannot make a lock in .*b\.lock: got Is a directory"
        with pytest.raises(ResourceError, match=message), files.exclusive(tmp_path / "b.lock"):
            pass


# --- files that were held to their digests before


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read for their digests."""
    found: list[Path] = []
    digest = files.sha256_file
    monkeypatch.setattr(files, "sha256_file", lambda path: (found.append(path), digest(path))[1])
    return found


def aged(path: Path, data: bytes) -> str:
    """A file that was written a while ago; returns its digest."""
    path.write_bytes(data)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_read_once_for_its_digest_however_many_links_it_has(tmp_path: Path, read: list[Path]) -> None:
    sha256 = aged(tmp_path / "a", b"data")
    for _ in range(3):
        files.check_file(tmp_path / "a", sha256, noted=tmp_path / "notes")
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    for name in "bc":
        files.check_file(tmp_path / name, sha256, noted=tmp_path / "notes")
    assert len(read) == 1
    with pytest.raises(IntegrityError, match="changed file"):
        files.check_file(tmp_path / "a", "0" * 64, noted=tmp_path / "notes")


def test_a_file_that_has_changed_is_read_again(tmp_path: Path, read: list[Path]) -> None:
    sha256 = aged(tmp_path / "a", b"data")
    files.check_file(tmp_path / "a", sha256, noted=tmp_path / "notes")
    (tmp_path / "a").write_bytes(b"atad")
    for _ in range(2):  # what was refused is not noted
        with pytest.raises(IntegrityError, match="changed file"):
            files.check_file(tmp_path / "a", sha256, noted=tmp_path / "notes")
    assert len(read) == 3


def test_a_file_that_was_written_this_moment_is_not_noted(tmp_path: Path, read: list[Path]) -> None:
    """A second change within its time's resolution would not be seen."""
    (tmp_path / "a").write_bytes(b"data")
    for _ in range(2):
        files.check_file(tmp_path / "a", hashlib.sha256(b"data").hexdigest(), noted=tmp_path / "notes")
    assert len(read) == 2


def test_notes_that_cannot_be_made_cost_the_second_reading_alone(tmp_path: Path, read: list[Path]) -> None:
    sha256 = aged(tmp_path / "a", b"data")
    (tmp_path / "notes").write_text("a file")
    for _ in range(2):
        files.check_file(tmp_path / "a", sha256, noted=tmp_path / "notes")
    assert len(read) == 2
