"""Digests of files and folders: what ``b3sum`` prints, read once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from blake3 import blake3

from jupyter_mlops.snapshots import Undigested, digest_file, digest_folder
from jupyter_mlops.snapshots import files as module


def aged(path: Path, data: bytes) -> Path:
    """A file that was written a while ago."""
    path.write_bytes(data)
    then = time.time_ns() - 10**10
    os.utime(path, ns=(then, then))
    return path


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_a_file_is_the_blake3_of_its_bytes(tmp_path: Path, size: int) -> None:
    path = aged(tmp_path / "data.csv", b"x" * size)
    found = digest_file(path)
    assert found.id == f"blake3:{blake3(b'x' * size).hexdigest()}"
    assert (found.kind, found.size) == ("file", size)
    assert digest_file(str(path)) == found


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = aged(tmp_path / "data", b"abc")
    found = digest_file(path)
    monkeypatch.setattr("builtins.open", None)
    assert digest_file(path, budget=0.0) == found


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"abc")
    status = path.stat()
    first = digest_file(path)
    path.write_bytes(b"abd")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest_file(path) != first


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    path = aged(tmp_path / "data", b"abc")
    first = digest_file(path)
    path.write_bytes(b"abd")
    assert digest_file(path) != first


def test_a_file_that_changes_while_it_is_read_has_none(tmp_path: Path) -> None:
    path = aged(tmp_path / "data", b"a" * 3_000_000)

    def write() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(Undigested, match="changed while"):
        digest_file(path, pause=write)


def test_a_budget_and_what_is_no_file(tmp_path: Path) -> None:
    path = aged(tmp_path / "data", b"a" * 30_000_000)
    with pytest.raises(Undigested, match=r"30\.0 MB"):
        digest_file(path, budget=0.001)
    with pytest.raises(Undigested, match="not a regular file"):
        digest_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        digest_file(tmp_path / "none")


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    for name in ("b/part-1", "b/part-0", "a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        aged(tmp_path / name, name.encode())
    lines = "".join(
        f"{blake3(name.encode()).hexdigest()}  {name}\n" for name in ("a", "b/part-0", "b/part-1")
    )
    found = digest_folder(tmp_path)
    assert found.id == f"blake3:{blake3(lines.encode()).hexdigest()}"
    assert (found.kind, found.rows, found.size) == ("folder", 3, 17)
    with pytest.raises(Undigested, match="more than 2 files"):
        digest_folder(tmp_path, files=2)


def test_only_so_many_files_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN", 2)
    for number in range(4):
        digest_file(aged(tmp_path / str(number), b"x"))
    assert len(module._known) <= 2
