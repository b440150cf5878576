"""Taking, restoring, showing and comparing versions of a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import jupyter_mlops
from jupyter_mlops.errors import (
    ConflictError,
    NotFoundError,
    Refused,
    UsageError,
)
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.addresses import parse_columns, parse_rows, parse_spec
from jupyter_mlops.snapshots.service import (
    diff,
    existing_store,
    export_version,
    restore,
    show,
    take,
)


def frame(rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "x": rng.normal(size=rows),
            "s": rng.choice(["a", "b", None], rows),
            "t": pd.date_range("2026-01-01", periods=rows, freq="min"),
            "c": pd.Categorical(rng.choice(["u", "v"], rows)),
        }
    )


def test_versions_of_a_name_come_back_equal(project: Project) -> None:
    a = frame()
    b = a.copy()
    b.loc[7, "x"] = 1.5
    first = take(project, a, "customers", "as loaded", tags=["raw"])
    second = take(project, b, "customers")
    assert (first.spec, second.spec) == ("customers@1", "customers@2")
    assert (first.rows, first.columns, first.kind) == (3000, 5, "frame")
    pd.testing.assert_frame_equal(restore(project, "customers@1"), a)
    pd.testing.assert_frame_equal(restore(project, "customers@raw"), a)
    pd.testing.assert_frame_equal(restore(project, "snapshot://customers"), b)
    part = restore(project, "customers", columns=["x", "s"], rows="5:9")
    pd.testing.assert_frame_equal(part, b[["x", "s"]].iloc[5:9])
    assert second.added < first.added / 5


def test_what_is_there_already_is_not_written_again(project: Project) -> None:
    first = take(project, frame(), "customers")
    again = take(project, frame(), "customers", tags=["same"])
    assert (again.version, again.added) == (1, 0)
    assert again.tags == ("same",)
    other = take(project, frame(), "copy")
    assert other.added < first.added / 2


def test_names_and_tags_are_checked_before_anything_is_written(project: Project) -> None:
    for name in ("", "a@b", " a", "a\n"):
        with pytest.raises(UsageError):
            take(project, 1, name)
    with pytest.raises(UsageError, match="latest"):
        take(project, 1, "n", tags=["latest"])
    with pytest.raises(UsageError, match="message"):
        take(project, 1, "n", message=3)  # type: ignore[arg-type]
    assert not (project.state / "snapshots").exists()


def test_what_would_not_come_back_is_refused_by_name(project: Project) -> None:
    class Own(pd.DataFrame):
        pass

    with pytest.raises(Refused, match="Own"):
        take(project, Own({"a": [1]}), "own")
    assert existing_store(project).versions() == []


def test_secrets_in_a_message_are_replaced(project: Project) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLF"
    version = take(project, 1, "n", message=f"loaded with {key}")
    assert key not in str(version.message)
    assert key not in str(show(project, "n").to_dict())


def test_what_is_not_there_says_what_to_do(project: Project) -> None:
    with pytest.raises(NotFoundError, match="no snapshots yet") as caught:
        restore(project, "nope")
    assert "%snapshot" in str(caught.value.hint)
    take(project, frame(), "customers")
    with pytest.raises(NotFoundError, match="'nope'"):
        restore(project, "nope")
    with pytest.raises(NotFoundError, match="customers@9"):
        restore(project, "customers@9")
    with pytest.raises(NotFoundError, match="'zzz'"):
        restore(project, "customers", columns="zzz")


def test_a_version_is_shown_with_types_and_statistics(project: Project) -> None:
    take(project, frame(), "customers")
    take(project, frame().set_index("id"), "customers", "by id")
    found = show(project, "customers")
    assert found.columns == (
        ("x", "float64"), ("s", "str"), ("t", "datetime64[us]"), ("c", "category")
    )  # fmt: skip
    assert found.index == "RangeIndex of id (int64)" or "id (int64)" in found.index
    assert found.parent == "customers@1"
    assert found.to_dict()["spec"] == "customers@2"
    missing = {c["name"]: c.get("missing") for c in found.stats["columns"]}
    assert missing["s"] == int(frame().s.isna().sum())


def test_the_diff_of_versions_and_values(project: Project) -> None:
    a = frame()
    b = a.copy()
    b.loc[7, "x"] = 1.5
    b.loc[2000, "s"] = "zz"
    take(project, a, "customers")
    take(project, b, "customers")
    for first, second in (("customers@1", "customers"), ("customers@1", b), (a, "customers@2")):
        found = diff(project, first, second)
        assert found.counts["cells_changed"] == 2
        rows = [(r.a, r.b, r.cells) for r in found.rows()]
        assert rows[0] == (7, 7, {"x": (a.x[7], 1.5)})
        assert rows[1][2]["s"][1] == "zz"
    assert diff(project, "customers@1", "customers@1").equal
    assert diff(project, "customers", b).equal
    assert diff(project, "customers@1", "customers").names == ("customers@1", "customers@2")


def test_chunks_that_are_the_same_are_not_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.snapshots.store import SnapshotStore

    a = frame(400_000)
    b = a.copy()
    b.loc[7, "x"] = 1.5
    take(project, a, "big")
    take(project, b, "big")
    read: list[int] = []
    inside = SnapshotStore.read

    def counted(self: SnapshotStore, ids: list[str], **options: bool) -> list[memoryview]:
        found = inside(self, ids, **options)
        read.extend(len(raw) for raw in found)
        return found

    monkeypatch.setattr(SnapshotStore, "read", counted)
    found = diff(project, "big@1", "big@2")
    assert found.counts["cells_changed"] == 1
    assert sum(read) < 8_000_000  # Of 2 x 14 MB: those of one chunk of one column, twice.
    assert [row.cells["x"][1] for row in found.rows()] == [1.5]


def test_lineage_is_compared_by_the_rows_it_stands_for(project: Project) -> None:
    a = frame()
    kept = a[a.x > 0]
    take(project, a, "rows")
    take(project, kept, "rows")
    take(project, kept.reset_index(drop=True), "rows")
    found = diff(project, "rows@1", "rows@2")
    assert found.counts["rows_removed"] == len(a) - len(kept)
    assert found.counts["cells_changed"] == 0
    assert [row.a for row in found.rows(0, 3)] == a.index[a.x <= 0][:3].tolist()
    by_key = diff(project, "rows@1", "rows@3", key=["id"])
    assert by_key.counts["rows_removed"] == len(a) - len(kept)
    assert by_key.counts["rows_added"] == by_key.counts["cells_changed"] == 0


def test_what_is_said_beside_the_cells_counts(project: Project) -> None:
    a = frame(50)
    b = a.copy()
    b.attrs["source"] = "crm"
    take(project, a, "n")
    take(project, b, "n")
    found = diff(project, "n@1", "n@2")
    assert not found.equal
    assert "attrs" in found.text()
    assert diff(project, "n@2", b).equal


def test_other_kinds(project: Project, tmp_path: Path) -> None:
    polars = pl.DataFrame({"a": [1, 2], "s": ["x", None]})
    take(project, polars, "polars")
    assert diff(project, "polars", polars).equal
    (row,) = diff(project, "polars", polars.with_columns(a=pl.Series([1, 3]))).rows()
    assert row.cells == {"a": (2, 3)}
    array = np.arange(6.0).reshape(2, 3)
    take(project, array, "array")
    changed = array.copy()
    changed[1, 1] = 9
    assert [c.key for c in diff(project, "array", changed).rows()] == [{"at": [1, 1]}]
    take(project, {"a": array, "rate": 0.1}, "all")
    assert set(diff(project, "all", {"a": changed, "rate": 0.2}).items) == {"a", "rate"}
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "t.csv").write_text("x\n1\n")
    (folder / "u.csv").write_text("same\n")
    take(project, folder, "folder")
    assert diff(project, "folder", folder).equal
    (folder / "t.csv").write_text("x\n2\n")
    found = diff(project, "folder", folder)
    assert set(found.items) == {"t.csv"}
    take(project, folder / "t.csv", "file")
    assert diff(project, "file", folder / "t.csv").equal
    assert restore(project, "file").read() == b"x\n2\n"


def test_export(project: Project, tmp_path: Path) -> None:
    a = frame(20)
    take(project, a, "n")
    path = export_version(project, "n", tmp_path / "n.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), a)
    part = export_version(project, "n", tmp_path / "n.csv", columns=["id", "x"], rows="0:5")
    assert len(pd.read_csv(part)) == 5
    with pytest.raises(ConflictError, match="exists already"):
        export_version(project, "n", path)
    export_version(project, "n", path, force=True)
    with pytest.raises(UsageError, match="no format"):
        export_version(project, "n", tmp_path / "n.xlsx")
    (tmp_path / "f").write_text("hello")
    take(project, tmp_path / "f", "f")
    written = export_version(project, "f", tmp_path / "out")
    assert written.read_text() == "hello"


def test_a_file_keeps_its_chunks_when_garbage_is_collected(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"x" * 1000)
    version = take(project, tmp_path / "f", "f")
    assert existing_store(project).manifest(version.manifest).chunks
    existing_store(project).gc(dry_run=False, grace=0)
    assert restore(project, "f").read() == b"x" * 1000


def test_the_python_interface(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    a = frame(10)
    version = jupyter_mlops.snapshot(a, "n", "first", tags=["t"])
    assert version.spec == "n@1"
    pd.testing.assert_frame_equal(jupyter_mlops.load("n@t"), a)
    assert jupyter_mlops.load("n", columns="x", rows=(2, 4)).shape == (2, 1)
    assert jupyter_mlops.diff("n", a).equal
    assert jupyter_mlops.diff(a, a.assign(x=0.0), key="id").counts["cells_changed"] == 10
    monkeypatch.chdir(project.root.parent)
    assert jupyter_mlops.load("n", project=project.root).shape == (10, 5)


def test_specs_rows_and_columns_are_read_as_people_write_them() -> None:
    assert parse_spec("snapshot://a@3/") == "a@3"
    with pytest.raises(UsageError, match="names no snapshot"):
        parse_spec("@3")
    with pytest.raises(UsageError, match="named by text"):
        parse_spec(3)  # type: ignore[arg-type]
    assert parse_rows("0:100") == slice(0, 100, None)
    assert parse_rows(":-5") == slice(None, -5, None)
    assert parse_rows((3, 5)) == slice(3, 5)
    assert parse_rows(10) == slice(0, 10)
    assert parse_rows(range(2, 9, 3)) == range(2, 9, 3)
    for wrong in ("a:b", "5", (1, 2, 3), 0, True, "1:2:0", range(5, 0, -1)):
        with pytest.raises(UsageError):
            parse_rows(wrong)
    assert parse_columns("a, b,c\\,d") == ["a", "b", "c,d"]
    with pytest.raises(UsageError, match="names no columns"):
        parse_columns("a,,b")
