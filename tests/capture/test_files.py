"""What cells read: Python's own opens, readers in C++, and where a frame came from."""

from __future__ import annotations

import gc
import inspect
import json
import os
import pickle
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
import pytest

from jupyter_mlops.capture import files as module
from jupyter_mlops.capture.addresses import is_address, public_address, source_texts
from jupyter_mlops.capture.files import FileWatch, Opened, not_watched

ORIGINALS = {name: getattr(pd, name) for name in dir(pd) if name.startswith("read_")}


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileWatch]:
    monkeypatch.chdir(tmp_path)
    found = FileWatch([tmp_path / "state"])
    found.install()
    try:
        yield found
    finally:
        found.uninstall()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    folder = tmp_path / "data"
    folder.mkdir()
    frame.to_csv(folder / "f.csv", index=False)
    frame.to_parquet(folder / "f.parquet")
    frame.to_feather(folder / "f.feather")
    frame.to_json(folder / "f.json")
    np.save(folder / "f.npy", np.arange(3))
    return folder


READS: dict[str, Any] = {
    "pandas csv": (lambda d: pd.read_csv(d / "f.csv"), "f.csv"),
    "pandas keyword": (lambda d: pd.read_csv(filepath_or_buffer=str(d / "f.csv")), "f.csv"),
    "pandas relative": (lambda d: pd.read_csv("data/f.csv"), "f.csv"),
    "pandas handle": (lambda d: pd.read_csv((d / "f.csv").open()), "f.csv"),
    "pandas parquet": (lambda d: pd.read_parquet(d / "f.parquet"), "f.parquet"),
    "pandas feather": (lambda d: pd.read_feather(d / "f.feather"), "f.feather"),
    "pandas json": (lambda d: pd.read_json(d / "f.json"), "f.json"),
    "arrow parquet": (lambda d: pyarrow.parquet.read_table(d / "f.parquet"), "f.parquet"),
    "arrow csv": (lambda d: pyarrow.csv.read_csv(d / "f.csv"), "f.csv"),
    "arrow feather": (lambda d: pyarrow.feather.read_table(d / "f.feather"), "f.feather"),
    "arrow dataset": (lambda d: pyarrow.dataset.dataset(d / "f.parquet"), "f.parquet"),
    "numpy": (lambda d: np.load(d / "f.npy"), "f.npy"),
}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", READS)
def test_a_read_is_seen_and_its_frame_remembers(watch: FileWatch, data: Path, name: str) -> None:
    read, file = READS[name]
    watch.begin()
    value = read(data)
    assert watch.end() == [Opened(str(data / file), "read")]
    assert watch.source_of(value) == str(data / file)
    assert watch.source_of(object()) is None


def test_a_frame_of_an_earlier_cell_remembers_without_any_begin(
    watch: FileWatch, data: Path
) -> None:
    frame = pd.read_csv(data / "f.csv")
    assert watch.source_of(frame) == str(data / "f.csv")
    frame["c"] = 1
    assert watch.source_of(frame) == str(data / "f.csv")
    assert watch.source_of(frame.copy()) is None
    assert frame.attrs == {}
    del frame
    gc.collect()
    assert not watch._sources


