"""Files and folders come back as they were, and nothing leaves its folder."""

from __future__ import annotations

import json
import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from jupyter_mlops.errors import ConflictError, CorruptError, NotFoundError
from jupyter_mlops.snapshots import Refused, digest_file, digest_folder
from jupyter_mlops.snapshots.encoding import decode, encode

from .memory import MemoryStore, back, put

ODD = [b"caf\xe9", "日本".encode(), b"new\nline", b"-rf", b" ", b"a" * 255, b"\xff\xfe"]


def tree_of(folder: Path) -> dict[bytes, tuple[str, int, bytes]]:
    found = {}
    base = os.fsencode(folder)
    for here, folders, files in os.walk(base):
        for name in [*folders, *files]:
            path = os.path.join(here, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                value = ("link", 0, os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                value = ("folder", stat.S_IMODE(status.st_mode), b"")
            else:
                value = ("file", stat.S_IMODE(status.st_mode), Path(os.fsdecode(path)).read_bytes())
            found[os.path.relpath(path, base)] = value
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "deep" / "big.bin").write_bytes(random.Random(1).randbytes(5_000_000))
    (root / "deep" / "er" / "run.sh").write_text("#!/bin/sh\n")
    (root / "deep" / "er" / "run.sh").chmod(0o755)
    (root / "nothing").touch()
    (root / "twice").write_text("the same")
    (root / "again").write_text("the same")
    for name in ODD:
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(b"odd " + name)
    (root / "link").symlink_to("deep/big.bin")
    (root / "outside").symlink_to("/etc/passwd")
    (root / "dangling").symlink_to("nowhere")
    (root / "linked folder").symlink_to("deep")
    return root


def test_a_folder_comes_back(folder: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    manifest, _ = put(folder, store)
    json.dumps(manifest.object)
    found = back(manifest, store)
    assert found.restore(tmp_path / "restored") == tmp_path / "restored"
    assert tree_of(tmp_path / "restored") == tree_of(folder)
    assert found.read("twice") == b"the same"
    with pytest.raises(NotFoundError):
        found.read("three times")
    again, tx = put(tmp_path / "restored", store)
    assert (again.digest, tx.new_chunks) == (manifest.digest, 0)


def test_small_files_share_chunks(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / str(number)).write_text(f"file {number}" * 20)
    store = MemoryStore()
    manifest, tx = put(tmp_path, store)
    assert tx.new_chunks == 1
    (tmp_path / "500").write_text("changed")
    second, tx = put(tmp_path, store, manifest)
    assert tx.added == len("changed")
    assert back(second, store).read("500") == b"changed"
    assert back(manifest, store).read("500") == b"file 500" * 20


def test_an_insertion_into_a_large_file_costs_little(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(30_000_000)
    path = tmp_path / "f.bin"
    path.write_bytes(data)
    store = MemoryStore()
    manifest, _ = put(path, store)
    assert manifest.digest == digest_file(path).id
    path.write_bytes(data[:10_000_000] + b"inserted" + data[10_000_000:])
    second, tx = put(path, store, manifest)
    assert tx.added < 9_000_000
    restored = back(second, store).restore(tmp_path / "out")
    assert restored == tmp_path / "out" / "f.bin"
    assert restored.read_bytes() == path.read_bytes()


def test_the_digest_is_that_of_a_folder_read_as_an_input(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("x")
    (tmp_path / "a.b").write_text("y")
    manifest, _ = put(tmp_path, MemoryStore())
    assert manifest.digest == digest_folder(tmp_path).id
    (tmp_path / "empty").mkdir()
    with_folder = put(tmp_path, MemoryStore())[0].digest
    (tmp_path / "link").symlink_to("a.b")
    assert len({manifest.digest, with_folder, put(tmp_path, MemoryStore())[0].digest}) == 3


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    os.utime(tmp_path / "f", (1e9, 1e9))
    store = MemoryStore()
    manifest, _ = put(tmp_path, store)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was read"))
    again, _ = put(tmp_path, store, manifest)
    assert again.object == manifest.object


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="pipe"):
        encode(tmp_path, MemoryStore().begin())


def hostile(*entries: dict[str, Any]) -> Any:
    store = MemoryStore()
    tx = store.begin()
    chunk = tx.add(b"evil")
    digest = blake3(b"evil").hexdigest()
    made = [
        {"type": "file", "mode": 0o644, "size": 4, "digest": digest, "pieces": [[chunk, 0, 4]]} | e
        for e in entries
    ]
    return decode({"format": 1, "kind": "folder", "entries": made}, store.read)


@pytest.mark.parametrize(
    "path",
    [
        [".."],
        ["..", "x"],
        ["a", "..", "..", "x"],
        ["/etc/x"],
        ["a/../../x"],
        [""],
        [],
        ["."],
        ["x\0y"],
        [{"hex": "2e2e"}, "x"],
        [{"hex": "2f78"}],
    ],
)
def test_a_path_that_leads_elsewhere_is_corrupt(path: list[Any], tmp_path: Path) -> None:
    with pytest.raises(CorruptError):
        hostile({"path": path}).restore(tmp_path / "out")
    assert not (tmp_path / "x").exists()


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    link = {"path": ["d"], "type": "link", "target": str(target)}
    with pytest.raises((CorruptError, ConflictError)):
        hostile(link, {"path": ["d", "x"]}).restore(tmp_path / "out")
    assert list(target.iterdir()) == []
    # And through one that lay there before.
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "d").symlink_to(target)
    folder = {"path": ["d"], "type": "folder", "mode": 0o755}
    with pytest.raises((CorruptError, ConflictError)):
        hostile(folder, {"path": ["d", "x"]}).restore(tmp_path / "there")
    assert list(target.iterdir()) == []
    (tmp_path / "there" / "f").symlink_to(target / "x")
    with pytest.raises(ConflictError):
        hostile({"path": ["f"]}).restore(tmp_path / "there")
    assert list(target.iterdir()) == []


def test_what_exists_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ConflictError, match="exists"):
        hostile({"path": ["x"]}).restore(tmp_path)
    assert (tmp_path / "x").read_text() == "mine"


def test_a_file_that_is_not_what_it_was_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="digest"):
        hostile({"path": ["x"], "digest": "0" * 64}).restore(tmp_path)
    assert not (tmp_path / "x").exists()
    with pytest.raises(CorruptError):
        hostile({"path": ["x"], "size": 3}).restore(tmp_path / "b")


def test_special_bits_are_not_restored(tmp_path: Path) -> None:
    hostile({"path": ["x"], "mode": 0o6755}).restore(tmp_path)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o755
