"""A pack whose threads cannot start says so, and leaves nothing behind."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.snapshots.chunks import chunk_id
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