def test_opens_of_python(watch: FileWatch, data: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "x").write_text("x")
    (tmp_path / "code.py").write_text("x = 1")
    watch.begin()
    (data / "f.csv").read_text()
    (data / "f.csv").read_bytes()
    os.close(os.open(data / "f.json", os.O_RDONLY))
    open(b"data/f.npy", "rb").close()
    (tmp_path / "state" / "x").read_text()
    (tmp_path / "code.py").read_text()
    (tmp_path / "new").write_text("x")
    (tmp_path / "new").read_text()  # What the cell wrote itself is no input.
    Path(pd.__file__).with_name("conftest.py").exists()
    Path(pa.__file__).parent.joinpath("includes/libarrow.pxd").read_text()
    os.listdir(data)
    with not_watched():
        (data / "f.feather").read_bytes()
    with pytest.raises(FileNotFoundError):
        Path("none").read_bytes()
    found = watch.end()
    assert [Path(o.path).name for o in found] == ["f.csv", "f.json", "f.npy"]
    assert {o.how for o in found} == {"opened"}
    (data / "f.csv").read_text()
    assert watch.end() == []


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", ".aws/config", "x/credentials", "mlruns/0/meta.yaml", ".git/HEAD",
     ".mlops/state.db", "lib.py", "font.ttf"],
)  # fmt: skip
def test_what_is_nobodys_data(watch: FileWatch, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("x")
    (tmp_path / "meta.yaml").write_text("x")
    watch.begin()
    path.read_text()
    (tmp_path / "meta.yaml").read_text()
    watch._note("read_csv", (path,), {}, None)
    assert [o.path for o in watch.end()] == [str(tmp_path / "meta.yaml")]


def test_many_files_are_bounded(watch: FileWatch, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    for number in range(5):
        (tmp_path / str(number)).write_text("")
    watch.begin()
    for number in range(5):
        (tmp_path / str(number)).read_text()
    assert len(watch.end()) == 3


def test_a_block_in_a_cell_sees_its_own_and_the_cell_sees_all(watch: FileWatch, data: Path) -> None:
    cell = watch.begin()
    (data / "f.json").read_text()
    block = watch.begin()
    other = watch.begin()
    pd.read_csv(data / "f.csv")
    assert [Path(o.path).name for o in watch.end(block)] == ["f.csv"]
    assert watch.end(block) == []
    (data / "f.npy").read_bytes()
    assert [Path(o.path).name for o in watch.end(other)] == ["f.csv", "f.npy"]
    assert [Path(o.path).name for o in watch.end(cell)] == ["f.json", "f.csv", "f.npy"]
    assert not module._listening


def test_a_workbook_and_a_folder(watch: FileWatch, tmp_path: Path, data: Path) -> None:
    watch._note("read_excel", ("book.xlsx",), {}, sheets := {"one": pd.DataFrame({"a": [1]})})
    assert watch.source_of(sheets["one"]) == str(tmp_path / "book.xlsx")
    folder = tmp_path / "parts"
    folder.mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(folder / "0.parquet")
    watch.begin()
    pd.read_parquet(folder)
    assert Opened(str(folder), "read") in watch.end()


def test_several_sources_are_counted(watch: FileWatch, tmp_path: Path) -> None:
    value = pd.DataFrame()
    watch._note("read_parquet", (["a", "b", "c"],), {}, value)
    assert watch.source_of(value) == f"{tmp_path / 'a'} and 2 more"


def test_a_database_is_named_without_its_password(watch: FileWatch) -> None:
    value = pd.DataFrame()
    watch._note("read_sql", ("select 1", "postgresql://me:pw@host/db"), {}, value)
    assert watch.source_of(value) == "postgresql://host/db"
    watch.begin()
    watch._note("read_sql", ("select 1", object()), {}, value)
    assert watch.end() == []


@pytest.mark.parametrize("name", ["read_csv", "read_parquet", "read_excel"])
def test_a_wrapped_reader_is_the_reader(watch: FileWatch, name: str) -> None:
    reader, original = getattr(pd, name), ORIGINALS[name]
    assert reader is not original
    assert inspect.signature(reader) == inspect.signature(original)
    assert reader.__doc__ == original.__doc__
    assert (reader.__name__, reader.__qualname__, reader.__module__) == (
        original.__name__,
        original.__qualname__,
        original.__module__,
    )
    assert inspect.getsource(reader) == inspect.getsource(original)
    assert pickle.loads(pickle.dumps(reader)) is reader
    assert name.encode() in pickle.dumps(reader)  # By name: another process loads its own.
    home = sys.modules[original.__globals__["__name__"]]
    assert getattr(home, name) is reader


def test_arrow_readers_are_pickled_by_name(watch: FileWatch) -> None:
    for reader in (pyarrow.parquet.read_table, pyarrow.dataset.dataset, np.load):
        assert hasattr(reader, "__wrapped__")
        assert pickle.loads(pickle.dumps(reader)) is reader


def test_everything_is_put_back(watch: FileWatch) -> None:
    finders = len(sys.meta_path)
    watch.uninstall()
    assert all(getattr(pd, name) is original for name, original in ORIGINALS.items())
    assert len(sys.meta_path) == finders - 1
    assert pyarrow.parquet.read_table is pyarrow.parquet.core.read_table
    assert not hasattr(pyarrow.parquet.read_table, "__wrapped__")
    assert not module._listening
    watch.install()
    assert hasattr(pd.read_csv, "__wrapped__")


def test_a_reader_that_somebody_else_replaced_stays_theirs(watch: FileWatch) -> None:
    def theirs() -> None: ...

    pd.read_csv = theirs
    try:
        watch.uninstall()
        assert pd.read_csv is theirs
    finally:
        pd.read_csv = ORIGINALS["read_csv"]


def test_two_watches_end_in_any_order(watch: FileWatch, data: Path) -> None:
    other = FileWatch()
    other.install()
    frame = pd.read_csv(data / "f.csv")
    assert other.source_of(frame) == str(data / "f.csv")
    watch.uninstall()
    other.uninstall()
    assert all(getattr(pd, name) is original for name, original in ORIGINALS.items())


def frames_of(call: Any) -> list[tuple[str, str]]:
    try:
        call()
    except Exception as error:
        return [(f.filename, f.name) for f in traceback.extract_tb(error.__traceback__)][1:]
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "call",
    [
        lambda: pd.read_csv("/none/such.csv"),
        lambda: pd.read_csv(),
        lambda: pd.read_csv(1, no_such=2),
        lambda: pd.read_parquet("/none/such.parquet"),
        lambda: pyarrow.csv.read_csv("/none/such.csv"),
        lambda: np.load("/none/such.npy"),
    ],
)
def test_an_error_has_the_traceback_it_had(watch: FileWatch, call: Any) -> None:
    ours = frames_of(call)
    watch.uninstall()
    assert ours == frames_of(call)


def test_a_warning_points_at_the_persons_line(watch: FileWatch, data: Path) -> None:
    def heard() -> list[tuple[str, int]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pd.read_csv(data / "f.csv", sep="[,]x*")  # Falls back to the Python engine.
        return [(w.filename, w.lineno) for w in caught if w.category is not ResourceWarning]

    ours = heard()
    assert ours
    assert ours[0][0] == __file__
    watch.uninstall()
    assert heard() == ours


def test_a_note_that_fails_leaves_the_result(
    watch: FileWatch, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(module, "source_texts", broken)
    assert len(pd.read_csv(data / "f.csv")) == 2
    monkeypatch.setattr(module.threading, "get_ident", broken)
    watch.begin()
    assert (data / "f.csv").read_text()


def test_what_is_imported_later_is_wrapped_then(data: Path) -> None:
    code = f"""
import json, sys
from jupyter_mlops.capture.files import FileWatch
watch = FileWatch(); watch.install()
assert "pandas" not in sys.modules and "numpy" not in sys.modules
watch.begin()
import pandas as pd
frame = pd.read_csv({str(data / "f.csv")!r})
import pyarrow.parquet as pq
table = pq.read_table({str(data / "f.parquet")!r})
opened = [(o.path, o.how) for o in watch.end()]
assert type(pd.__loader__).__name__ == "SourceFileLoader"
assert type(pd.__spec__.loader).__name__ == "SourceFileLoader"
print(json.dumps([opened, watch.source_of(frame), watch.source_of(table)]))
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    csv, parquet = str(data / "f.csv"), str(data / "f.parquet")
    assert json.loads(result.stdout) == [[[csv, "read"], [parquet, "read"]], csv, parquet]


def test_the_cost_of_a_call(watch: FileWatch, tmp_path: Path) -> None:
    """Under 5 us a call, 1 us an open; the figures here leave room for a busy machine."""
    value = pd.DataFrame()
    reader = module.Readers(watch._note)
    wrapped = sys.modules["jupyter_mlops.capture.readers"]._wrapped(
        lambda p: value, "r", reader._note
    )
    best = min(_timed(lambda: wrapped("a.csv"), 200) for _ in range(20))
    plain = min(_timed(lambda: value, 200) for _ in range(20))
    assert best - plain < 25e-6
    watch.end()
    assert min(_timed(lambda: module._hook("open", ("x", "r", 0)), 500) for _ in range(20)) < 5e-6


def _timed(call: Any, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://me:secret@host/a.csv", "https://host/a.csv"),
        ("s3://key:secret@bucket/a", "s3://bucket/a"),
        ("https://h/a?X-Amz-Signature=abc&page=2#top", "https://h/a?X-Amz-Signature=***&page=2"),
        ("https://h/a?access_token=abc", "https://h/a?access_token=***"),
        ("https://h/a?q=" + "x" * 65, "https://h/a?q=***"),
        ("https://h:8080/a.csv", "https://h:8080/a.csv"),
        ("https://[bad/a?token=1", "https://[bad/a"),
    ],
)
def test_addresses_lose_what_lets_one_in(address: str, public: str) -> None:
    assert is_address(address)
    assert public_address(address) == public


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"a": 1}', []),
        ("a,b\n1,2", []),
        ("", []),
        (None, []),
        (3, []),
        ("file:///data/a", ["/data/a"]),
        ("s3://b/a", ["s3://b/a"]),
        (["/a", Path("/b"), 3], ["/a", "/b"]),
    ],
)
def test_what_names_data(source: Any, expected: list[str]) -> None:
    assert source_texts(source) == expected
