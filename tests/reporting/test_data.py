"""What a run has read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from jupyter_mlops.model.events import InputRecord
from jupyter_mlops.reporting.data import inputs_read, sources_read


def proof(*sources: dict[str, Any]) -> dict[str, Any]:
    return {"notebook": "work/a.ipynb", "sources": list(sources)}


def test_files_are_named_from_the_projects_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "data").mkdir()
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_parquet(tmp_path / "data" / "t.parquet")
    (tmp_path / "work" / "t.tsv").write_text("a\tb\n1\t2\n")
    found = sources_read(
        tmp_path,
        proof(
            {"source": "data/t.parquet", "parameter": "table"},
            {"source": "work/t.tsv", "parameter": None},
            {"source": "https://example.org/t.csv", "parameter": "far"},
            {"source": "gone.csv", "parameter": "gone"},
        ),
        {"table": "../data/t.parquet", "far": "https://example.org/t.csv", "gone": "../gone.csv"},
    )
    assert [entry.source for entry in found] == [
        "data/t.parquet", "work/t.tsv", "https://example.org/t.csv", "gone.csv",
    ]  # fmt: skip
    assert [entry.rows for entry in found] == [2, 1, None, None]
    assert found[0].columns is not None
    assert list(found[0].columns) == ["a", "b"]
    assert found[1].digest is not None
    assert found[2].digest is None
    assert found[3].digest is None


def test_a_pinned_file_is_named_as_its_source_with_the_snapshot(tmp_path: Path) -> None:
    pinned = tmp_path / ".mlops" / "pinned" / "t@1" / "t.csv"
    pinned.parent.mkdir(parents=True)
    pinned.write_text("a\n1\n")
    source = {"source": "data/t.csv", "parameter": "table", "snapshot": "t@1"}
    (found,) = sources_read(tmp_path, proof(source), {"table": str(pinned)})
    assert (found.source, found.snapshot, found.rows) == ("data/t.csv", "t@1", 1)


def test_a_broken_table_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("no table")
    (found,) = sources_read(tmp_path, proof({"source": "t.parquet"}), {})
    assert found.digest is not None
    assert found.rows is None


def test_tracked_inputs_are_taken_once_with_what_is_known() -> None:
    records = [
        InputRecord("f", "file", "blake3:1", source="a.csv", size=5),
        InputRecord("df", "frame", "blake3:2", 3, 1, 24, {"a": "int64"}, "a.csv"),
        InputRecord("other", "frame"),
    ]
    found = inputs_read(records)
    assert [(e.name, e.rows, e.columns) for e in found] == [
        ("a.csv", 3, {"a": "int64"}), ("other", None, None),
    ]  # fmt: skip
