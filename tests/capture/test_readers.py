"""Ways to read that are no plain function of a frame library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from jupyter_mlops.capture.files import FileWatch, Opened


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileWatch]:
    monkeypatch.chdir(tmp_path)
    found = FileWatch()
    found.install()
    try:
        yield found
    finally:
        found.uninstall()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    folder = tmp_path / "data"
    folder.mkdir()
    table.to_pandas().to_csv(folder / "f.csv", index=False)
    pq.write_table(table, folder / "f.parquet")
    pyarrow.orc.write_table(table, folder / "f.orc")
    with (
        pa.OSFile(str(folder / "f.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as out,
    ):
        out.write_table(table)
    return folder


READS: dict[str, Any] = {
    "f.csv": {
        "polars csv": lambda p: pl.read_csv(p),
        "polars scan": lambda p: pl.scan_csv(p).collect(),
        "input stream": lambda p: pa.input_stream(p).read(),
    },
    "f.parquet": {
        "polars parquet": lambda p: pl.read_parquet(p),
        "parquet file": lambda p: pq.ParquetFile(p).read(),
        "parquet file by name": lambda p: pq.ParquetFile(source=p).read(),
        "parquet dataset": lambda p: pq.ParquetDataset(p).read(),
        "memory map": lambda p: pa.memory_map(p).read(),
    },
    "f.orc": {"orc": lambda p: pyarrow.orc.ORCFile(p).read()},
    "f.arrow": {"arrow file": lambda p: pa.ipc.open_file(p).read_all()},
}


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file, reads in READS.items() for name in reads]
)
def test_a_read_is_seen(watch: FileWatch, data: Path, file: str, name: str) -> None:
    watch.begin()
    READS[file][name](str(data / file))
    assert watch.end() == [Opened(str(data / file), "read")]


def test_fsspec_names_what_is_read_and_not_what_is_written(watch: FileWatch, data: Path) -> None:
    watch.begin()
    with fsspec.open("memory://bucket/a.csv", "wb") as file:
        file.write(b"a\n1\n")
    with fsspec.open("memory://bucket/b.csv", "w") as file:
        file.write("b\n")
    assert watch.end() == []
    watch.begin()
    with fsspec.open("memory://bucket/a.csv", "rb") as file:
        assert file.read() == b"a\n1\n"
    frame = pd.read_csv("memory://bucket/a.csv")
    with fsspec.open(str(data / "f.csv"), "rb") as file:
        file.read()
    seen = watch.end()
    assert Opened(str(data / "f.csv"), "opened") in seen
    assert [item.how for item in seen if item.path.startswith("memory:")] == ["read"] * (
        len(seen) - 1
    )
    assert watch.source_of(frame) == "memory://bucket/a.csv"


def test_a_map_that_is_written_is_no_input(watch: FileWatch, data: Path) -> None:
    watch.begin()
    pa.memory_map(str(data / "f.csv"), "r+").close()
    pa.create_memory_map(str(data / "new"), 8).close()
    assert watch.end() == []


def test_methods_are_put_back() -> None:
    originals = pq.ParquetFile.__init__, fsspec.spec.AbstractFileSystem.open, pa.memory_map
    watch = FileWatch()
    watch.install()
    assert pq.ParquetFile.__init__ is not originals[0]
    assert pq.ParquetFile.__init__.__doc__ == originals[0].__doc__
    watch.uninstall()
    now = pq.ParquetFile.__init__, fsspec.spec.AbstractFileSystem.open, pa.memory_map
    assert now == originals


def test_what_is_imported_later_is_wrapped_then(data: Path) -> None:
    code = (
        "from jupyter_mlops.capture.files import FileWatch\n"
        "watch = FileWatch(); watch.install(); watch.begin()\n"
        "import pyarrow.parquet as pq\n"
        f"pq.ParquetFile({str(data / 'f.parquet')!r}).read()\n"
        "print([item.how for item in watch.end() if item.path.endswith('.parquet')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['read']"
