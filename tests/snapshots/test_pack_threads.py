"""Who compresses a pack: its caller at first, then threads; if none can start, it says so."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.snapshots.chunks import Compressor, chunk_id
from jupyter_mlops.snapshots.packs import PackWriter, read_entry, read_footer


def refuse(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let threads start only so many times."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def once(thread: threading.Thread) -> None:
        if len(started) >= after:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", once)


@pytest.fixture(autouse=True)
def _threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_mlops.snapshots.packs._ALONE", 0)


def test_the_caller_does_the_first_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_mlops.snapshots.packs._ALONE", 3 * 4096)
    writer = PackWriter(tmp_path / "pack.tmp", threads=2)
    parts = [os.urandom(4096) for _ in range(8)]
    seen = []
    for raw in parts:
        writer.put(chunk_id(raw), raw, 1, "")
        seen.append((len(writer._threads), len(writer._entries)))
    assert seen[:3] == [(0, 1), (0, 2), (0, 3)]
    assert seen[3][0] == 1
    entries = writer.finish(tmp_path / "it.pack")
    assert {entry.id for entry in entries} == {chunk_id(raw) for raw in parts}
    file = os.open(tmp_path / "it.pack", os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        found = {e.id: read_entry(file, tmp_path / "it.pack", e) for e in entries}
    finally:
        os.close(file)
    assert found == {chunk_id(raw): raw for raw in parts}


def test_a_failure_of_the_caller_ends_the_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_mlops.snapshots.packs._ALONE", 1 << 20)
    refuse(monkeypatch, 0)
    writer = PackWriter(tmp_path / "pack.tmp", threads=2)
    raw = os.urandom(4096)
    writer.put(chunk_id(raw), raw, 1, "")
    os.close(writer._descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        writer.put(chunk_id(raw * 2), raw * 2, 1, "")
    with pytest.raises(OSError, match="Bad file descriptor"):  # It stays so.
        writer.put(chunk_id(raw), raw, 1, "")
    writer._descriptor = -1
    writer.abort()


def test_no_thread_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, 0)
    writer = PackWriter(tmp_path / "pack.tmp", threads=2)
    raw = os.urandom(4096)
    with pytest.raises(MemoryError, match="no memory for a thread"):
        writer.put(chunk_id(raw), raw, 1, "")
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_one_thread_does_the_work_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, 1)
    writer = PackWriter(tmp_path / "pack.tmp", threads=2)
    parts = [os.urandom(4096) for _ in range(8)]
    for raw in parts:
        writer.put(chunk_id(raw), raw, 1, "")
    writer.finish(tmp_path / "it.pack")
    entries = {entry.id: entry for entry in read_footer(tmp_path / "it.pack")}
    file = os.open(tmp_path / "it.pack", os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        for raw in parts:
            assert read_entry(file, tmp_path / "it.pack", entries[chunk_id(raw)]) == raw
    finally:
        os.close(file)


def test_a_thread_is_not_started_into_too_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_mlops.snapshots.packs._THREAD", 1 << 62)
    writer = PackWriter(tmp_path / "pack.tmp", threads=1)
    with pytest.raises(MemoryError, match="no memory for a thread"):
        writer.put(chunk_id(b"1" * 4096), b"1" * 4096, 1, "")
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_another_thread_starts_when_the_caller_had_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_mlops.snapshots.packs._BUFFER", 4096)
    monkeypatch.setattr("jupyter_mlops.snapshots.packs._PATIENCE", 0.01)
    writer = PackWriter(tmp_path / "pack.tmp", threads=2)
    encode = writer._compressor.encode

    def slow(*parts: Any) -> tuple[str, bytes]:
        time.sleep(0.01)
        return encode(*parts)

    monkeypatch.setattr(writer._compressor, "encode", slow)
    counts = []
    for _ in range(6):
        raw = os.urandom(4096)
        writer.put(chunk_id(raw), raw, 1, "")
        counts.append(len(writer._threads))
    assert counts[0] == 1
    assert counts[-1] == 2
    assert len(writer.finish(tmp_path / "it.pack")) == 6


@pytest.mark.parametrize("wanted", [None, True, False])
def test_blosc_is_left_as_the_person_has_it(
    wanted: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from numcodecs import blosc

    seen = []
    compress = blosc.compress

    def look(*parts: Any) -> Any:
        seen.append(blosc.use_threads)
        return compress(*parts)

    monkeypatch.setattr(blosc, "compress", look)
    monkeypatch.setattr(blosc, "use_threads", wanted)
    Compressor().encode(bytes(range(256)) * 64, 8, "")
    assert set(seen) == {wanted or False}
    assert blosc.use_threads is wanted
