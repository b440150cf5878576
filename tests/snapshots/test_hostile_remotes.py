"""Remotes that lie: nothing hostile or damaged comes in, and nothing here is changed by it."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3

from jupyter_mlops.errors import (
    ConflictError,
    CorruptError,
    MlopsError,
    NotFoundError,
)
from jupyter_mlops.snapshots.inventory import Inventory
from jupyter_mlops.snapshots.manifests import pack_manifest
from jupyter_mlops.snapshots.packs import HEADER, Entry, pack_bytes, read_footer
from jupyter_mlops.snapshots.pulling import pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.refs import encode_line
from jupyter_mlops.snapshots.remotes import open_remote
from jupyter_mlops.snapshots.store import SnapshotStore

from .test_remotes import commit, content, noise


@pytest.fixture
def mine(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "mine")


@pytest.fixture
def theirs(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "theirs")


@pytest.fixture
def remote(tmp_path: Path, mine: SnapshotStore) -> Path:
    """A remote in a folder with one version, ``c@1``."""
    commit(mine, "c", {"a": [noise(1)], "b": [b"compressible " * 4000]})
    push(mine, str(tmp_path / "remote"))
    return tmp_path / "remote"


def refuses(store: SnapshotStore, remote: Path, match: str) -> None:
    with pytest.raises(CorruptError, match=match):
        pull(store, str(remote))
    assert store.versions() == []
    assert list(store.manifests.iterdir()) == []
    assert store.verify().ok


def test_any_flipped_bit_is_found_on_arrival(remote: Path, tmp_path: Path) -> None:
    (pack,) = (remote / "packs").iterdir()
    whole = pack.read_bytes()
    entries = read_footer(pack)
    generator = np.random.default_rng(0)
    places = [0, len(whole) - 1, *generator.integers(8, len(whole), 30).tolist()]
    for n, place in enumerate(places):
        bad = bytearray(whole)
        bad[place] ^= 1 << int(generator.integers(8))
        pack.write_bytes(bad)
        store = SnapshotStore(tmp_path / f"s{n}")
        if place < len(HEADER):  # nobody reads the first bytes over the network
            pull(store, str(remote))
            assert store.verify().ok
            continue
        with pytest.raises((CorruptError, NotFoundError)):
            pull(store, str(remote))
        assert store.versions() == []
    assert entries


def test_a_pack_with_other_bytes_under_an_id(remote: Path, theirs: SnapshotStore) -> None:
    (pack,) = (remote / "packs").iterdir()
    entries = read_footer(pack)
    forged = [(Entry(e.id, 0, 5, 5, "raw", zlib.crc32(b"other")), b"other") for e in entries]
    pack.write_bytes(pack_bytes(forged))
    refuses(theirs, remote, "does not match its id")


@pytest.mark.parametrize("codec", ["zstd", "blosc"])
def test_a_chunk_that_is_a_bomb(remote: Path, theirs: SnapshotStore, codec: str) -> None:
    from numcodecs import blosc, zstd

    (pack,) = (remote / "packs").iterdir()
    entries = read_footer(pack)
    zeros = b"\0" * 80_000_000
    bomb = zstd.compress(zeros, 1) if codec == "zstd" else blosc.Blosc("zstd").encode(zeros)
    crc = zlib.crc32(bomb)
    # The truth about its size, and a lie.
    for size, match in ((len(zeros), "claims 80000000 bytes"), (100, "another size")):
        forged = [(Entry(e.id, 0, len(bomb), size, codec, crc), bomb) for e in entries]
        pack.write_bytes(pack_bytes(forged))
        refuses(theirs, remote, match)


def test_a_footer_that_is_a_bomb(remote: Path, theirs: SnapshotStore) -> None:
    (pack,) = (remote / "packs").iterdir()
    footer = zlib.compress(b" " * 50_000_000)
    trailer = struct.pack(
        "<QQQ32s8s", 8, len(footer), 50_000_000, blake3(footer).digest(), b"MLPKEND1"
    )
    pack.write_bytes(HEADER + footer + trailer)
    with pytest.raises(NotFoundError, match="claims 50000000 bytes"):
        pull(theirs, str(remote))
    assert theirs.versions() == []


@pytest.mark.parametrize("size", [50_000_000, 2**40, 10])
def test_a_manifest_that_is_a_bomb(remote: Path, theirs: SnapshotStore, size: int) -> None:
    from numcodecs import zstd

    (path,) = (remote / "manifests").iterdir()
    body = b"MLMANI1\n" + size.to_bytes(8, "little") + zstd.compress(b" " * 50_000_000, 1)
    path.write_bytes(body + blake3(body).digest())
    refuses(theirs, remote, "claims|another size")


def forge(remote: Path, home: str = "c", file: str = "00000001.ref", **changes: Any) -> None:
    """Put a record there that is signed as ours are, with other content."""
    record = json.loads((remote / "refs" / "c" / "00000001.ref").read_bytes()[65:])
    path = remote / "refs" / home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_line(record | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../escaped"},
        {"name": "other"},
        {"name": 7},
        {"version": 2},
        {"manifest": "../../../etc/passwd"},
        {"manifest": "A" * 64},
        {"created": "yesterday"},
        {"size": -1},
        {"rows": "many"},
        {"surprise": 1},
        {"tags": ["x"]},
        {"digest": "blake3:" + "0" * 64},
    ],
    ids=str,
)
def test_a_forged_version(remote: Path, theirs: SnapshotStore, changes: dict[str, Any]) -> None:
    forge(remote, **changes)
    with pytest.raises(MlopsError):
        pull(theirs, str(remote), ["c@1"])
    with pytest.raises(MlopsError):
        pull(theirs, str(remote))
    assert theirs.versions() == []
    assert not (theirs.folder.parent.parent / "escaped").exists()


def test_names_that_lead_out_are_not_followed(
    remote: Path, theirs: SnapshotStore, tmp_path: Path
) -> None:
    for path in ("../x", "refs/../../x", "a//b", "/etc/passwd", "refs/c\\..\\x", "a\x00b"):
        with pytest.raises(CorruptError, match="not a path inside"):
            open_remote(str(remote)).read(path, limit=10)
    tags = remote / "refs" / "c" / "tags"
    tags.mkdir()
    (tags / "x").write_bytes(encode_line({"tag": "../../../out", "version": 1, "created": 0}))
    (tags / "y").write_bytes(encode_line({"tag": "y", "version": "1", "created": 0}))
    (tags / "z").write_bytes(b"{}")
    (remote / "packs" / "..%2f..%2fout.pack").write_bytes(b"x")
    (remote / "packs" / "short.pack").write_bytes(b"x")
    pull(theirs, str(remote))
    assert theirs.resolve("c").tags == ()
    assert not list(tmp_path.rglob("*out"))


def test_a_manifest_of_something_else(
    remote: Path, mine: SnapshotStore, theirs: SnapshotStore
) -> None:
    (path,) = (remote / "manifests").iterdir()
    other = mine.manifest(commit(mine, "d", {"a": [b"x"]}).manifest)
    path.write_bytes(pack_manifest(other.encode())[1])
    refuses(theirs, remote, "does not match its address")


def test_nothing_that_comes_is_unpickled(
    tmp_path: Path, mine: SnapshotStore, theirs: SnapshotStore
) -> None:
    mark = tmp_path / "executed"
    bomb = b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    commit(mine, "p", {"a": [bomb]})
    push(mine, str(tmp_path / "r"))
    pull(theirs, str(tmp_path / "r"))
    assert content(theirs, "p") == {"a": bomb}
    assert not mark.exists()


def test_damage_here_is_not_passed_on(mine: SnapshotStore, tmp_path: Path) -> None:
    commit(mine, "c", {"a": [noise(1)]})
    (pack,) = mine.packs.glob("*.pack")
    data = bytearray(pack.read_bytes())
    data[100] ^= 1
    pack.write_bytes(data)
    with pytest.raises(CorruptError, match="was not pushed"):
        push(mine, str(tmp_path / "r"))
    assert not (tmp_path / "r" / "refs").exists()


def test_remembered_footers_that_are_damaged_are_read_again(
    remote: Path, theirs: SnapshotStore
) -> None:
    inventory = Inventory(open_remote(str(remote)), theirs.folder / "remotes")
    (cached,) = [p for p in (theirs.folder / "remotes").rglob("*") if p.is_file()]
    cached.write_bytes(b"x" * cached.stat().st_size)
    again = Inventory(open_remote(str(remote)), theirs.folder / "remotes")
    assert again.packs == inventory.packs
    assert not again.damaged
    assert pull(theirs, str(remote)).new == 1


def test_a_remote_that_says_ours_was_erased_is_not_believed_by_itself(
    remote: Path, mine: SnapshotStore
) -> None:
    """A forged record or tombstone takes nothing away here, unless the person asks for it."""
    ours = mine.resolve("c@1")
    with SnapshotStore(remote.parent / "other").begin() as tx:
        other = tx.commit("c", {"columns": [tx.add(b"theirs")]}, digest="blake3:" + "0" * 64)
    path = f"manifests/{other.manifest}"
    (remote / path).write_bytes((remote.parent / "other" / path).read_bytes())
    note = {"manifest": ours.manifest, "at": [], "reason": {"x": 1}, "digest": 7}
    meta = {"erased": [note, 5, {"manifest": ["x"]}, {"manifest": "../../x"}]}
    forge(remote, manifest=other.manifest, digest=other.digest, meta=meta)
    for specs in (None, ["c@1"]):
        told = pull(mine, str(remote), specs)
        assert told.erased == ["c@1"]
        assert told.chunks == 0
    assert mine.resolve("c@1") == ours
    assert push(mine, str(remote)).erased == ["c@1"]
    with pytest.raises(ConflictError, match="not brought back"):
        push(mine, str(remote), ["c@1"])
    forge(remote, meta={"erased": "nonsense"}, manifest=other.manifest, digest=other.digest)
    with pytest.raises(ConflictError, match="another snapshot"):
        pull(mine, str(remote))
    home = remote / "refs" / "c"
    (home / "00000001.ref").unlink()
    record = {"version": 1, "manifest": ours.manifest, "before": 5, "reason": 7}
    (home / "00000001.gone").write_bytes(encode_line(record))
    assert pull(mine, str(remote)).erased == ["c@1"]
    assert content(mine, "c@1")
    # A tombstone of something else than ours means nothing, asked for or not.
    (home / "00000001.gone").write_bytes(encode_line({"version": 1, "manifest": "0" * 64}))
    assert pull(mine, str(remote), erase=True).erased == []
    (home / "00000001.gone").write_bytes(b"damaged")
    assert pull(mine, str(remote), erase=True).erased == []
    assert content(mine, "c@1")
