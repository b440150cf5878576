"""The standalone reader: it opens what the package writes, without the package."""

from __future__ import annotations

import datetime as dt
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from jupyter_mlops.snapshots.encoding import digest_of, encode
from jupyter_mlops.snapshots.packs import read_footer
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.refs import Version
from jupyter_mlops.snapshots.store import SnapshotStore

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "read_snapshot.py"
# An interpreter that finds neither our package nor what only it needs.
RUN = """
import runpy, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jupyter_mlops", "blake3", "pandas", "polars", "xxhash"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "store")


def take(store: SnapshotStore, name: str, value: Any, **options: Any) -> Version:
    newest = store.newest(name)
    parent = None if newest is None else store.manifest(newest.manifest)
    with store.begin() as tx:
        tree, stats = encode(value, tx, parent, store)
        return tx.commit(name, tree, digest=digest_of(value, tree), stats=stats, **options)


def read(store: SnapshotStore, spec: str, out: Path) -> Any:
    main([str(store.folder), spec, str(out)])
    if out.suffix == ".npy":
        return np.load(out)
    if out.suffix == ".feather":
        return pyarrow.feather.read_table(out)
    return pq.read_table(out)


def frame(rows: int = 3000) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "id": number * 3,
            "amount": generator.normal(size=rows),
            "small": generator.integers(-5, 5, rows).astype("i2"),
            "truth": number % 3 == 0,
            "text": [f"customer {n}" for n in number],
            "few": pd.Series([("red", "green", None)[n % 3] for n in number], dtype=object),
            "pandas text": pd.array(["a" if n % 2 else None for n in number], dtype="string"),
            "masked": pd.array([n if n % 7 else None for n in number], dtype="Int32"),
            "category": pd.Categorical([("x", "y", None)[n % 3] for n in number]),
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(number, "s"),
            "zoned": (pd.Timestamp("2026-01-01") + pd.to_timedelta(number, "h"))
            .tz_localize("UTC")
            .tz_convert("Europe/Berlin"),
            "took": pd.to_timedelta(number, "ms"),
            "arrow": pd.array(number * 2, dtype=pd.ArrowDtype(pa.int64())),
            "day": [dt.date(2026, 1, 1 + n % 28) for n in number],
            "mixed": [n if n % 2 else f"s{n}" for n in number],
        }
    )


def test_a_frame_of_pandas(store: SnapshotStore, tmp_path: Path) -> None:
    value = frame()
    take(store, "customers", value)
    found = read(store, "customers", tmp_path / "out.parquet")
    assert found.column_names == list(value.columns)
    expected = pa.Table.from_pandas(value.drop(columns=["mixed", "zoned"]), preserve_index=False)
    for name in expected.column_names:
        ours = found[name].combine_chunks()
        want = expected[name].combine_chunks()
        if pa.types.is_dictionary(want.type):
            want = want.cast(want.type.value_type)
        assert ours.cast(want.type).to_pylist() == want.to_pylist(), name
    assert found["mixed"].to_pylist() == [str(v) for v in value["mixed"]]
    assert found.schema.field("zoned").type.tz == "Europe/Berlin"
    assert found["zoned"].to_pylist() == [stamp.to_pydatetime() for stamp in value["zoned"]]


def test_each_version_after_small_edits(store: SnapshotStore, tmp_path: Path) -> None:
    value = frame(20_000)[["id", "amount", "text", "few"]]
    take(store, "c", value)
    edited = value.copy()
    edited.loc[77, "amount"] = 1e9
    edited.loc[78, "text"] = "someone else"
    take(store, "c", edited, tags=("edited",))
    shuffled = edited.sample(frac=0.5, random_state=1)
    take(store, "c", shuffled)
    for spec, want in {"c@1": value, "c@edited": edited, "c@3": shuffled, "c": shuffled}.items():
        found = read(store, spec, tmp_path / "out.feather").to_pandas()
        if "index" in found:
            assert found.pop("index").tolist() == want.index.tolist()
        for name in value:
            ours, theirs = found[name].tolist(), want[name].tolist()
            assert [None if pd.isna(v) else v for v in ours] == theirs


@pytest.mark.parametrize(
    "value",
    [
        pa.table({"a": [1, None, 3], "b": ["x", None, "zz"], "c": [True, False, None]}),
        pa.table({"l": [[1, 2], None, [3]], "s": [{"x": 1}, {"x": None}, None]}),
        pa.table(
            {
                "d": pa.array(["p", "q", "p"]).dictionary_encode(),
                "t": pa.array([1, 2, None], pa.timestamp("us", "UTC")),
            }
        ),
        pa.table({"a": pa.array([], pa.int32())}),
    ],
    ids=["flat", "nested", "dictionary", "empty"],
)
def test_a_table_of_arrow(value: pa.Table, store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "t", value)
    found = read(store, "t", tmp_path / "out.feather")
    assert found.to_pylist() == value.to_pylist()
    assert found.column_names == value.column_names


def test_a_frame_of_polars(store: SnapshotStore, tmp_path: Path) -> None:
    value = pl.DataFrame({"a": [1, None, 3], "b": ["x", None, "ü"], "c": [[1], [], None]})
    take(store, "p", value)
    assert read(store, "p", tmp_path / "out.feather").to_pylist() == value.to_dicts()


@pytest.mark.parametrize(
    "value",
    [
        np.arange(24.0).reshape(2, 3, 4),
        np.asfortranarray(np.arange(12, dtype=">i4").reshape(3, 4)),
        np.array([1 + 2j, np.nan], "c8"),
        np.array([("a", 1.5)], [("name", "U3"), ("x", "f4")]),
        np.zeros((0, 3)),
        np.array(7, "u1"),
    ],
    ids=str,
)
def test_an_array(value: np.ndarray[Any, Any], store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "a", value)
    found = read(store, "a", tmp_path / "out.npy")
    np.testing.assert_array_equal(found, value)
    assert found.dtype == value.dtype
    assert found.shape == value.shape


def test_indexes_come_as_columns(store: SnapshotStore, tmp_path: Path) -> None:
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["key", None])
    take(store, "m", pd.DataFrame({"x": [1.0, 2, 3, 4]}, index=index))
    found = read(store, "m", tmp_path / "out.parquet").to_pydict()
    assert found == {"key": ["a", "a", "b", "b"], "level_1": [1, 2, 1, 2], "x": [1.0, 2, 3, 4]}
    take(store, "d", pd.Series([1, 2], index=pd.Index(["p", "q"], name="who"), name="n"))
    assert read(store, "d", tmp_path / "out.parquet").to_pydict() == {
        "who": ["p", "q"],
        "n": [1, 2],
    }


def test_a_folder(store: SnapshotStore, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "below" / "empty").mkdir(parents=True)
    (folder / "below" / "ä.txt").write_text("hello")
    (folder / "large").write_bytes(np.random.default_rng(0).bytes(3_000_000))
    (folder / "nothing").touch()
    take(store, "f", folder)
    main([str(store.folder), "f", str(tmp_path / "out")])
    for path in folder.rglob("*"):
        copy = tmp_path / "out" / path.relative_to(folder)
        assert copy.is_dir() if path.is_dir() else copy.read_bytes() == path.read_bytes()


def test_versions_are_listed(store: SnapshotStore, capsys: pytest.CaptureFixture[str]) -> None:
    take(store, "Prices/EU", frame(5), message="first", meta={"rows": 5, "columns": 15})
    take(store, "Prices/EU", frame(6))
    take(store, "a", np.arange(3))
    store.remove("a@1")
    main([str(store.folder)])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["Prices/EU@1", "Prices/EU@2"]
    assert lines[0][-1] == "first"
    assert lines[0][2].startswith("5 x 15")


def test_a_remote_in_a_folder_is_read_as_well(store: SnapshotStore, tmp_path: Path) -> None:
    value = frame(500)[["id", "amount"]]
    take(store, "c", value)
    push(store, str(tmp_path / "remote"))
    found = read(SnapshotStore(tmp_path / "remote"), "c", tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(found.to_pandas(), value)


def test_pickled_cells_are_left_out_and_said(
    store: SnapshotStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take(store, "p", pd.DataFrame({"a": [1, 2], "odd": [slice(1), slice(2)]}))
    main([str(store.folder), "p", str(tmp_path / "out.csv")])
    assert "column 'odd' is left out: it holds pickled objects" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == '"a"\n1\n2\n'


def test_damage_is_refused(store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "c", frame(500))
    (pack,) = store.packs.glob("*.pack")
    data = bytearray(pack.read_bytes())
    for entry in read_footer(pack):
        data[entry.offset + entry.length // 2] ^= 4
    pack.write_bytes(data)
    with pytest.raises(SystemExit, match="fails its checksum"):
        main([str(store.folder), "c", str(tmp_path / "out.parquet")])
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("spec", ["d", "c@9", "c@tag"])
def test_what_is_not_there_is_said(spec: str, store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "c", np.arange(3))
    with pytest.raises(SystemExit, match=f"there is no {spec}"):
        main([str(store.folder), spec, str(tmp_path / "o.csv")])


def test_it_runs_where_our_package_is_not(store: SnapshotStore, tmp_path: Path) -> None:
    value = frame()
    take(store, "c", value)
    out = tmp_path / "out.parquet"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(SCRIPT), str(store.folder), "c", str(out)],
        capture_output=True,
        text=True,
        env={"TZ": "UTC"},
    )
    assert done.returncode == 0, done.stderr
    assert pq.read_table(out).num_rows == len(value)


def test_the_reader_needs_only_what_it_says() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert "jupyter_mlops" not in text
    imported = {
        line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    foreign = {name for name in imported if name not in sys.stdlib_module_names}
    assert foreign == {"numpy", "pyarrow", "numcodecs"}
